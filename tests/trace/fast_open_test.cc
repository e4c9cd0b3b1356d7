// TCP Fast Open, both sides (RFC 7413; SFL-11, SYN-06, PAR-14).

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "testing/trace.h"

namespace millrace::testing {
namespace {

using tcp::State;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

TraceOptions Enabled() {
  TraceOptions options;
  options.config.tcp.fast_open_server = true;
  options.config.tcp.fast_open_client = true;
  return options;
}

// Asks as a client for the server's cookie; the connection is reset again.
std::string AskForCookie(Trace& t) {
  t.Receives({.flags = kSyn, .seq = 0, .cookie = ""});
  const std::optional<Seg> syn_ack = t.Sent();
  EXPECT_THAT(syn_ack, IsSegment({.flags = kSyn | kAck, .seq = 0, .ack = 1}));
  t.Receives({.flags = kRst, .seq = 1});
  t.ForgetIsn();
  return syn_ack->cookie.value_or("");
}

TEST(FastOpenServer, IsOffByDefault) {
  Trace t;
  t.Listen();
  EXPECT_EQ(AskForCookie(t), "");
  t.Receives({.flags = kSyn, .seq = 0, .data = "early", .cookie = "01234567"});
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kSyn | kAck, .seq = 0, .ack = 1}));
  EXPECT_THAT(t.TakeLog(), IsEmpty());
  EXPECT_EQ(t.counters().syn_data_ignored, 1u);
}

// RFC 7413 4.2: data with a good cookie is delivered and acknowledged with the SYN, and answered
// before the handshake is complete.
TEST(FastOpenServer, DataWithAGoodCookieIsDeliveredAndAnsweredAtOnce) {
  Trace t(Enabled());
  t.Listen();
  t.app().reply_on_data = "index";
  const std::string cookie = AskForCookie(t);
  ASSERT_EQ(cookie.size(), 8u);
  t.Receives({.flags = kSyn, .seq = 0, .data = "GET /", .mss = 1000, .cookie = cookie});
  EXPECT_THAT(t.TakeLog(), ElementsAre("open", "data GET /"));
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kSyn | kAck, .seq = 0, .ack = 6}));
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kAck, .seq = 1, .ack = 6, .data = "index"}));
  EXPECT_EQ(t.FlowState(), State::kSynReceived);
  EXPECT_EQ(t.engine().env().fast_open_pending, 1u);
  t.Receives({.flags = kAck, .seq = 6, .ack = 6});
  EXPECT_EQ(t.FlowState(), State::kEstablished);
  EXPECT_EQ(t.tcb()->flight(), 0u);
  EXPECT_EQ(t.engine().env().fast_open_pending, 0u);
  EXPECT_TRUE(t.SentNothing());
  t.Receives({.flags = kAck, .seq = 6, .ack = 6, .data = "more"});
  EXPECT_THAT(t.TakeLog(), ElementsAre("data more"));
}

// The answer is in flight when only the SYN-ACK is acknowledged; it is not sent twice.
TEST(FastOpenServer, AnswerInFlightIsNotRepeatedByTheHandshake) {
  Trace t(Enabled());
  t.Listen();
  t.app().reply_on_data = "index";
  t.Receives({.flags = kSyn, .seq = 0, .data = "GET /", .cookie = AskForCookie(t)});
  EXPECT_EQ(t.AllSent().size(), 2u);
  t.Receives({.flags = kAck, .seq = 6, .ack = 1});
  EXPECT_TRUE(t.SentNothing());
  EXPECT_EQ(t.tcb()->flight(), 5u);
  t.Advance(Duration::Seconds(2));
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kAck, .seq = 1, .ack = 6, .data = "index"}));
}

// The whole exchange in the fewest segments: request on the SYN, answer and FIN before the ACK.
TEST(FastOpenServer, AnswerAndCloseBeforeTheHandshakeIsComplete) {
  Trace t(Enabled());
  t.Listen();
  t.app().reply_on_data = "bye";
  t.app().close_on_data = true;
  t.Receives({.flags = kSyn, .seq = 0, .data = "q", .cookie = AskForCookie(t)});
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kSyn | kAck, .seq = 0, .ack = 2}));
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kFin | kAck, .seq = 1, .ack = 2, .data = "bye"}));
  t.Receives({.flags = kFin | kAck, .seq = 2, .ack = 5});
  EXPECT_EQ(t.FlowState(), State::kTimeWait);
  EXPECT_THAT(t.TakeLog(), ElementsAre("open", "data q", "close normal"));
}

// SYN-06: without a good cookie it is a SYN like any other, with a fresh cookie in the answer.
TEST(FastOpenServer, WrongCookieFallsBackToTheThreeWayHandshake) {
  Trace t(Enabled());
  t.Listen();
  const std::string cookie = AskForCookie(t);
  for (const std::string& wrong : {std::string("01234567"), cookie.substr(0, 4), cookie + cookie}) {
    t.Receives({.flags = kSyn, .seq = 0, .data = "early", .cookie = wrong});
    EXPECT_THAT(t.Sent(), IsSegment({.flags = kSyn | kAck, .seq = 0, .ack = 1, .cookie = cookie}));
    EXPECT_THAT(t.TakeLog(), IsEmpty());
    t.Receives({.flags = kRst, .seq = 1});
    t.ForgetIsn();
  }
  EXPECT_EQ(t.counters().fast_open_passive_fail, 3u);
  EXPECT_EQ(t.counters().syn_data_ignored, 3u);
}

// The cookie belongs to an address, and lives for one hour to two.
TEST(FastOpenServer, CookieBelongsToAnAddressAndExpires) {
  Trace t(Enabled());
  t.Listen();
  const std::string cookie = AskForCookie(t);
  const Seg syn{.flags = kSyn, .seq = 0, .data = "x", .cookie = cookie};
  t.ReceivesFrom(0x0A00'0003, 40'000, 80, syn);
  EXPECT_THAT(t.TakeLog(), IsEmpty());
  t.Advance(Duration::Seconds(3599));
  t.ForgetSent();
  t.ReceivesFrom(Trace::kPeerAddress, 40'002, 80, syn);
  EXPECT_THAT(t.TakeLog(), ElementsAre("open", "data x"));
  t.Advance(Duration::Seconds(3601));
  t.TakeLog();
  t.ReceivesFrom(Trace::kPeerAddress, 40'003, 80, syn);
  EXPECT_THAT(t.TakeLog(), IsEmpty());
}

// SFL-11 (RFC 7413 5.1): beyond the limit, the three-way handshake; the limit is of pending ones.
TEST(FastOpenServer, PendingOnesAreLimited) {
  TraceOptions options = Enabled();
  options.config.tcp.fast_open_pending_max = 2;
  Trace t(options);
  t.Listen();
  const std::string cookie = AskForCookie(t);
  for (uint16_t port = 1; port <= 5; ++port) {
    t.ReceivesFrom(Trace::kPeerAddress, port, 80,
                   {.flags = kSyn, .seq = 0, .data = "x", .cookie = cookie});
  }
  EXPECT_EQ(t.engine().connections().used(), 2u);
  EXPECT_EQ(t.engine().half_opens().used(), 3u);
  EXPECT_EQ(t.counters().fast_open_overflow, 3u);
  EXPECT_THAT(t.TakeLog(), ElementsAre("open", "data x", "open", "data x"));
  t.Abort();
  EXPECT_EQ(t.engine().env().fast_open_pending, 1u);
  t.Advance(Duration::Seconds(300));
  EXPECT_EQ(t.engine().env().fast_open_pending, 0u);
  t.ExpectNothingHeld();
}

// A lost SYN-ACK is repeated by its timer, the answer behind it.
TEST(FastOpenServer, LostSynAckIsRepeatedWithTheAnswer) {
  Trace t(Enabled());
  t.Listen();
  t.app().reply_on_data = "index";
  t.Receives({.flags = kSyn, .seq = 0, .data = "GET /", .cookie = AskForCookie(t)});
  EXPECT_EQ(t.AllSent().size(), 2u);
  t.Advance(Duration::Milliseconds(1'001));
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kSyn | kAck, .seq = 0, .ack = 6}));
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kAck, .seq = 1, .ack = 6, .data = "index"}));
  t.Receives({.flags = kAck, .seq = 6, .ack = 6});
  EXPECT_EQ(t.FlowState(), State::kEstablished);
  EXPECT_EQ(t.app().received, "GET /");
}

// Opens, learns the cookie "cookie" and closes again by a reset.
void LearnCookie(Trace& t) {
  t.Connect();
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kSyn, .seq = 0, .cookie = ""}));
  t.Receives({.flags = kSyn | kAck, .seq = 0, .ack = 1, .mss = 1000, .cookie = "cookie"});
  t.Receives({.flags = kRst, .seq = 1});
  EXPECT_EQ(t.FlowState(), State::kClosed);
  t.ForgetSent();
  t.TakeLog();
  t.ForgetIsn();
}

// Connect and Send in one poll.
void ConnectAndSend(Trace& t, const std::string& data) {
  const Endpoint local{t.AddressOf(Trace::kHostAddress), t.options().local_port};
  const Endpoint remote{t.AddressOf(Trace::kPeerAddress), t.options().peer_port};
  stack::Socket& socket = t.app().socket;
  ASSERT_EQ(t.engine().ConnectFrom(local, remote, 0, &socket), stack::ConnectResult::kOk);
  t.Send(data);
}

TEST(FastOpenClient, IsOffByDefault) {
  Trace t;
  ConnectAndSend(t, "GET");
  const std::optional<Seg> syn = t.Sent();
  EXPECT_THAT(syn, IsSegment({.flags = kSyn, .seq = 0}));
  EXPECT_FALSE(syn->cookie.has_value());
}

// RFC 7413 4.1.3: data on the SYN, which the SYN-ACK acknowledges.
TEST(FastOpenClient, SendsDataOnTheSynOnceItHasACookie) {
  Trace t(Enabled());
  LearnCookie(t);
  ConnectAndSend(t, "GET /");
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kSyn, .seq = 0, .data = "GET /", .cookie = "cookie"}));
  t.Receives({.flags = kSyn | kAck, .seq = 0, .ack = 6});
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kAck, .seq = 6, .ack = 1}));
  EXPECT_EQ(t.state(), State::kEstablished);
  EXPECT_EQ(t.tcb()->send.size_bytes(), 0u);
  EXPECT_EQ(t.counters().fast_open_accepted, 1u);
  EXPECT_EQ(t.counters().retrans_segs, 0u);
}

// Only the first part fits: the MSS of the server, less what options may take. A part may be taken.
TEST(FastOpenClient, PartOfTheDataMayBeTaken) {
  Trace t(Enabled());
  LearnCookie(t);
  ConnectAndSend(t, Octets(3000));
  const std::optional<Seg> syn = t.Sent();
  EXPECT_EQ(syn->data, Octets(1000 - 40));
  t.Receives({.flags = kSyn | kAck, .seq = 0, .ack = 1 + 500, .mss = 1000});
  EXPECT_THAT(t.Sent(),
              IsSegment({.flags = kAck, .seq = 501, .ack = 1, .data = Octets(1000, 500)}));
}

// 4.2.1: the server did not take it: it is sent again at once.
TEST(FastOpenClient, DataThatWasNotTakenIsSentAgainAtOnce) {
  Trace t(Enabled());
  LearnCookie(t);
  ConnectAndSend(t, "GET /");
  t.ForgetSent();
  t.Receives({.flags = kSyn | kAck, .seq = 0, .ack = 1, .cookie = "newone"});
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kAck, .seq = 1, .ack = 1, .data = "GET /"}));
  t.Receives({.flags = kAck, .seq = 1, .ack = 6});
  EXPECT_EQ(t.tcb()->flight(), 0u);
  t.Receives({.flags = kRst, .seq = 1});
  t.ForgetIsn();
  ConnectAndSend(t, "again");
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kSyn, .seq = 0, .data = "again", .cookie = "newone"}));
}

// 4.1.3.1: a SYN that was lost is repeated bare, and the destination is left alone from then on.
TEST(FastOpenClient, LostSynIsRepeatedBareAndTheDestinationIsLeftAlone) {
  Trace t(Enabled());
  LearnCookie(t);
  ConnectAndSend(t, "GET /");
  t.ForgetSent();
  t.Advance(Duration::Milliseconds(1'001));
  const std::optional<Seg> syn = t.Sent();
  EXPECT_THAT(syn, IsSegment({.flags = kSyn, .seq = 0}));
  EXPECT_FALSE(syn->cookie.has_value());
  t.Receives({.flags = kSyn | kAck, .seq = 0, .ack = 1});
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kAck, .seq = 1, .ack = 1, .data = "GET /"}));
  EXPECT_EQ(t.counters().fast_open_blackhole, 1u);
  for (const bool later : {false, true}) {
    t.Receives({.flags = kRst, .seq = 1});
    if (later) t.Advance(Duration::Seconds(3600));
    t.ForgetSent();
    t.ForgetIsn();
    ConnectAndSend(t, "GET /");
    EXPECT_EQ(t.Sent()->cookie.has_value(), later);
    t.Receives({.flags = kSyn | kAck, .seq = 0, .ack = 1});
  }
}

// The data of a SYN that only seemed lost may still be acknowledged.
TEST(FastOpenClient, LateAnswerToTheFirstSynIsTaken) {
  Trace t(Enabled());
  LearnCookie(t);
  ConnectAndSend(t, "GET /");
  t.Advance(Duration::Milliseconds(1'001));
  t.ForgetSent();
  t.Receives({.flags = kSyn | kAck, .seq = 0, .ack = 6});
  EXPECT_EQ(t.state(), State::kEstablished);
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kAck, .seq = 6, .ack = 1}));
  EXPECT_EQ(t.tcb()->send.size_bytes(), 0u);
}

// PAR-14: the option means nothing on a segment that is no SYN.
TEST(FastOpen, OptionOnOtherSegmentsIsIgnored) {
  Trace t(Enabled());
  t.AcceptFromPeer();
  t.Receives({.flags = kAck, .seq = 1, .ack = 1, .data = "text", .cookie = "01234567"});
  EXPECT_THAT(t.TakeLog(), ElementsAre("data text"));
  EXPECT_EQ(t.counters().fast_open_passive_fail, 0u);
}

}  // namespace
}  // namespace millrace::testing

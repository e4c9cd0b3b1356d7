// TCP Fast Open where it is not by the book's default: keys that servers share (RFC 7413 6.3.4),
// the experimental option (RFC 6994), no cookies at all (7.3), no pause after a loss.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "millrace/tcp/fast_open.h"
#include "testing/trace.h"

namespace millrace::testing {
namespace {

using tcp::State;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr SipKey kOld{1, 2}, kNew{3, 4};

TraceOptions Enabled() {
  TraceOptions options;
  options.config.tcp.fast_open_server = true;
  options.config.tcp.fast_open_client = true;
  return options;
}

// What any server with this key gives the peer.
std::string SharedCookie(const Trace& t, SipKey key) {
  const tcp::FastOpenCookie cookie = tcp::MakeSharedFastOpenCookie(
      key, t.AddressOf(Trace::kPeerAddress), t.AddressOf(Trace::kHostAddress));
  return {reinterpret_cast<const char*>(cookie.data()), cookie.size()};
}

// `seq`: what the engine has acknowledged.
void ForgetConnection(Trace& t, uint32_t seq = 1) {
  t.Receives({.flags = kRst, .seq = seq});
  t.ForgetSent();
  t.TakeLog();
  t.ForgetIsn();
}

void ConnectAndSend(Trace& t, const std::string& data) {
  const Endpoint local{t.AddressOf(Trace::kHostAddress), t.options().local_port};
  const Endpoint remote{t.AddressOf(Trace::kPeerAddress), t.options().peer_port};
  stack::Socket& socket = t.app().socket;
  ASSERT_EQ(t.engine().ConnectFrom(local, remote, 0, &socket), stack::ConnectResult::kOk);
  t.Send(data);
}

// RFC 7413 6.3.4: another server of the farm gave the cookie, a day ago.
TEST(FastOpenKeys, CookieOfAnotherServerIsTaken) {
  Trace t(Enabled());
  t.engine().SetFastOpenKeys(std::vector{kNew});
  t.Listen();
  t.Advance(Duration::Seconds(2 * 3600));
  t.Receives({.flags = kSyn, .seq = 0, .data = "early", .cookie = SharedCookie(t, kNew)});
  EXPECT_THAT(t.TakeLog(), ElementsAre("open", "data early"));
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kSyn | kAck, .seq = 0, .ack = 6}));
}

// A key is changed in three steps, so that nobody's cookie is refused on the way.
TEST(FastOpenKeys, AreChangedByWayOfASecondOne) {
  Trace t(Enabled());
  t.Listen();
  struct Step {
    std::vector<SipKey> keys;
    SipKey given;
    bool old_good, new_good;
  };
  for (const Step& step : {Step{{kOld}, kOld, true, false}, Step{{kOld, kNew}, kOld, true, true},
                           Step{{kNew, kOld}, kNew, true, true}, Step{{kNew}, kNew, false, true}}) {
    t.engine().SetFastOpenKeys(step.keys);
    t.Receives({.flags = kSyn, .seq = 0, .cookie = ""});
    EXPECT_EQ(t.Sent()->cookie, SharedCookie(t, step.given));
    ForgetConnection(t);
    for (const bool old : {true, false}) {
      t.Receives(
          {.flags = kSyn, .seq = 0, .data = "x", .cookie = SharedCookie(t, old ? kOld : kNew)});
      const bool good = old ? step.old_good : step.new_good;
      EXPECT_THAT(t.Sent(), IsSegment({.flags = kSyn | kAck, .seq = 0, .ack = good ? 2u : 1u}));
      ForgetConnection(t, good ? 2 : 1);
    }
  }
}

TEST(FastOpenKeys, WithoutThemTheEngineHasItsOwn) {
  Trace t(Enabled());
  t.engine().SetFastOpenKeys(std::vector{kNew});
  t.engine().SetFastOpenKeys({});
  t.Listen();
  t.Receives({.flags = kSyn, .seq = 0, .data = "x", .cookie = SharedCookie(t, kNew)});
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kSyn | kAck, .seq = 0, .ack = 1}));
  EXPECT_EQ(t.counters().fast_open_passive_fail, 1u);
}

// A client from before RFC 7413 is answered in its own form, and its cookie is as good.
TEST(FastOpenServer, ExperimentalOptionIsAnsweredInKind) {
  Trace t(Enabled());
  t.Listen();
  t.Receives({.flags = kSyn, .seq = 0, .cookie = "", .cookie_experiment = true});
  const std::optional<Seg> given = t.Sent();
  ASSERT_TRUE(given->cookie.has_value());
  EXPECT_TRUE(given->cookie_experiment);
  ForgetConnection(t);
  t.Receives({.flags = kSyn, .seq = 0, .cookie = ""});
  EXPECT_THAT(t.Sent(),
              IsSegment({.flags = kSyn | kAck, .seq = 0, .ack = 1, .cookie = given->cookie}));
  ForgetConnection(t);
  t.Receives({.flags = kSyn,
              .seq = 0,
              .data = "early",
              .cookie = given->cookie,
              .cookie_experiment = true});
  EXPECT_THAT(t.TakeLog(), ElementsAre("open", "data early"));
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kSyn | kAck, .seq = 0, .ack = 6}));
}

// The window of a SYN is for what follows our own SYN: all of it is used, in full segments.
TEST(FastOpenServer, AnswerFillsTheWindowOfTheSyn) {
  Trace t(Enabled());
  t.engine().SetFastOpenKeys(std::vector{kNew});
  t.app().reply_on_data = Octets(5000);
  t.Listen();
  t.Receives({.flags = kSyn,
              .seq = 0,
              .data = "q",
              .window = 3000,
              .mss = 1000,
              .cookie = SharedCookie(t, kNew)});
  t.Sent();
  for (uint32_t seq = 1; seq < 3000; seq += 1000) {
    EXPECT_THAT(t.Sent(),
                IsSegment({.flags = kAck, .seq = seq, .ack = 2, .data = Octets(1000, seq - 1)}));
  }
  EXPECT_TRUE(t.SentNothing());
  t.Receives({.flags = kAck, .seq = 2, .ack = 1, .window = 3000});
  EXPECT_TRUE(t.SentNothing());
}

// The application knows the connection and may have answered: it is not "refused".
TEST(FastOpenServer, ResetBeforeTheHandshakeIsCompleteIsAReset) {
  Trace t(Enabled());
  t.engine().SetFastOpenKeys(std::vector{kNew});
  t.Listen();
  t.Receives({.flags = kSyn, .seq = 0, .data = "early", .cookie = SharedCookie(t, kNew)});
  t.Receives({.flags = kRst, .seq = 6});
  EXPECT_THAT(t.TakeLog(), ElementsAre("open", "data early", "close reset"));
  EXPECT_EQ(t.engine().env().fast_open_pending, 0u);
}

// RFC 7413 7.3. What has no data is opened like any other.
TEST(FastOpenServer, CookielessTakesDataFromEverybody) {
  for (const bool cookieless : {false, true}) {
    TraceOptions options = Enabled();
    options.config.tcp.fast_open_server_cookieless = cookieless;
    Trace t(options);
    t.Listen();
    t.Receives({.flags = kSyn, .seq = 0, .data = "early"});
    EXPECT_THAT(t.Sent(), IsSegment({.flags = kSyn | kAck, .seq = 0, .ack = cookieless ? 6u : 1u}));
    EXPECT_EQ(t.TakeLog().size(), cookieless ? 2u : 0u);
    ForgetConnection(t, cookieless ? 6 : 1);
    t.Receives({.flags = kSyn, .seq = 0});
    EXPECT_THAT(t.Sent(), IsSegment({.flags = kSyn | kAck, .seq = 0, .ack = 1}));
    EXPECT_THAT(t.TakeLog(), IsEmpty());
    EXPECT_EQ(t.engine().half_opens().used(), 1u);
  }
}

// The limit of pending ones (RFC 7413 5.1) holds all the same.
TEST(FastOpenServer, CookielessOnesAreLimited) {
  TraceOptions options = Enabled();
  options.config.tcp.fast_open_server_cookieless = true;
  options.config.tcp.fast_open_pending_max = 2;
  Trace t(options);
  t.Listen();
  for (uint16_t port = 1; port <= 5; ++port) {
    t.ReceivesFrom(Trace::kPeerAddress, port, 80, {.flags = kSyn, .seq = 0, .data = "x"});
  }
  EXPECT_EQ(t.engine().connections().used(), 2u);
  EXPECT_EQ(t.engine().half_opens().used(), 3u);
}

TEST(FastOpenServer, CookielessNeedsFastOpen) {
  TraceOptions options;
  options.config.tcp.fast_open_server_cookieless = true;
  Trace t(options);
  t.Listen();
  t.Receives({.flags = kSyn, .seq = 0, .data = "early"});
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kSyn | kAck, .seq = 0, .ack = 1}));
}

// RFC 7413 7.3: data on the first SYN to anybody, no option; a cookie nobody asked for is not kept.
TEST(FastOpenClient, CookielessSendsDataToEverybody) {
  TraceOptions options = Enabled();
  options.config.tcp.fast_open_client_cookieless = true;
  Trace t(options);
  for (const size_t room : {size_t{1420}, size_t{960}}) {
    EXPECT_EQ(
        t.engine().FastOpenRoom(t.AddressOf(Trace::kHostAddress), t.AddressOf(Trace::kPeerAddress)),
        room);
    ConnectAndSend(t, Octets(2000));
    const std::optional<Seg> syn = t.Sent();
    EXPECT_EQ(syn->data, Octets(room));
    EXPECT_FALSE(syn->cookie.has_value());
    t.Receives({.flags = kSyn | kAck, .seq = 0, .ack = 1, .mss = 1000, .cookie = "unasked1"});
    EXPECT_THAT(t.Sent(), IsSegment({.flags = kAck, .seq = 1, .ack = 1, .data = Octets(1000)}));
    ForgetConnection(t);
  }
}

// 4.1.3.1 lets us say for how long a destination is left alone.
TEST(FastOpenClient, WithoutAPauseTheNextSynTriesAgain) {
  TraceOptions options = Enabled();
  options.config.tcp.fast_open_blocked = Duration();
  Trace t(options);
  for (int i = 0; i < 2; ++i) {
    t.Connect();
    EXPECT_THAT(t.Sent(), IsSegment({.flags = kSyn, .seq = 0, .cookie = ""}));
    t.Advance(Duration::Milliseconds(1'001));
    EXPECT_FALSE(t.Sent()->cookie.has_value());
    t.Receives({.flags = kSyn | kAck, .seq = 0, .ack = 1});
    EXPECT_EQ(t.counters().fast_open_blackhole, 0u);
    ForgetConnection(t);
  }
}

// 4.1.3: the MSS of the last SYN-ACK counts, the cookie stays when it has none.
TEST(FastOpenClient, MssIsLearntBesideTheCookie) {
  Trace t(Enabled());
  t.Connect();
  t.Receives({.flags = kSyn | kAck, .seq = 0, .ack = 1, .mss = 1000, .cookie = "cookie"});
  ForgetConnection(t);
  for (const uint16_t mss : {uint16_t{500}, uint16_t{800}}) {
    t.Connect();
    t.Receives({.flags = kSyn | kAck, .seq = 0, .ack = 1, .mss = mss});
    ForgetConnection(t);
    ConnectAndSend(t, Octets(2000));
    EXPECT_THAT(
        t.Sent(),
        IsSegment({.flags = kSyn, .seq = 0, .data = Octets(mss - 40u), .cookie = "cookie"}));
    t.Receives({.flags = kSyn | kAck, .seq = 0, .ack = 1, .mss = mss});
    ForgetConnection(t);
  }
}

// RFC 7413 5.1: RSTs of hosts whose addresses a flood forges do not make room for more of it.
TEST(FastOpenPending, ResetsCountForAMinute) {
  TraceOptions options = Enabled();
  options.config.tcp.fast_open_server_cookieless = true;
  options.config.tcp.fast_open_pending_max = 2;
  Trace t(options);
  t.Listen(100);
  const auto flood = [&t](uint16_t from) {
    for (uint16_t port = from; port < from + 10; ++port) {
      t.ReceivesFrom(Trace::kPeerAddress, port, 80, {.flags = kSyn, .seq = 0, .data = "x"});
      t.ReceivesFrom(Trace::kPeerAddress, port, 80, {.flags = kRst, .seq = 2});
    }
  };
  flood(2000);
  EXPECT_EQ(t.counters().fast_open_passive, 2u);
  EXPECT_EQ(t.counters().fast_open_overflow, 8u);
  t.Advance(Duration::Seconds(59));
  flood(3000);
  EXPECT_EQ(t.counters().fast_open_passive, 2u);
  t.Advance(Duration::Seconds(121));
  flood(4000);
  EXPECT_EQ(t.counters().fast_open_passive, 4u);
}

// A SYN that carries neither data nor option tells nothing of Fast Open when it is lost.
TEST(FastOpenCookieless, SynWithoutDataIsLikeAnyOther) {
  TraceOptions options = Enabled();
  options.config.tcp.fast_open_client_cookieless = true;
  Trace t(options);
  const auto room = [&t] {
    return t.engine().FastOpenRoom(t.AddressOf(Trace::kHostAddress),
                                   t.AddressOf(Trace::kPeerAddress));
  };
  const uint32_t before = room();
  ASSERT_GT(before, 0u);
  t.Connect();
  t.Advance(Duration::Milliseconds(1001));
  ASSERT_EQ(t.counters().syn_retrans, 1u);
  t.Receives({.flags = kSyn | kAck, .seq = 0, .ack = 1});
  EXPECT_EQ(t.counters().fast_open_active, 0u);
  EXPECT_EQ(t.counters().fast_open_blackhole, 0u);
  EXPECT_EQ(room(), before);
}

// One SYN is one, also when there is no room for its data.
TEST(FastOpenPending, RefusedOnesTakeOneOfTheirSourcesShare) {
  TraceOptions options = Enabled();
  options.config.tcp.fast_open_server_cookieless = true;
  options.config.tcp.fast_open_pending_max = 0;
  options.config.syns_per_source_per_s = 1;
  options.config.syns_per_source_burst = 10;
  Trace t(options);
  t.Listen(100);
  for (uint16_t port = 2000; port < 2010; ++port) {
    t.ReceivesFrom(Trace::kPeerAddress, port, 80, {.flags = kSyn, .seq = 0, .data = "x"});
  }
  EXPECT_EQ(t.AllSent().size(), 10u);
  EXPECT_EQ(t.counters().syn_source_limited, 0u);
}

// An engine that was not made as a client has no memory for cookies.
TEST(FastOpenClient, CannotBeSwitchedOnLater) {
  Trace t;
  tcp::Config config = t.engine().env().config;
  config.fast_open_client = true;
  EXPECT_FALSE(t.engine().SetTcpConfig(config));
  t.Connect();
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kSyn, .seq = 0}));
}

}  // namespace
}  // namespace millrace::testing

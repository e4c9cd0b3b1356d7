// TCP Fast Open where something is missing: memory, a limit's rest, data (RFC 7413 4, 5).

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>

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

// Listens, and asks as a client for the cookie; the connection is reset again.
std::string CookieOfServer(Trace& t) {
  t.Listen();
  t.Receives({.flags = kSyn, .seq = 0, .cookie = ""});
  const std::optional<Seg> syn_ack = t.Sent();
  EXPECT_THAT(syn_ack, IsSegment({.flags = kSyn | kAck, .seq = 0, .ack = 1}));
  t.Receives({.flags = kRst, .seq = 1});
  t.ForgetIsn();
  return syn_ack->cookie.value_or("");
}

// The server answers with the cookie "cookie" and resets again.
void LearnCookie(Trace& t, std::optional<uint16_t> mss) {
  t.Connect();
  t.ForgetSent();
  t.Receives({.flags = kSyn | kAck, .seq = 0, .ack = 1, .mss = mss, .cookie = "cookie"});
  t.Receives({.flags = kRst, .seq = 1});
  t.ForgetSent();
  t.TakeLog();
  t.ForgetIsn();
}

uint32_t Room(Trace& t) {
  return t.engine().FastOpenRoom(t.AddressOf(Trace::kHostAddress),
                                 t.AddressOf(Trace::kPeerAddress));
}

// RFC 7413 4.2: a good cookie opens at once, with data or without.
TEST(FastOpenBounds, GoodCookieWithoutDataOpensToo) {
  Trace t(Enabled());
  t.Receives({.flags = kSyn, .seq = 0, .cookie = CookieOfServer(t)});
  EXPECT_THAT(t.TakeLog(), ElementsAre("open"));
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kSyn | kAck, .seq = 0, .ack = 1}));
  t.Receives({.flags = kAck, .seq = 1, .ack = 1});
  EXPECT_EQ(t.FlowState(), State::kEstablished);
}

// Data without the option is a SYN like any other.
TEST(FastOpenBounds, DataWithoutACookieWaitsForTheHandshake) {
  Trace t(Enabled());
  t.Listen();
  t.Receives({.flags = kSyn, .seq = 0, .data = "early"});
  const std::optional<Seg> syn_ack = t.Sent();
  EXPECT_THAT(syn_ack, IsSegment({.flags = kSyn | kAck, .seq = 0, .ack = 1}));
  EXPECT_FALSE(syn_ack->cookie.has_value());
  EXPECT_EQ(t.counters().syn_data_ignored, 1u);
}

// No connection block, or no record for the cookie's connection: the three-way handshake, which
// needs neither.
TEST(FastOpenBounds, ServerWithoutMemoryFallsBackToTheHandshake) {
  for (const bool without_extras : {false, true}) {
    TraceOptions options = Enabled();
    (without_extras ? options.config.limits.extras : options.config.limits.connections) = 0;
    Trace t(options);
    t.Receives({.flags = kSyn, .seq = 0, .data = "early", .cookie = CookieOfServer(t)});
    EXPECT_THAT(t.Sent(), IsSegment({.flags = kSyn | kAck, .seq = 0, .ack = 1}));
    EXPECT_THAT(t.TakeLog(), IsEmpty());
    EXPECT_EQ(t.FlowState(), State::kSynReceived);
    EXPECT_EQ(t.engine().connections().used(), 0u);
    EXPECT_EQ(t.counters().fast_open_overflow, without_extras ? 1u : 0u);
    EXPECT_EQ(t.counters().syn_data_ignored, 1u);
  }
}

// What finds no room is not acknowledged, and comes again behind the handshake.
TEST(FastOpenBounds, DataWithoutRoomIsNotAcknowledged) {
  TraceOptions options = Enabled();
  options.config.limits.receive_nodes = options.config.limits.receive_chunks = 0;
  Trace t(options);
  t.Receives({.flags = kSyn, .seq = 0, .data = "early", .cookie = CookieOfServer(t)});
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kSyn | kAck, .seq = 0, .ack = 1}));
  EXPECT_THAT(t.TakeLog(), ElementsAre("open"));
  t.Receives({.flags = kAck, .seq = 1, .ack = 1});
  EXPECT_EQ(t.FlowState(), State::kEstablished);
  EXPECT_EQ(t.app().received, "");
  t.Abort();
  t.ExpectNothingHeld();
}

// SFL-10: SYNs of one source are counted whatever they bring.
TEST(FastOpenBounds, CookieIsNoWayPastTheLimitOfASource) {
  TraceOptions options = Enabled();
  options.config.syns_per_source_per_s = 1;
  options.config.syns_per_source_burst = 2;
  Trace t(options);
  const std::string cookie = CookieOfServer(t);
  const Seg syn{.flags = kSyn, .seq = 0, .data = "x", .cookie = cookie};
  t.Receives(syn);
  EXPECT_THAT(t.TakeLog(), ElementsAre("open", "data x"));
  t.ForgetSent();
  t.ReceivesFrom(Trace::kPeerAddress, 41'000, 80, syn);
  EXPECT_TRUE(t.SentNothing());
  EXPECT_THAT(t.TakeLog(), IsEmpty());
  EXPECT_EQ(t.counters().syn_source_limited, 1u);
}

// RFC 7413 4.1.3: a client sends the cookie when it has nothing to say yet, too.
TEST(FastOpenBounds, ClientWithoutDataSendsTheCookieAlone) {
  Trace t(Enabled());
  LearnCookie(t, 1000);
  t.Connect();
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kSyn, .seq = 0, .cookie = "cookie"}));
  t.Receives({.flags = kSyn | kAck, .seq = 0, .ack = 1});
  t.Send("later");
  t.ForgetSent();
  EXPECT_EQ(t.state(), State::kEstablished);
  EXPECT_EQ(t.counters().fast_open_accepted, 0u);
}

// Without a record for the cookie it opens as if there were none.
TEST(FastOpenBounds, ClientWithoutMemoryOpensInThreeWays) {
  TraceOptions options = Enabled();
  options.config.limits.extras = 0;
  Trace t(options);
  t.Connect();
  const std::optional<Seg> syn = t.Sent();
  EXPECT_THAT(syn, IsSegment({.flags = kSyn, .seq = 0}));
  EXPECT_FALSE(syn->cookie.has_value());
  t.Receives({.flags = kSyn | kAck, .seq = 0, .ack = 1, .cookie = "cookie"});
  EXPECT_EQ(t.state(), State::kEstablished);
}

// How much an application can put on the SYN: nothing that the server's MSS does not carry.
TEST(FastOpenBounds, RoomOnTheSynIsKnownBeforeOpening) {
  TraceOptions off;
  Trace disabled(off);
  EXPECT_EQ(Room(disabled), 0u);
  Trace t(Enabled());
  EXPECT_EQ(Room(t), 0u);
  LearnCookie(t, 1000);
  EXPECT_EQ(Room(t), 960u);
  LearnCookie(t, std::nullopt);
  EXPECT_EQ(Room(t), (t.v6() ? 1220u : 536u) - 40);
  // A SYN that was lost: the destination is left alone for an hour.
  t.Connect();
  t.Advance(Duration::Milliseconds(1'001));
  t.Receives({.flags = kSyn | kAck, .seq = 0, .ack = 1});
  EXPECT_EQ(Room(t), 0u);
  t.Advance(Duration::Seconds(3600));
  EXPECT_GT(Room(t), 0u);
}

}  // namespace
}  // namespace millrace::testing

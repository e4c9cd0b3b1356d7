// SYN floods: bounds, cookies, fairness between listeners (group SFL; RFC 4987).

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <vector>

#include "millrace/tcp/syn_cookie.h"
#include "testing/trace.h"

namespace millrace::testing {
namespace {

using tcp::State;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

// `count` SYNs from as many sources to `local_port`.
void Flood(Trace& t, uint32_t count, uint16_t local_port = 80) {
  for (uint32_t i = 0; i < count; ++i) {
    t.ReceivesFrom(0x0A01'0000 + i, static_cast<uint16_t>(1024 + i), local_port,
                   {.flags = kSyn, .seq = i});
  }
}

TraceOptions WithGateway() {
  TraceOptions options;
  options.config.gateway_v4 = Trace::kPeerAddress;
  return options;
}

// A listener whose backlog is used up by others. The connection's own SYN comes next.
void Crowd(Trace& t) {
  t.Listen(2);
  Flood(t, 3);
  t.ForgetSent();
  t.ForgetIsn();
}

// SFL-01: no memory for a SYN but its record, of which there are few; nothing else is held.
TEST(SynFlood, MemoryIsBoundedByThePool) {
  Trace t(WithGateway());
  t.Listen(1'000'000);
  Flood(t, 5'000);
  EXPECT_LE(t.engine().half_opens().used(), 64u);
  EXPECT_EQ(t.engine().connections().used(), 0u);
  EXPECT_EQ(t.port().live(), 0u);
  EXPECT_EQ(t.counters().syncookies_sent, 5'000u - t.engine().half_opens().used());
}

// SFL-02: the peer does not see a difference.
TEST(SynFlood, CookieOpensAConnectionThatWasNotRemembered) {
  Trace t(WithGateway());
  Crowd(t);
  t.Receives({.flags = kSyn, .seq = 0, .mss = 1460});
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kSyn | kAck, .seq = 0, .ack = 1, .mss = 1460}));
  EXPECT_EQ(t.FlowState(), State::kClosed);
  t.Receives({.flags = kAck, .seq = 1, .ack = 1});
  EXPECT_EQ(t.state(), State::kEstablished);
  t.Receives({.flags = kAck, .seq = 1, .ack = 1, .data = "GET"});
  EXPECT_THAT(t.TakeLog(), ElementsAre("open", "data GET"));
  t.Send("answer");
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kAck, .seq = 1, .ack = 4, .data = "answer"}));
  EXPECT_EQ(t.counters().syncookies_received, 1u);
  EXPECT_EQ(t.counters().passive_opens, 1u);
}

// SFL-02 (OPN-07): the bare ACK was lost.
TEST(SynFlood, CookieComesWithTheFirstData) {
  Trace t(WithGateway());
  Crowd(t);
  t.Receives({.flags = kSyn, .seq = 0});
  t.Receives({.flags = kAck | kFin, .seq = 1, .ack = 1, .data = "GET"});
  EXPECT_THAT(t.TakeLog(), ElementsAre("open", "data GET", "fin"));
  t.Close();
  t.Receives({.flags = kAck, .seq = 5, .ack = 2});
  EXPECT_EQ(t.FlowState(), State::kClosed);
}

struct Offer {
  uint16_t mss;
  std::optional<uint8_t> shift;
  bool sack, timestamps;
  uint16_t kept_mss;
  int kept_shift;
};

class SynCookieOptions : public ::testing::TestWithParam<Offer> {};

// SFL-03: MSS and window scale are rounded down, exact with timestamps; SACK is kept.
TEST_P(SynCookieOptions, AreKept) {
  const Offer& offer = GetParam();
  Trace t(WithGateway());
  Crowd(t);
  Seg syn{.flags = kSyn, .seq = 0, .mss = offer.mss, .window_scale = offer.shift};
  syn.sack_permitted = offer.sack;
  if (offer.timestamps) syn.tsval = 77;
  t.Receives(syn);
  const std::optional<Seg> syn_ack = t.Sent();
  ASSERT_TRUE(syn_ack.has_value());
  EXPECT_EQ(syn_ack->sack_permitted, offer.sack);
  EXPECT_EQ(syn_ack->window_scale.has_value(), offer.shift.has_value());
  Seg ack{.flags = kAck, .seq = 1, .ack = 1, .window = 100};
  if (offer.timestamps) {
    EXPECT_EQ(syn_ack->tsecr, 77u);
    ack.tsval = 78;
    ack.tsecr = syn_ack->tsval;
  }
  t.Receives(ack);
  ASSERT_EQ(t.state(), State::kEstablished);
  const tcp::Tcb& tcb = *t.tcb();
  EXPECT_EQ(tcb.Has(tcp::kSackOn), offer.sack);
  EXPECT_EQ(tcb.Has(tcp::kTimestampsOn), offer.timestamps);
  EXPECT_EQ(tcb.Has(tcp::kWindowScalingOn), offer.shift.has_value());
  EXPECT_EQ(tcb.snd_window_shift(), offer.kept_shift);
  EXPECT_EQ(tcb.snd_wnd, 100u << offer.kept_shift);
  EXPECT_EQ(tcb.snd_mss, offer.kept_mss);
  if (offer.timestamps) {
    // Our clock does not go back behind the timestamp that carried the shift.
    t.Send("x");
    EXPECT_GE(*t.Sent()->tsval, *syn_ack->tsval);
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, SynCookieOptions,
    ::testing::Values(Offer{1460, 7, true, true, 1448, 7}, Offer{1460, 5, true, false, 1460, 4},
                      Offer{1460, 14, false, true, 1448, 14},
                      Offer{1460, 14, false, false, 1460, 8}, Offer{1380, 0, true, false, 1360, 0},
                      Offer{1459, 3, true, true, 1440, 3}, Offer{600, {}, true, false, 536, 0},
                      Offer{600, {}, false, true, 524, 0}, Offer{1, {}, false, false, 216, 0}));

// SFL-04: at least 15 s, at most 30 s, wherever in the epoch the cookie was made.
TEST(SynFlood, CookieLivesFifteenToThirtySeconds) {
  for (int offset_s = 0; offset_s < 15; offset_s += 2) {
    for (const bool late : {false, true}) {
      SCOPED_TRACE(::testing::Message() << offset_s << (late ? " late" : " in time"));
      Trace t(WithGateway());
      t.Advance(Duration::Seconds(offset_s));
      Crowd(t);
      t.Receives({.flags = kSyn, .seq = 0});
      t.ForgetSent();
      t.Advance(Duration::Milliseconds(late ? 30'000 : 14'900));
      Flood(t, 3);  // still under pressure
      t.ForgetSent();
      t.Receives({.flags = kAck, .seq = 1, .ack = 1});
      EXPECT_EQ(t.FlowState(), late ? State::kClosed : State::kEstablished);
      if (late) {
        EXPECT_THAT(t.Sent(), IsSegment({.flags = kRst, .seq = 1}));
      }
    }
  }
}

// SFL-04: a quiet time in which no cookie was made or checked drops both keys.
TEST(SynFlood, CookieOfADroppedKeyIsRefusedUnderNewPressure) {
  for (const int quiet_s : {35, 60, 600}) {
    SCOPED_TRACE(quiet_s);
    Trace t(WithGateway());
    Crowd(t);
    t.Receives({.flags = kSyn, .seq = 0});
    t.ForgetSent();
    t.Advance(Duration::Seconds(quiet_s));
    Flood(t, 3);  // the listener believes cookies again
    t.ForgetSent();
    t.Receives({.flags = kAck, .seq = 1, .ack = 1});
    EXPECT_EQ(t.FlowState(), State::kClosed);
    EXPECT_THAT(t.Sent(), IsSegment({.flags = kRst, .seq = 1}));
    EXPECT_EQ(t.counters().syncookies_failed, 1u);
  }
}

// SFL-05: an ACK that nobody was asked for, and one for the tuple of another.
TEST(SynFlood, WrongCookiesAreCountedAndReset) {
  Trace t(WithGateway());
  Crowd(t);
  t.Receives({.flags = kSyn, .seq = 0});
  t.ForgetSent();
  t.Receives({.flags = kAck, .seq = 1, .ack = 2});
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kRst, .seq = 2}));
  t.Receives({.flags = kAck, .seq = 2, .ack = 1});
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kRst, .seq = 1}));
  t.ReceivesFrom(Trace::kPeerAddress, 40'001, 80, {.flags = kAck, .seq = 1, .ack = 1});
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kRst, .seq = 1}));
  EXPECT_EQ(t.counters().syncookies_failed, 3u);
  EXPECT_EQ(t.engine().connections().used(), 0u);
}

// SFL-06: without pressure even a right cookie opens nothing.
TEST(SynFlood, CookieIsNotLookedAtWithoutPressure) {
  Trace t(WithGateway());
  t.Listen();
  t.Receives({.flags = kSyn, .seq = 0});
  t.ForgetSent();  // the harness knows the ISN now
  t.Receives({.flags = kRst, .seq = 1});
  tcp::HalfOpen h{};
  h.irs = SeqNum(t.options().peer_isn);
  h.peer_mss = 536;
  const stack::FlowKey key = t.key();
  tcp::SynCookieKeys keys({9, 10}, t.now());  // the engine's own, by its seed and epoch
  const SeqNum cookie =
      tcp::MakeSynCookie(keys, {key.addresses(), key.ports()}, h, t.engine().env());
  t.Receives({.flags = kAck, .seq = 1, .ack = (cookie + 1).Since(t.host_isn())});
  EXPECT_EQ(t.FlowState(), State::kClosed);
  EXPECT_EQ(t.Sent()->flags, kRst);
  EXPECT_EQ(t.counters().syncookies_failed, 0u);
}

// SFL-07: a flood of one listener leaves room for the SYNs of another.
TEST(SynFlood, FloodOfOneListenerDoesNotStopAnother) {
  for (const tcp::SynCookies cookies : {tcp::SynCookies::kNever, tcp::SynCookies::kWhenFull}) {
    TraceOptions options = WithGateway();
    options.config.tcp.syn_cookies = cookies;
    Trace t(options);
    ASSERT_EQ(t.engine().Listen({t.AddressOf(0), 81}, 1'000'000), stack::ListenResult::kOk);
    Flood(t, 1'000, 81);
    t.Listen();
    t.ForgetSent();
    t.ForgetIsn();
    t.Receives({.flags = kSyn, .seq = 0});
    EXPECT_THAT(t.Sent(), IsSegment({.flags = kSyn | kAck, .seq = 0, .ack = 1}));
    EXPECT_EQ(t.FlowState(), State::kSynReceived);
    t.Receives({.flags = kAck, .seq = 1, .ack = 1});
    EXPECT_THAT(t.TakeLog(), ElementsAre("open"));
  }
}

// SFL-08: a SYN under flood costs its victim two segments at most, and none of more octets than it
// had itself when it is answered by a cookie.
TEST(SynFlood, AmplificationIsBounded) {
  Trace t(WithGateway());
  t.Listen(8);
  Flood(t, 1'000);
  t.Advance(Duration::Seconds(60));
  EXPECT_EQ(t.engine().half_opens().used(), 0u);
  EXPECT_EQ(t.other_frames.size(), 1'000u + 8);  // to addresses that are not the peer's
  EXPECT_EQ(t.counters().retrans_segs, 8u);
}

// SFL-12: three seconds after a flood SYNs are remembered again.
TEST(SynFlood, RoomIsBackSoonAfterTheFlood) {
  Trace t(WithGateway());
  t.Listen(8);
  Flood(t, 1'000);
  t.Advance(Duration::Milliseconds(3'100));
  EXPECT_EQ(t.engine().half_opens().used(), 0u);
  Flood(t, 1);
  EXPECT_EQ(t.engine().half_opens().used(), 1u);
}

TEST(SynFlood, CookiesAlwaysRememberNothing) {
  TraceOptions options;
  options.config.tcp.syn_cookies = tcp::SynCookies::kAlways;
  Trace t(options);
  t.AcceptFromPeer({.mss = 1000, .window_scale = 7, .tsval = 5});
  EXPECT_EQ(t.counters().syncookies_sent, 1u);
  EXPECT_EQ(t.counters().listen_overflows, 0u);
}

// OPN-09 with a cookie: no block for the connection; the peer's data asks again.
TEST(SynFlood, CookieThatFindsNoConnectionBlockIsBelievedLater) {
  TraceOptions options;
  options.config.limits.connections = 1;
  options.config.tcp.syn_cookies = tcp::SynCookies::kAlways;
  Trace t(options);
  t.Listen();
  stack::Socket other;
  ASSERT_EQ(t.engine().Connect({t.AddressOf(Trace::kPeerAddress), 9}, 0, &other),
            stack::ConnectResult::kOk);
  t.Poll();
  t.ForgetSent();
  t.ForgetIsn();
  t.Receives({.flags = kSyn, .seq = 0});
  t.ForgetSent();
  t.Receives({.flags = kAck, .seq = 1, .ack = 1, .data = "text"});
  EXPECT_TRUE(t.SentNothing());
  EXPECT_THAT(t.TakeLog(), IsEmpty());
  EXPECT_EQ(t.counters().connections_full, 1u);
  other.Abort();
  t.Poll();
  t.TakeLog();
  t.Receives({.flags = kAck, .seq = 1, .ack = 1, .data = "text"});
  EXPECT_THAT(t.TakeLog(), ElementsAre("open", "data text"));
  t.Abort();
  t.ExpectNothingHeld();
}

}  // namespace
}  // namespace millrace::testing

// "Packet too big" about a path that has carried longer segments (RFC 5927 7.2): somebody forges
// it, or the path has changed, and a time-out tells which. Over both families.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "testing/too_big.h"

namespace millrace::testing {
namespace {

// Ten full segments were acknowledged, ten more are in flight and one of them is said to be too
// big.
void LoadAndClaim(Trace& t, Seg syn = {.mss = 1460}) {
  t.AcceptFromPeer(syn);
  t.Send(Octets(14'600));
  t.ForgetSent();
  t.Receives({.flags = kAck, .seq = 1, .ack = 14'601});
  t.Send(Octets(14'600, 14'600));
  t.ForgetSent();
  t.ReceivesFrame(TooBig(t, 1400, 16'061));
  EXPECT_TRUE(t.SentNothing());
  EXPECT_EQ(t.tcb()->snd_mss, 1460);
  EXPECT_EQ(t.counters().path_mtu_awaited, 1u);
}

// RFC 5927 7.2: segments as long have passed, so it waits; their acknowledgment says that it was
// forged, and no later time-out makes it true.
TEST(PathMtuClaim, TooBigIsForgottenWhenTheSegmentArrives) {
  for (const uint32_t ack : {16'062u, 17'521u, 29'201u}) {
    SCOPED_TRACE(ack);
    Trace t;
    LoadAndClaim(t);
    t.Receives({.flags = kAck, .seq = 1, .ack = 16'061});
    EXPECT_EQ(t.counters().path_mtu_disproved, 0u);
    t.Receives({.flags = kAck, .seq = 1, .ack = ack});
    EXPECT_EQ(t.counters().path_mtu_disproved, 1u);
    t.Send(Octets(1460));
    t.Advance(Duration::Milliseconds(500));
    EXPECT_EQ(t.counters().timeouts, 1u);
    EXPECT_EQ(t.tcb()->snd_mss, 1460);
    EXPECT_EQ(t.counters().path_mtu_lowered, 0u);
  }
}

// RFC 5927 7.2, MAXSEGRTO: the path has changed, and no ACK comes. A time-out that a router has
// explained is no congestion (RFC 1191 6.5).
TEST(PathMtuClaim, TooBigIsBelievedWhenTheSegmentTimesOut) {
  for (const bool sack : {false, true}) {
    SCOPED_TRACE(sack);
    Trace t;
    LoadAndClaim(t, {.mss = 1460, .sack_permitted = sack});
    t.Receives({.flags = kAck, .seq = 1, .ack = 16'061});
    t.ForgetSent();
    const uint32_t cwnd = t.tcb()->congestion.cwnd;
    for (int ms = 0; ms < 1000 && t.counters().timeouts == 0; ++ms) {
      EXPECT_EQ(t.tcb()->snd_mss, 1460);
      t.ForgetSent();  // a tail loss probe
      t.Advance(Duration::Milliseconds(1));
    }
    const uint32_t shorter = 1400u - Headers(t);
    EXPECT_EQ(t.tcb()->snd_mss, shorter);
    EXPECT_EQ(t.tcb()->congestion.cwnd, cwnd);
    const std::vector<Seg> sent = t.AllSent();
    ASSERT_GE(sent.size(), 9u);
    for (uint32_t i = 0; i < 9; ++i) {
      EXPECT_EQ(sent[i].seq, 16'061 + i * shorter);
      EXPECT_EQ(sent[i].data, Octets(shorter, 16'060 + i * shorter));
    }
    t.Receives({.flags = kAck, .seq = 1, .ack = 29'201});
    EXPECT_EQ(t.tcb()->flight(), 0u);
    EXPECT_EQ(t.counters().path_mtu_disproved, 0u);
  }
}

// The time-out that was explained has reduced nothing, so the next one is the first that says
// congestion (RFC 5681 3.1: ssthresh MUST be set).
TEST(PathMtuClaim, TimeOutBehindTheOneThatWasExplainedReduces) {
  for (const bool sack : {false, true}) {
    SCOPED_TRACE(sack);
    Trace t;
    LoadAndClaim(t, {.mss = 1460, .sack_permitted = sack});
    const uint32_t before = t.tcb()->congestion.ssthresh;
    for (int ms = 0; ms < 1000 && t.counters().timeouts == 0; ++ms) {
      t.Advance(Duration::Milliseconds(1));
    }
    ASSERT_EQ(t.counters().path_mtu_lowered, 1u);
    ASSERT_EQ(t.tcb()->congestion.ssthresh, before);
    const uint32_t flight = t.tcb()->flight();
    for (int ms = 0; ms < 4000 && t.counters().timeouts == 1; ++ms) {
      t.Advance(Duration::Milliseconds(1));
    }
    ASSERT_EQ(t.counters().timeouts, 2u);
    EXPECT_LE(t.tcb()->congestion.ssthresh, flight);
    EXPECT_EQ(t.tcb()->congestion.cwnd, t.tcb()->snd_mss);
  }
}

// A second router on the changed path is believed at once: the segment has timed out.
TEST(PathMtuClaim, SecondRouterIsBelievedAtOnce) {
  Trace t;
  LoadAndClaim(t);
  t.Receives({.flags = kAck, .seq = 1, .ack = 16'061});
  for (int ms = 0; ms < 1000 && t.counters().timeouts == 0; ++ms) {
    t.Advance(Duration::Milliseconds(1));
  }
  ASSERT_EQ(t.counters().path_mtu_lowered, 1u);
  t.ReceivesFrame(TooBig(t, 1300, 16'061));
  EXPECT_EQ(t.tcb()->snd_mss, 1300u - Headers(t));
  EXPECT_EQ(t.counters().path_mtu_awaited, 1u);
}

// Another segment was lost; the one that was said to be too big has arrived, as SACK tells.
TEST(PathMtuClaim, TooBigIsForgottenAtATimeOutWhenTheSegmentWasSacked) {
  Trace t;
  LoadAndClaim(t, {.mss = 1460, .sack_permitted = true});
  for (int i = 0; i < 10 && t.counters().timeouts == 0; ++i) {
    t.Receives({.flags = kAck, .seq = 1, .ack = 14'601, .sack = {{16'061, 17'521}}});
    t.Advance(Duration::Milliseconds(200));
  }
  EXPECT_EQ(t.counters().timeouts, 1u);
  EXPECT_EQ(t.counters().path_mtu_disproved, 1u);
  EXPECT_EQ(t.tcb()->snd_mss, 1460);
}

// "nsegrto" of the segment: it has timed out before the router was heard.
TEST(PathMtuClaim, TooBigAboutASegmentThatTimedOutIsBelievedAtOnce) {
  Trace t;
  t.AcceptFromPeer({.mss = 1460});
  t.Send(Octets(14'600));
  t.Receives({.flags = kAck, .seq = 1, .ack = 14'601});
  t.Send(Octets(2920));
  t.Advance(Duration::Milliseconds(300));
  EXPECT_EQ(t.counters().timeouts, 1u);
  t.ForgetSent();
  t.ReceivesFrame(TooBig(t, 1400, 14'601));
  const uint32_t shorter = 1400u - Headers(t);
  EXPECT_EQ(t.tcb()->snd_mss, shorter);
  EXPECT_EQ(t.Sent()->data, Octets(shorter));
  EXPECT_EQ(t.counters().path_mtu_awaited, 0u);
}

// RFC 5927 7.2, "Initial Path-MTU Discovery": as long as no segment that long has passed, however
// many octets have.
TEST(PathMtuClaim, TooBigIsBelievedAtOnceBehindShortSegments) {
  Trace t;
  t.AcceptFromPeer({.mss = 1460, .sack_permitted = true});
  t.app().socket.SetNoDelay(true);
  uint32_t sent = 0;
  for (int round = 0; round < 20; ++round) {
    for (const uint32_t length : {700u, 1200u}) {
      t.Send(Octets(length, sent));
      sent += length;
    }
    t.Receives({.flags = kAck, .seq = 1, .ack = 1 + sent});
  }
  t.Send(Octets(2920, sent));
  t.ForgetSent();
  t.ReceivesFrame(TooBig(t, 1400, 1 + sent));
  EXPECT_EQ(t.tcb()->snd_mss, 1400u - Headers(t));
  EXPECT_EQ(t.counters().path_mtu_awaited, 0u);
  EXPECT_FALSE(t.SentNothing());
}

// What cannot be noted is not believed: the next copy meets the same router.
TEST(PathMtuClaim, TooBigWithoutMemoryToWaitIsIgnored) {
  TraceOptions options;
  options.config.limits.recoveries = 0;
  Trace t(options);
  t.AcceptFromPeer({.mss = 1460});
  t.Send(Octets(1460));
  t.Receives({.flags = kAck, .seq = 1, .ack = 1461});
  t.Send(Octets(1460));
  t.ReceivesFrame(TooBig(t, 1400, 1461));
  EXPECT_EQ(t.tcb()->snd_mss, 1460);
  EXPECT_EQ(t.engine().counters().icmp_errors_ignored, 1u);
  EXPECT_GE(t.counters().recovery_full, 1u);
}

}  // namespace
}  // namespace millrace::testing

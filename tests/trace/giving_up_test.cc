// Peers that vanish: R2, and orphans in FIN-WAIT-2 (of groups CLS and RTO). No connection lives for
// ever on a peer that does not answer.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "testing/trace.h"

namespace millrace::testing {
namespace {

using tcp::State;
using ::testing::ElementsAre;

// CLS-13 (MUST-20), CLS-21: no state of closing outlives R2 when the peer has vanished.
TEST(GivingUp, LostFinIsRepeatedAndGivenUpAfterR2) {
  for (State state : {State::kFinWait1, State::kClosing, State::kLastAck}) {
    SCOPED_TRACE(tcp::ToString(state));
    Trace t;
    t.AcceptFromPeer();
    if (state == State::kLastAck) t.Receives({.flags = kFin | kAck, .seq = 1, .ack = 1});
    t.Close();
    if (state == State::kClosing) t.Receives({.flags = kFin | kAck, .seq = 1, .ack = 1});
    ASSERT_EQ(t.FlowState(), state);
    t.ForgetSent();
    t.TakeLog();
    t.Advance(Duration::Seconds(100));  // (SHLD-11): R2 is at least 100 s
    EXPECT_EQ(t.FlowState(), state);
    const std::vector<Seg> repeated = t.AllSent();
    EXPECT_GE(repeated.size(), 3u);
    const uint32_t ack = state == State::kFinWait1 ? 1 : 2;
    for (const Seg& fin : repeated) {
      EXPECT_THAT(fin, SegmentIs({.flags = kFin | kAck, .seq = 1, .ack = ack}));
    }
    t.Advance(Duration::Seconds(100));
    EXPECT_EQ(t.FlowState(), State::kClosed);
    EXPECT_THAT(t.TakeLog(), ElementsAre("close timed out"));
    t.ExpectNothingHeld();
  }
}

// CLS-20
TEST(GivingUp, OrphanInFinWait2IsGivenUpAfterAMinute) {
  for (bool close_late : {false, true}) {
    SCOPED_TRACE(close_late ? "closed in FIN-WAIT-2" : "closed before");
    Trace t;
    t.AcceptFromPeer();
    close_late ? t.Shutdown() : t.Close();
    t.Receives({.flags = kAck, .seq = 1, .ack = 2});
    if (close_late) t.Close();
    t.ForgetSent();
    t.Advance(Duration::Milliseconds(59'900));
    EXPECT_EQ(t.FlowState(), State::kFinWait2);
    t.Advance(Duration::Milliseconds(200));
    EXPECT_EQ(t.FlowState(), State::kClosed);
    EXPECT_THAT(t.TakeLog(), ElementsAre("close timed out"));
    t.ExpectNothingHeld();
  }
}

// RTO-08 (MUST-21): R2 is the application's to choose.
TEST(GivingUp, R2IsConfigurable) {
  TraceOptions options;
  options.config.tcp.r2 = Duration::Seconds(5);
  Trace t(options);
  t.AcceptFromPeer();
  t.Send("data");
  t.Advance(Duration::Milliseconds(4900));
  EXPECT_EQ(t.state(), State::kEstablished);
  t.Advance(Duration::Seconds(8));
  EXPECT_EQ(t.FlowState(), State::kClosed);
}

// R1 is about segments that are sent again. A closed window whose probes are answered is no trouble
// that the application should hear of (RFC 9293 3.8.6.1, MUST-37), and it takes no record.
TEST(GivingUp, AnsweredProbesOfAClosedWindowAreNoDeliveryProblem) {
  Trace t;
  t.AcceptFromPeer();
  t.Receives({.flags = kAck, .seq = 1, .ack = 1, .window = 0});
  t.Send("data");
  t.ForgetSent();
  int probes = 0;
  for (int i = 0; i < 60'000 && probes < 6; ++i) {
    t.Advance(Duration::Milliseconds(1));
    if (t.AllSent().empty()) continue;
    ++probes;
    t.Receives({.flags = kAck, .seq = 1, .ack = 1, .window = 0});
  }
  EXPECT_EQ(probes, 6);
  EXPECT_EQ(t.counters().r1_reached, 0u);
  EXPECT_EQ(t.app().socket.TakeSoftError(), tcp::SoftError::kNone);
  EXPECT_EQ(t.engine().env().extras.used(), 0u);
}

}  // namespace
}  // namespace millrace::testing

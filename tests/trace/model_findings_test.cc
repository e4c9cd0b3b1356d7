// What the reference model (tests/model) found: one test for each, as its smallest trace.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "testing/trace.h"

namespace millrace::testing {
namespace {

using tcp::State;
using ::testing::ElementsAre;

// RFC 5681 4.2: each segment out of order earns its duplicate ACK, a repeated FIN without text too;
// a sender that probes with its FIN learns of the gap by no other way.
TEST(ModelFindings, AFinThatWaitsForItsDataIsAcknowledgedEachTime) {
  Trace t;
  t.AcceptFromPeer();
  for (int i = 0; i < 3; ++i) {
    t.Receives({.flags = kFin | kAck, .seq = 11, .ack = 1});
    EXPECT_THAT(t.Sent(), IsSegment({.flags = kAck, .seq = 1, .ack = 1}));
    EXPECT_TRUE(t.SentNothing());
  }
  EXPECT_EQ(t.FlowState(), State::kEstablished);
  t.Receives({.flags = kAck, .seq = 1, .ack = 1, .data = Octets(10)});
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kAck, .seq = 1, .ack = 12}));
  EXPECT_EQ(t.FlowState(), State::kCloseWait);
}

// CLS-12, RFC 9293 3.10.5: both sides were done, so an abort has nobody to tell.
TEST(ModelFindings, AbortInClosingAndLastAckSendsNothing) {
  for (State state : {State::kClosing, State::kLastAck}) {
    SCOPED_TRACE(tcp::ToString(state));
    Trace t;
    t.Reach(state);
    t.Abort();
    EXPECT_TRUE(t.SentNothing());
    EXPECT_EQ(t.FlowState(), State::kClosed);
    EXPECT_THAT(t.TakeLog(), ElementsAre("close aborted"));
    t.ExpectNothingHeld();
  }
}

}  // namespace
}  // namespace millrace::testing

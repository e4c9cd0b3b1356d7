// What the reference model (tests/model) found: one test for each, as its smallest trace.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "testing/trace.h"

namespace millrace::testing {
namespace {

using tcp::State;

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

}  // namespace
}  // namespace millrace::testing

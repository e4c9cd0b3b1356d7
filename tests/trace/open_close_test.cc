// CLOSE and ABORT before a connection is open (group OPN; RFC 9293 3.10.4, 3.10.5).

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "testing/trace.h"

namespace millrace::testing {
namespace {

using tcp::State;
using ::testing::ElementsAre;

// OPN-14: RFC 9293 3.10.4, SYN-SENT: "Delete the TCB".
TEST(Open, CloseInSynSentEndsWithoutASegment) {
  Trace t;
  t.Connect();
  t.ForgetSent();
  t.Close();
  EXPECT_TRUE(t.SentNothing());
  EXPECT_THAT(t.TakeLog(), ElementsAre("close aborted"));
  t.ExpectNothingHeld();
  t.Receives({.flags = kSyn | kAck, .seq = 0, .ack = 1});
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kRst, .seq = 1}));
}

// OPN-14: SYN-RECEIVED: the FIN goes out, and what was sent before it, when the peer has answered.
TEST(Open, CloseInSynReceivedSendsDataAndFinAfterTheHandshake) {
  Trace t;
  t.Connect();
  t.Receives({.flags = kSyn, .seq = 0});
  t.ForgetSent();
  t.Send("bye");
  t.Shutdown();
  t.Receives({.flags = kAck, .seq = 1, .ack = 1});
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kFin | kAck, .seq = 1, .ack = 1, .data = "bye"}));
  EXPECT_EQ(t.state(), State::kFinWait1);
}

// OPN-14: RFC 9293 3.10.4: "If no SENDs have been issued and there is no pending data to send, then
// form a FIN segment and send it, and enter FIN-WAIT-1 state", which the handshake comes before.
TEST(Open, CloseInSynReceivedWithoutDataSendsTheFinAtOnce) {
  for (const bool both_acked : {false, true}) {
    SCOPED_TRACE(both_acked);
    Trace t;
    t.Connect();
    t.Receives({.flags = kSyn, .seq = 0});
    t.ForgetSent();
    t.Close();
    EXPECT_THAT(t.Sent(), IsSegment({.flags = kFin | kAck, .seq = 1, .ack = 1}));
    // Nothing arrives: both go again, the SYN-ACK first.
    t.Advance(Duration::Milliseconds(1005));
    EXPECT_THAT(t.Sent(), IsSegment({.flags = kSyn | kAck, .seq = 0, .ack = 1}));
    EXPECT_THAT(t.Sent(), IsSegment({.flags = kFin | kAck, .seq = 1, .ack = 1}));
    EXPECT_EQ(t.state(), State::kSynReceived);
    t.Receives({.flags = kAck, .seq = 1, .ack = both_acked ? 2u : 1u});
    EXPECT_TRUE(t.SentNothing());
    if (!both_acked) {
      EXPECT_EQ(t.state(), State::kFinWait1);
      t.Receives({.flags = kAck, .seq = 1, .ack = 2});
    }
    EXPECT_EQ(t.state(), State::kFinWait2);
    t.Receives({.flags = kFin | kAck, .seq = 1, .ack = 2});
    EXPECT_THAT(t.Sent(), IsSegment({.flags = kAck, .seq = 2, .ack = 2}));
    EXPECT_THAT(t.TakeLog(), ElementsAre("open", "close normal"));
  }
}

// OPN-14: RFC 9293 3.10.5: "<SEQ=SND.NXT><CTL=RST>".
TEST(Open, AbortInSynReceivedSendsReset) {
  Trace t;
  t.Connect();
  t.Receives({.flags = kSyn, .seq = 0});
  t.ForgetSent();
  t.Abort();
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kRst | kAck, .seq = 1, .ack = 1}));
  EXPECT_THAT(t.TakeLog(), ElementsAre("close aborted"));
  t.ExpectNothingHeld();
}

}  // namespace
}  // namespace millrace::testing

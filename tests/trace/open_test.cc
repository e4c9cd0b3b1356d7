// Opening: three-way handshake from both sides, options, loss (group OPN).

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "testing/trace.h"

namespace millrace::testing {
namespace {

using ::testing::ElementsAre;
using tcp::State;

// OPN-01
TEST(Open, ActiveHandshakeSendsSynAndAcksTheSynAck) {
  Trace t;
  t.Connect();
  EXPECT_EQ(t.state(), State::kSynSent);
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kSyn, .seq = 0, .mss = 1460}));
  t.Receives({.flags = kSyn | kAck, .seq = 0, .ack = 1, .mss = 1460});
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kAck, .seq = 1, .ack = 1}));
  EXPECT_EQ(t.state(), State::kEstablished);
  EXPECT_THAT(t.TakeLog(), ElementsAre("open"));
}

// OPN-02
TEST(Open, PassiveHandshakeAnswersSynAndIsEstablishedByTheAck) {
  Trace t;
  t.Listen();
  t.Receives({.flags = kSyn, .seq = 0, .mss = 1460, .window_scale = 7, .sack_permitted = true});
  EXPECT_EQ(t.FlowState(), State::kSynReceived);
  const auto syn_ack = t.Sent();
  EXPECT_THAT(syn_ack, IsSegment({.flags = kSyn | kAck,
                                  .seq = 0,
                                  .ack = 1,
                                  .mss = 1460,
                                  .window_scale = 3,
                                  .sack_permitted = true}));
  t.Receives({.flags = kAck, .seq = 1, .ack = 1});
  EXPECT_EQ(t.state(), State::kEstablished);
  EXPECT_TRUE(t.SentNothing());
  EXPECT_THAT(t.TakeLog(), ElementsAre("open"));
}

// OPN-03 (MUST-10), RFC 9293 figure 7.
TEST(Open, SimultaneousOpenEndsEstablished) {
  Trace t;
  t.Connect();
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kSyn, .seq = 0}));
  t.Receives({.flags = kSyn, .seq = 0, .mss = 1460});
  EXPECT_EQ(t.state(), State::kSynReceived);
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kSyn | kAck, .seq = 0, .ack = 1}));
  t.Receives({.flags = kSyn | kAck, .seq = 0, .ack = 1, .mss = 1460});
  EXPECT_EQ(t.state(), State::kEstablished);
  EXPECT_THAT(t.TakeLog(), ElementsAre("open"));
}

}  // namespace
}  // namespace millrace::testing

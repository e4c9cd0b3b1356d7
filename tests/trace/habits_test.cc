// Habits that RFCs leave open and Config offers, because peers and test suites know them from
// Linux: quick ACKs and PSH at the end of bursts.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "testing/trace.h"

namespace millrace::testing {
namespace {

TraceOptions With(uint32_t quick_ack_bytes, bool push_bursts) {
  TraceOptions options;
  options.config.tcp.quick_ack_bytes = quick_ack_bytes;
  options.config.tcp.push_bursts = push_bursts;
  return options;
}

TEST(Habits, FirstOctetsAreAcknowledgedAtOnceAndLaterOnesDelayed) {
  Trace t(With(1500, false));
  t.app().reading = false;
  t.AcceptFromPeer();
  t.Receives({.flags = kAck, .seq = 1, .ack = 1, .data = Octets(1000)});
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kAck, .seq = 1, .ack = 1001}));
  t.Receives({.flags = kAck, .seq = 1001, .ack = 1, .data = Octets(499)});
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kAck, .seq = 1, .ack = 1500}));
  t.Receives({.flags = kAck, .seq = 1500, .ack = 1, .data = Octets(10)});
  EXPECT_TRUE(t.SentNothing());
  t.Advance(Duration::Milliseconds(41));
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kAck, .seq = 1, .ack = 1510}));
}

// The flags of all that was sent, one letter a segment: P with PSH, . without.
std::string PushesOf(Trace& t) {
  std::string pushes;
  for (const Seg& seg : t.AllSent()) pushes += (seg.flags & kPsh) != 0 ? 'P' : '.';
  return pushes;
}

TEST(Habits, PushMarksTheEndOfTheBufferOnly) {
  Trace t(With(0, false));
  t.AcceptFromPeer({.mss = 1000});
  t.Send(Octets(5000));
  EXPECT_EQ(PushesOf(t), "....P");
  t.Send(Octets(20'000));  // five may go
  EXPECT_EQ(PushesOf(t), ".....");
}

TEST(Habits, PushMarksTheEndOfEachBurstToo) {
  Trace t(With(0, true));
  t.AcceptFromPeer({.mss = 1000});
  t.Send(Octets(5000));
  // On a short path a burst is as long as the windows allow.
  EXPECT_EQ(PushesOf(t), "....P");
  t.Send(Octets(20'000));
  EXPECT_EQ(PushesOf(t), "....P");
  t.Receives({.flags = kAck, .seq = 1, .ack = 1001});
  EXPECT_EQ(PushesOf(t), ".P");
}

TEST(Habits, BurstsOfALongPathAreTwoSegments) {
  Trace t(With(0, true));
  t.Listen();
  t.Receives({.flags = kSyn, .window = 60'000, .mss = 1000});
  t.ForgetSent();
  t.Advance(Duration::Milliseconds(100));
  t.Receives({.flags = kAck, .seq = 1, .ack = 1});
  t.Send(Octets(50'000));
  EXPECT_EQ(PushesOf(t), ".P.P.P.P.P");
  t.Receives({.flags = kAck, .seq = 1, .ack = 1001});
  EXPECT_EQ(PushesOf(t), ".P");
}

}  // namespace
}  // namespace millrace::testing

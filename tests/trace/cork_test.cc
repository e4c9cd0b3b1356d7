// The cork beside Nagle (group FLW).

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "testing/trace.h"

namespace millrace::testing {
namespace {

// FLW-10: a cork holds what is less than a segment, with or without Nagle.
TEST(Cork, HoldsBackUntilItIsTakenOff) {
  for (const bool no_delay : {false, true}) {
    Trace t;
    t.AcceptFromPeer({.mss = 1000});
    t.app().socket.SetNoDelay(no_delay);
    t.app().socket.SetCork(true);
    t.Send("head ");
    EXPECT_TRUE(t.SentNothing());
    t.Send(Octets(1000));
    EXPECT_EQ(t.Sent()->data.size(), 1000u);
    EXPECT_TRUE(t.SentNothing());
    t.app().socket.SetCork(false);
    t.Receives({.flags = kAck, .seq = 1, .ack = 1001});
    EXPECT_EQ(t.Sent()->data.size(), 5u);
  }
}

// FLW-10: nothing waits for ever: the override time-out of RFC 9293 3.8.6.2.1, and the FIN.
TEST(Cork, IsOverriddenByTimeAndByTheEnd) {
  Trace t;
  t.AcceptFromPeer({.mss = 1000});
  t.app().socket.SetCork(true);
  t.Send("one");
  t.Advance(Duration::Seconds(1));
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kAck, .seq = 1, .ack = 1, .data = "one"}));
  t.ForgetSent();
  t.Receives({.flags = kAck, .seq = 1, .ack = 4});
  t.Send("two");
  EXPECT_TRUE(t.SentNothing());
  t.Close();
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kFin | kAck, .seq = 4, .ack = 1, .data = "two"}));
}

}  // namespace
}  // namespace millrace::testing

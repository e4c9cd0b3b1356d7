// URG and PSH (groups URG; RFC 9293 3.8.5, RFC 6093: urgent data is delivered in line).

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "testing/trace.h"

namespace millrace::testing {
namespace {

using tcp::State;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr uint16_t kPointers[] = {0, 1, 3, 4, 5, 1000, 32'768, 65'535};

// URG-01, URG-02: wherever the pointer points, in or out of the segment and over the wrap, every
// octet is delivered in its place.
TEST(Urgent, TextIsDeliveredInLineWhateverThePointerSays) {
  for (const uint32_t isn : {1'000'000u, 0xFFFF'FFFCu}) {
    for (const uint16_t pointer : kPointers) {
      SCOPED_TRACE(::testing::Message() << "ISN " << isn << " pointer " << pointer);
      TraceOptions options;
      options.peer_isn = isn;
      Trace t(options);
      t.AcceptFromPeer();
      t.Receives({.flags = kAck | kUrg, .seq = 1, .ack = 1, .data = "urge", .urgent = pointer});
      t.Receives({.flags = kAck, .seq = 5, .ack = 1, .data = "calm"});
      EXPECT_THAT(t.TakeLog(), ElementsAre("data urge", "data calm"));
      t.Advance(Duration::Milliseconds(100));
      EXPECT_THAT(t.Sent(), IsSegment({.flags = kAck, .seq = 1, .ack = 9}));
    }
  }
}

// URG-02: a pointer on a segment without the flag means nothing.
TEST(Urgent, PointerWithoutTheFlagIsIgnored) {
  Trace t;
  t.AcceptFromPeer();
  t.Receives({.flags = kAck, .seq = 1, .ack = 1, .data = "text", .urgent = 2});
  EXPECT_THAT(t.TakeLog(), ElementsAre("data text"));
  EXPECT_EQ(t.counters().urgent_seen, 0u);
}

// URG-03: without text, in place: nothing happens.
TEST(Urgent, EmptyUrgentSegmentChangesNothingInAnyState) {
  for (const State state : kSynchronizedStates) {
    for (const uint16_t pointer : kPointers) {
      SCOPED_TRACE(::testing::Message() << ToString(state) << " pointer " << pointer);
      Trace t;
      const Trace::Place at = t.Reach(state);
      t.Receives({.flags = kAck | kUrg, .seq = at.rcv_nxt, .ack = at.snd_una, .urgent = pointer});
      EXPECT_TRUE(t.SentNothing());
      EXPECT_EQ(t.FlowState(), state);
      EXPECT_THAT(t.TakeLog(), IsEmpty());
    }
  }
}

// URG-03 before the connection exists.
TEST(Urgent, FlagOnSynDoesNotMatter) {
  Trace t;
  t.Listen();
  t.Receives({.flags = kSyn | kUrg, .seq = 0, .urgent = 10});
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kSyn | kAck, .seq = 0, .ack = 1}));
  t.Receives({.flags = kAck | kUrg, .seq = 1, .ack = 1, .data = "text", .urgent = 65'535});
  EXPECT_THAT(t.TakeLog(), ElementsAre("open", "data text"));
}

// URG-04 (MUST-66): "process the RST and URG fields of all incoming segments, even when the receive
// window is zero": the flag is seen, the ACK counts, the text waits.
TEST(Urgent, IsSeenWhileTheWindowIsClosed) {
  TraceOptions options;
  options.config.tcp.receive_buffer_bytes = 1000;
  Trace t(options);
  t.AcceptFromPeer();
  t.app().reading = false;
  t.Send("?");
  t.Receives({.flags = kAck, .seq = 1, .ack = 1, .data = Octets(1000)});
  t.Advance(Duration::Milliseconds(100));
  t.ForgetSent();
  t.Receives({.flags = kAck | kUrg, .seq = 1001, .ack = 2, .data = "urge", .urgent = 4});
  EXPECT_EQ(t.counters().urgent_seen, 1u);
  EXPECT_EQ(t.tcb()->flight(), 0u);
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kAck, .seq = 2, .ack = 1001, .window = 0}));
}

// URG-05 (MUST-60): "MUST set the PSH bit in the last buffered segment".
TEST(Push, IsSetOnTheLastSegmentOfAWriteOnly) {
  Trace t;
  t.AcceptFromPeer({.mss = 1000});
  t.Send(Octets(3000));
  std::vector<int> flags;
  for (const Seg& seg : t.AllSent()) flags.push_back(seg.flags);
  EXPECT_THAT(flags, ElementsAre(kAck, kAck, kAck | kPsh));
}

}  // namespace
}  // namespace millrace::testing

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

// Keeps what OnUrgent is told.
struct Told {
  explicit Told(Trace& t) {
    t.app().in_urgent = [this](stack::Socket s) { bytes.push_back(s.urgent_bytes()); };
  }
  std::vector<uint32_t> bytes;
};

// URG-01 (MUST-32, MUST-33, MUST-62): "points to the sequence number of the octet following the
// urgent data"; the application hears of it when it moves, and may ask how much is left to read.
TEST(Urgent, ApplicationIsToldWhenThePointerMovesAndHowFar) {
  for (const uint32_t isn : {1'000'000u, 0xFFFF'FFFCu}) {
    TraceOptions options;
    options.peer_isn = isn;
    Trace t(options);
    const Told told(t);
    t.AcceptFromPeer();
    t.app().reading = false;
    t.Receives({.flags = kAck | kUrg, .seq = 1, .ack = 1, .data = "calmurge", .urgent = 20});
    EXPECT_THAT(told.bytes, ElementsAre(20u));
    // One that does not reach as far says nothing new.
    t.Receives({.flags = kAck | kUrg, .seq = 9, .ack = 1, .data = "x", .urgent = 11});
    EXPECT_THAT(told.bytes, ElementsAre(20u));
    // It moves: more is to come than has arrived.
    t.Receives({.flags = kAck | kUrg, .seq = 10, .ack = 1, .data = "y", .urgent = 100});
    EXPECT_THAT(told.bytes, ElementsAre(20u, 109u));
    std::byte read[10];
    EXPECT_EQ(t.app().socket.Receive(read), 10u);
    EXPECT_EQ(t.app().socket.urgent_bytes(), 99u);
    t.app().reading = true;
    t.Receives({.flags = kAck, .seq = 11, .ack = 1, .data = Octets(99)});
    EXPECT_EQ(t.app().socket.urgent_bytes(), 0u);
    EXPECT_EQ(t.app().received.size(), 99u);
    // Read past, it is forgotten: the next one begins anew.
    t.Receives({.flags = kAck | kUrg, .seq = 110, .ack = 1, .urgent = 1});
    EXPECT_THAT(told.bytes, ElementsAre(20u, 109u, 1u));
    EXPECT_EQ(t.counters().urgent_seen, 4u);
  }
}

// URG-03: "This should not occur since a FIN has been received from the remote side."
TEST(Urgent, IsIgnoredBehindTheFinOfThePeerAndWithoutMemory) {
  Trace t;
  const Told told(t);
  t.AcceptFromPeer();
  t.Receives({.flags = kFin | kAck, .seq = 1, .ack = 1});
  t.Receives({.flags = kAck | kUrg, .seq = 2, .ack = 1, .urgent = 50});
  EXPECT_THAT(told.bytes, IsEmpty());
  EXPECT_EQ(t.app().socket.urgent_bytes(), 0u);
  EXPECT_EQ(stack::Socket().urgent_bytes(), 0u);

  TraceOptions none;
  none.config.limits.extras = 0;
  Trace without(none);
  const Told untold(without);
  without.AcceptFromPeer();
  without.Receives({.flags = kAck | kUrg, .seq = 1, .ack = 1, .data = "urge", .urgent = 4});
  EXPECT_THAT(untold.bytes, IsEmpty());
  EXPECT_EQ(without.counters().extras_full, 1u);
  EXPECT_EQ(without.app().received, "urge");
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

TEST(Urgent, ApplicationThatHasAbortedIsNotToldAnyMore) {
  Trace t;
  t.Listen();
  int told = 0;
  t.app().in_open = [](stack::Socket socket) { socket.Abort(); };
  t.app().in_urgent = [&](stack::Socket) { ++told; };
  t.Receives({.flags = kSyn, .seq = 0});
  t.ForgetSent();
  t.Receives({.flags = kAck | kUrg, .seq = 1, .ack = 1, .data = "x", .urgent = 1});
  EXPECT_EQ(told, 0);
}

// What peers bring about takes three quarters of the records; the rest is for what is asked for.
TEST(Urgent, PointersOfPeersLeaveRecordsForTheApplication) {
  TraceOptions options;
  options.config.limits.extras = 4;
  options.config.gateway_v4 = Trace::kPeerAddress;
  Trace t(options);
  t.Listen();
  for (uint32_t i = 0; i < 6; ++i) {
    const auto port = static_cast<uint16_t>(50'000 + i);
    t.ReceivesFrom(Trace::kPeerAddress, port, 80, {.flags = kSyn, .seq = 0});
    const std::optional<Seg> syn_ack = t.Sent();
    ASSERT_TRUE(syn_ack.has_value());
    t.ReceivesFrom(Trace::kPeerAddress, port, 80,
                   {.flags = kAck | kUrg, .seq = 1, .ack = syn_ack->seq + 1, .urgent = 9});
    t.ForgetIsn();
  }
  EXPECT_EQ(t.engine().env().extras.used(), 3u);
  EXPECT_EQ(t.counters().extras_full, 3u);
  EXPECT_TRUE(t.app().socket.SetLiveness({.keepalive = true}));
}

}  // namespace
}  // namespace millrace::testing

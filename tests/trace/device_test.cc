// Devices and pools that give less than is asked of them: what is lost is counted, repeated by who
// needs it, and never leaked.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "testing/trace.h"

namespace millrace::testing {
namespace {

using tcp::State;
using ::testing::IsEmpty;

void Deliver(Trace& t, const std::vector<std::byte>& octets) {
  sim::Frame frame(static_cast<uint32_t>(octets.size()));
  std::copy(octets.begin(), octets.end(), frame.data());
  t.port().Deliver(std::move(frame));
}

void DeliverSyns(Trace& t, uint16_t count) {
  for (uint16_t i = 0; i < count; ++i) {
    Deliver(t, t.FrameOf({.flags = kSyn}, Trace::kPeerAddress, static_cast<uint16_t>(1024 + i)));
  }
}

TraceOptions ManyHalfOpen() {
  TraceOptions options;
  options.config.limits.half_open = 4096;
  return options;
}

// A device that takes one packet at a time while bursts go out: nothing is lost, and nothing sent
// twice.
TEST(Device, ThatTakesOnePacketAtATimeGetsAllInTheEnd) {
  constexpr uint32_t kPerPoll = 32, kPolls = 24;
  Trace t(ManyHalfOpen());
  t.Listen(kPerPoll * kPolls);
  t.port().SetFaults({.transmit_packets_max = 1});
  for (uint32_t poll = 0; poll < kPolls; ++poll) {
    for (uint32_t i = 0; i < kPerPoll; ++i) {
      const auto port = static_cast<uint16_t>(1024 + poll * kPerPoll + i);
      Deliver(t, t.FrameOf({.flags = kSyn}, Trace::kPeerAddress, port));
    }
    t.Poll();
  }
  t.port().SetFaults({});
  t.Poll();
  EXPECT_EQ(t.AllSent().size(), kPerPoll * kPolls);
  EXPECT_EQ(t.engine().counters().tx_no_packet, 0u);
  EXPECT_EQ(t.port().live(), 0u);
}

// A device that takes nothing: SYNs stay in its ring once 512 answers wait, none of these is lost.
// Where both ends wait like that for each other, one burst of 32 goes on every 10 ms.
TEST(Device, ThatTakesNothingIsNotReadWhileItsAnswersWait) {
  constexpr uint16_t kSyns = 1000;
  Trace t(ManyHalfOpen());
  t.Listen(kSyns);
  t.port().SetFaults({.transmit_packets_max = 0});
  DeliverSyns(t, kSyns);
  t.Poll();
  EXPECT_EQ(t.port().rx_queued(), kSyns - 512u);
  EXPECT_EQ(t.engine().counters().tx_no_packet, 0u);
  t.Advance(Duration::Milliseconds(11));
  EXPECT_EQ(t.port().rx_queued(), kSyns - 512u - 32u);
  EXPECT_EQ(t.engine().counters().tx_no_packet, 32u);
  t.port().SetFaults({});
  t.Advance(Duration::Milliseconds(12));
  EXPECT_EQ(t.AllSent().size(), kSyns - 32u);
  EXPECT_EQ(t.engine().counters().tx_no_packet, 32u);
}

// What waits in front of the device is told to who opens connections, until it has gone.
TEST(Device, ThatIsFullSaysSoUntilItIsNot) {
  for (uint16_t syns = 4; syns < 12; ++syns) {  // the last one goes before a poll or behind it
    SCOPED_TRACE(syns);
    Trace t(ManyHalfOpen());
    t.Listen(syns);
    t.port().SetFaults({.transmit_packets_max = 0});
    DeliverSyns(t, syns);
    t.Poll();
    EXPECT_TRUE(t.engine().port_full());
    t.port().SetFaults({.transmit_packets_max = 1});
    t.Poll();
    EXPECT_FALSE(t.engine().port_full());
    EXPECT_EQ(t.AllSent().size(), syns);
  }
}

// Each time anew: a stop that is over before its 10 ms are leaves nothing of them behind.
TEST(Device, ThatTakesNothingNowAndThenLosesNoAnswer) {
  constexpr uint16_t kSyns = 1000;
  TraceOptions options = ManyHalfOpen();
  options.config.limits.half_open = 5 * kSyns;
  Trace t(options);
  t.Listen(5 * kSyns);
  for (uint16_t stop = 0; stop < 5; ++stop) {
    t.port().SetFaults({.transmit_packets_max = 0});
    for (uint16_t i = 0; i < kSyns; ++i) {
      const auto port = static_cast<uint16_t>(1024 + stop * kSyns + i);
      Deliver(t, t.FrameOf({.flags = kSyn}, Trace::kPeerAddress, port));
    }
    t.Advance(Duration::Milliseconds(2));
    t.port().SetFaults({});
    t.Advance(Duration::Milliseconds(100));
    EXPECT_EQ(t.engine().counters().tx_no_packet, 0u) << stop;
  }
}

// What is not answered at once, or by a connection that waits for room itself, is read all the
// same.
TEST(Device, ThatTakesNothingIsReadAsLongAsNoAnswerIsLost) {
  Trace t(ManyHalfOpen());
  t.Listen(1000);
  t.ReceivesBurst({{.flags = kSyn}});
  t.ForgetSent();
  t.Receives({.flags = kAck, .seq = 1, .ack = 1});
  t.port().SetFaults({.transmit_packets_max = 0});
  DeliverSyns(t, 512);
  t.Poll();
  for (uint32_t i = 0; i < 320; ++i) {
    Deliver(t, t.FrameOf({.flags = kAck, .seq = 1 + i, .ack = 1, .data = "x"}));
  }
  t.Poll();
  EXPECT_EQ(t.port().rx_queued(), 320u) << "the last ones earned answers";
  t.Advance(Duration::Milliseconds(11));
  EXPECT_EQ(t.port().rx_queued(), 0u);
  t.port().SetFaults({});
  t.Poll();
  EXPECT_EQ(t.app().received.size(), 320u);
  EXPECT_EQ(t.engine().counters().tx_no_packet, 0u);
}

// Without a packet to send in, a segment is lost like any other: the timer repeats it, and answers
// are earned again.
TEST(Device, WithoutPacketsLosesSegmentsThatTheTimerRepeats) {
  Trace t;
  t.AcceptFromPeer();
  t.port().SetFaults({.allocate_fail_every = 1});
  t.Send("data");
  t.ReceivesFrom(Trace::kPeerAddress, 9, 9, {.flags = kSyn});
  EXPECT_TRUE(t.SentNothing());
  EXPECT_EQ(t.engine().counters().tx_no_packet, 2u);
  t.port().SetFaults({});
  t.Advance(Duration::Milliseconds(1100));
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kAck, .seq = 1, .ack = 1, .data = "data"}));
}

// Control frames too: a neighbour is asked again a second later.
TEST(Device, WithoutPacketsAsksForANeighbourLater) {
  Trace t;
  t.port().SetFaults({.allocate_fail_every = 1});
  ASSERT_EQ(t.engine().Connect({t.AddressOf(0x0A00'0003), 80}, 0, nullptr),
            stack::ConnectResult::kOk);
  t.Advance(Duration::Milliseconds(10));
  EXPECT_THAT(t.other_frames, IsEmpty());
  EXPECT_EQ(t.engine().counters().tx_no_packet, 2u) << "the SYN, and the question";
  t.port().SetFaults({});
  t.Advance(Duration::Milliseconds(1000));
  EXPECT_EQ(t.other_frames.size(), 1u);
}

// RFC 1122 2.3.2.2: the latest packets wait for a neighbour's address, no more than three.
TEST(Device, PacketsThatWaitForANeighbourAreFreedWithTheStack) {
  Trace t;
  for (uint16_t port = 1; port <= 5; ++port) {
    ASSERT_EQ(t.engine().Connect({t.AddressOf(0x0A00'0003), port}, 0, nullptr),
              stack::ConnectResult::kOk);
  }
  t.Poll();
  EXPECT_EQ(t.engine().neighbors().parked(), 3u);
  EXPECT_EQ(t.port().live(), 3u);
}

// Memory that cannot be had is told before the engine is used.
TEST(Device, EngineWithoutItsMemorySaysSo) {
  TraceOptions options;
  EXPECT_TRUE(Trace(options).engine().ok());
  options.config.limits.connections = (1u << 28) + 1;
  options.config.limits.half_open = options.config.limits.time_wait = 0;
  EXPECT_FALSE(Trace(options).engine().ok());
}

// Without room for a TIME-WAIT a connection still closes; the tuple is free at once.
TEST(Device, WithoutTimeWaitsAConnectionStillCloses) {
  TraceOptions options;
  options.config.limits.time_wait = 0;
  Trace t(options);
  t.AcceptFromPeer();
  t.Close();
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kFin | kAck, .seq = 1, .ack = 1}));
  t.Receives({.flags = kFin | kAck, .seq = 1, .ack = 2});
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kAck, .seq = 2, .ack = 2}));
  EXPECT_EQ(t.FlowState(), State::kClosed);
  EXPECT_EQ(t.counters().time_wait_evicted, 1u);
  t.ExpectNothingHeld();
}

}  // namespace
}  // namespace millrace::testing

// What a peer can make us hold, and the receive window that grows (groups FLW, R19; section 3 of
// the requirements: small segments).

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "testing/trace.h"

namespace millrace::testing {
namespace {

using tcp::State;

// A window full of 1-octet segments that nobody reads: every octet is taken and none lost, and the
// memory is that of a window.
TEST(ReceiveMemory, WindowOfTinySegmentsIsTakenWhole) {
  TraceOptions options;
  options.config.tcp.receive_buffer_bytes = 40'000;
  Trace t(options);
  t.AcceptFromPeer();
  t.app().reading = false;
  const std::string stream = Octets(40'000);
  for (uint32_t at = 0; at < stream.size(); at += 8) {
    std::vector<Seg> burst;
    for (uint32_t i = at; i < at + 8; ++i) {
      burst.push_back({.flags = kAck, .seq = 1 + i, .ack = 1, .data = stream.substr(i, 1)});
    }
    t.ReceivesBurst(burst);
    ASSERT_LE(t.port().live(), 256u);
  }
  t.Advance(Duration::Milliseconds(100));
  const std::vector<Seg> acks = t.AllSent();
  EXPECT_EQ(acks.back().ack, 40'001u);
  EXPECT_EQ(acks.back().window, 0u);
  EXPECT_EQ(t.counters().rcv_queue_drop, 0u);
  EXPECT_LE(t.engine().env().receive_pool.chunks.used(), 40'000u / tcp::kChunkBytes + 1);
  EXPECT_GT(t.counters().rcv_coalesce, 39'000u);
  t.app().reading = true;
  t.app().log_data = false;
  t.app().socket.Resume();
  t.Poll();
  EXPECT_EQ(t.app().received, stream);
  t.Abort();
  t.ExpectNothingHeld();
}

// Segments of any size after the tiny ones, with a gap in between that is filled last.
TEST(ReceiveMemory, LargeSegmentsAndFilledGapsFollowTinyOnes) {
  TraceOptions options;
  options.config.tcp.receive_packets_max = 4;
  Trace t(options);
  t.AcceptFromPeer();
  t.app().reading = false;
  const std::string stream = Octets(30'000);
  const auto send = [&](uint32_t at, uint32_t length) {
    t.Receives({.flags = kAck, .seq = 1 + at, .ack = 1, .data = stream.substr(at, length)});
  };
  for (uint32_t i = 0; i < 3; ++i) send(i, 1);
  send(4, 1000);  // out of order
  send(3, 1);     // fills the gap
  for (uint32_t at = 1004; at < 30'000;) {
    const uint32_t length = std::min(1 + at % 1400, 30'000 - at);
    send(at, length);
    at += length;
  }
  t.app().reading = true;
  t.app().log_data = false;
  t.app().socket.Resume();
  t.Poll();
  EXPECT_EQ(t.app().received, stream);
  EXPECT_EQ(t.counters().rcv_queue_drop, 0u);
  t.Abort();
  t.ExpectNothingHeld();
}

// One connection's hoard ends where the core's chunks end; others still get theirs.
TEST(ReceiveMemory, ChunksAreBounded) {
  TraceOptions options;
  options.config.tcp.receive_packets_max = 4;
  options.config.limits.receive_chunks = 1;
  Trace t(options);
  t.AcceptFromPeer();
  t.app().reading = false;
  for (uint32_t at = 0; at < 10'000; at += 100) {
    t.Receives({.flags = kAck, .seq = 1 + at, .ack = 1, .data = Octets(100, at)});
  }
  EXPECT_GT(t.counters().rcv_queue_drop, 0u);
  EXPECT_EQ(t.engine().env().receive_pool.chunks.used(), 1u);
  EXPECT_EQ(t.tcb()->receive.packets(), 5u);
  const uint32_t held = t.tcb()->receive.ready_bytes();
  EXPECT_EQ(held, 400u + 2000);
  t.app().reading = true;
  t.app().log_data = false;
  t.app().socket.Resume();
  t.Poll();
  EXPECT_EQ(t.app().received, Octets(held));
}

// A peer that fills the window every round trip of 100 ms.
uint32_t GrowBy(Trace& t, int rounds) {
  t.app().log_data = false;
  uint32_t at = 1;
  for (int round = 0; round < rounds; ++round) {
    t.Advance(Duration::Milliseconds(100));
    const uint32_t end = at + t.tcb()->rcv_wnd();
    while (at < end) {
      const uint32_t length = std::min<uint32_t>(1460, end - at);
      t.Receives({.flags = kAck, .seq = at, .ack = 1, .data = Octets(length, at - 1)});
      at += length;
    }
  }
  return at - 1;
}

Trace MakeTuned(uint32_t most, uint64_t budget) {
  TraceOptions options;
  options.config.tcp.receive_buffer_bytes = 64'000;
  options.config.tcp.receive_buffer_max_bytes = most;
  options.config.tcp.receive_tuning_bytes_max = budget;
  return Trace(options);
}

void OpenSlowly(Trace& t) {
  t.Listen();
  t.Receives({.flags = kSyn, .seq = 0, .mss = 1460, .window_scale = 7});
  t.Advance(Duration::Milliseconds(100));
  t.Receives({.flags = kAck, .seq = 1, .ack = 1});
  ASSERT_EQ(t.state(), State::kEstablished);
}

// FLW-02 (SHLD-14): the window grows with what is read, to its bound, and never shrinks.
TEST(ReceiveTuning, WindowGrowsWithWhatIsReadPerRoundTrip) {
  Trace t = MakeTuned(1'000'000, 10'000'000);
  OpenSlowly(t);
  const uint32_t read = GrowBy(t, 12);
  EXPECT_EQ(t.tcb()->receive_buffer_bytes, 1'000'000u);
  EXPECT_EQ(t.app().received.size(), read);
  t.Abort();
  EXPECT_EQ(t.engine().env().receive_tuned_bytes, 0u);
  t.ExpectNothingHeld();
}

TEST(ReceiveTuning, StopsAtTheBudgetOfTheCore) {
  Trace t = MakeTuned(1'000'000, 100'000);
  OpenSlowly(t);
  GrowBy(t, 12);
  EXPECT_EQ(t.tcb()->receive_buffer_bytes, 164'000u);
  EXPECT_EQ(t.engine().env().receive_tuned_bytes, 100'000u);
}

// What is not read does not make the window grow: a slow reader gets no memory for it.
TEST(ReceiveTuning, SlowReaderKeepsItsWindow) {
  Trace t = MakeTuned(1'000'000, 10'000'000);
  OpenSlowly(t);
  t.app().log_data = false;
  uint32_t at = 1;
  for (int i = 0; i < 100; ++i) {
    t.Receives({.flags = kAck, .seq = at, .ack = 1, .data = Octets(1460, at - 1)});
    at += 1460;
    t.Advance(Duration::Milliseconds(20));  // 7,300 octets per round trip
  }
  EXPECT_EQ(t.tcb()->receive_buffer_bytes, 64'000u);
}

}  // namespace
}  // namespace millrace::testing

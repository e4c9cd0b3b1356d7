// Initial sequence numbers, timestamp offsets and local ports as a peer sees them (group ISN; the
// statistics of the generator are in unit/tcp/isn_test.cc, those of ports in
// unit/stack/source_port_test.cc).

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "testing/trace.h"

namespace millrace::testing {
namespace {

using stack::ConnectResult;
using tcp::State;

// ISN-04: the engine holds its keys in pages that no core dump has.
TEST(Isn, KeysAreLeftOutOfCoreDumps) {
  Trace t;
  std::ifstream maps("/proc/self/smaps");
  std::string line, flags;
  bool inside = false;
  while (flags.empty() && std::getline(maps, line)) {
    uint64_t begin = 0, end = 0;
    char dash = 0;
    std::istringstream range(line);
    if (range >> std::hex >> begin >> dash >> end && dash == '-') {
      const auto at = reinterpret_cast<uintptr_t>(&t.engine());
      inside = at >= begin && at < end;
    } else if (inside && line.rfind("VmFlags:", 0) == 0) {
      flags = line;
    }
  }
  EXPECT_NE(flags.find(" dd"), std::string::npos) << flags;
}

Endpoint Remote(const Trace& t, uint16_t port) { return {t.AddressOf(Trace::kPeerAddress), port}; }

// ISN-01 (MUST-8): the 4-tuple again, later: ahead by the clock of about 4 microseconds.
TEST(Isn, GrowsWithTheClockForTheSameTuple) {
  Trace t;
  t.Connect();
  t.ForgetSent();
  SeqNum previous = t.host_isn();
  for (int64_t ms : {1, 10, 1000, 60'000}) {
    SCOPED_TRACE(ms);
    t.Close();
    ASSERT_EQ(t.FlowState(), State::kClosed);
    t.Advance(Duration::Milliseconds(ms));
    t.ForgetIsn();
    t.Connect();
    t.ForgetSent();
    const uint32_t grown = t.host_isn().Since(previous);
    const double expected = static_cast<double>(ms) * 1000 / 4.096;
    EXPECT_NEAR(grown, expected, expected * 0.01 + 1);
    previous = t.host_isn();
  }
}

// ISN-01: SYN-ACKs too.
TEST(Isn, OfAPassiveOpenGrowsWithTheClock) {
  Trace t;
  t.Listen();
  t.Receives({.flags = kSyn, .mss = 1460});
  const SeqNum first = t.host_isn();
  t.Receives({.flags = kRst, .seq = 1});
  t.Advance(Duration::Seconds(1));
  t.ForgetIsn();
  t.ForgetSent();
  t.Receives({.flags = kSyn, .mss = 1460});
  EXPECT_NEAR(t.host_isn().Since(first), 1e6 / 4.096, 2);
}

// ISN-02 (SHLD-1): at one instant, neighbouring tuples: neither equal nor near.
TEST(Isn, OfNeighbouringTuplesAreUnrelated) {
  std::set<uint32_t> seen;
  int near = 0;
  uint32_t previous = 0;
  for (uint16_t port = 1; port <= 60; ++port) {
    TraceOptions options;
    options.peer_port = port;
    Trace t(options);
    t.Connect();
    const uint32_t isn = t.host_isn().value();
    EXPECT_TRUE(seen.insert(isn).second);
    if (std::abs(static_cast<int32_t>(isn - previous)) < 1 << 24) ++near;
    previous = isn;
  }
  EXPECT_LE(near, 3);  // 60 pairs, each near with probability 2^-7
}

// ISN-05 (RFC 6056): the first ports towards different destinations say nothing about each other.
TEST(Isn, LocalPortsComeFromTheRangeAndDifferByDestination) {
  Trace t;
  std::set<int> offsets;
  for (uint16_t remote = 1; remote <= 20; ++remote) {
    stack::Socket socket;
    ASSERT_EQ(t.engine().Connect(Remote(t, remote), 0, &socket), ConnectResult::kOk);
    EXPECT_GE(socket.local().port, t.options().config.source_port_min);
    EXPECT_LE(socket.local().port, t.options().config.source_port_max);
    offsets.insert(socket.local().port / 256);
  }
  EXPECT_GE(offsets.size(), 10u);
}

// ISN-06: an error at once, and the ports are of use again afterwards.
TEST(Isn, AllPortsInUseIsAnErrorAtOnce) {
  TraceOptions options;
  options.config.source_port_min = 5000;
  options.config.source_port_max = 5007;
  Trace t(options);
  std::vector<stack::Socket> sockets(8);
  std::set<uint16_t> ports;
  for (stack::Socket& socket : sockets) {
    ASSERT_EQ(t.engine().Connect(Remote(t, 80), 0, &socket), ConnectResult::kOk);
    ports.insert(socket.local().port);
  }
  EXPECT_EQ(ports.size(), 8u);
  stack::Socket extra;
  EXPECT_EQ(t.engine().Connect(Remote(t, 80), 0, &extra), ConnectResult::kNoPorts);
  EXPECT_EQ(t.counters().ports_exhausted, 1u);
  EXPECT_EQ(t.engine().Connect(Remote(t, 81), 0, &extra), ConnectResult::kOk) << "per destination";
  t.Poll();
  sockets[3].Close();
  t.Poll();
  EXPECT_EQ(t.engine().Connect(Remote(t, 80), 0, &extra), ConnectResult::kOk);
}

// ISN-08 (RFC 7323 5.4): one clock per tuple, monotonic, and different offsets between tuples.
TEST(Isn, TimestampsAreOffsetPerTupleAndMonotonic) {
  std::set<uint32_t> first;
  for (uint16_t port = 1000; port < 1004; ++port) {
    TraceOptions options;
    options.peer_port = port;
    Trace t(options);
    t.Connect();
    uint32_t tsval = *t.Sent()->tsval;
    EXPECT_TRUE(first.insert(tsval >> 20).second);
    // Connection after connection of the tuple; the peer's TIME-WAIT relies on it (RFC 6191).
    for (int again = 0; again < 5; ++again) {
      t.Close();
      t.Advance(Duration::Milliseconds(10));
      t.ForgetIsn();
      t.Connect();
      const uint32_t later = *t.Sent()->tsval;
      EXPECT_GE(later - tsval, 8u);
      EXPECT_LE(later - tsval, 11u);
      tsval = later;
    }
  }
}

// ISN-09: the tuple again, a millisecond after a connection that moved little: the peer, in
// TIME-WAIT, accepts the SYN by its timestamp or its sequence number (RFC 6191).
TEST(Isn, ClientMayReuseATupleRightAfterTheServerClosed) {
  Trace t;
  Seg syn_ack{.mss = 1460};
  syn_ack.tsval = 100;
  t.ConnectToPeer(syn_ack);
  t.Advance(Duration::Milliseconds(1));
  t.Send("GET");
  const auto request = t.Sent();
  t.Receives({.flags = kFin | kAck, .seq = 1, .ack = 4, .data = "x", .tsval = 101, .tsecr = 0});
  t.ForgetSent();
  t.Close();
  const auto fin = t.Sent();
  ASSERT_THAT(fin, IsSegment({.flags = kFin | kAck, .seq = 4, .ack = 3}));
  t.Receives({.flags = kAck, .seq = 3, .ack = 5, .tsval = 101, .tsecr = 0});
  EXPECT_EQ(t.FlowState(), State::kClosed);
  t.Advance(Duration::Milliseconds(2));
  t.Connect();
  const auto syn = t.Sent();
  ASSERT_TRUE(syn.has_value());
  EXPECT_GT(static_cast<int32_t>(syn->seq), 5);
  EXPECT_GT(static_cast<int32_t>(*syn->tsval - *fin->tsval), 0);
}

}  // namespace
}  // namespace millrace::testing

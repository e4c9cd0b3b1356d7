// A receiver that drains slowly, between two shipped stacks (RFC 9293 3.8.6.2, silly window
// syndrome): its window opens by segments, not by what it reads, and no stream of tiny segments
// comes of it.

#include <gtest/gtest.h>

#include <array>
#include <vector>

#include "millrace/wire/tcp_header.h"
#include "testing/transfer.h"

namespace millrace::testing {
namespace {

constexpr uint32_t kBuffer = 16'384;
constexpr uint32_t kSegment = 1448;  // octets of text beside timestamps
constexpr uint64_t kOctets = 400'000;

// Reads `bytes` of what has come whenever it is told to.
class SlowReader {
 public:
  void OnOpen(stack::Socket socket) { socket_ = socket; }
  size_t OnReceive(stack::Socket, std::span<const std::byte>) { return 0; }
  void OnPeerClosed(stack::Socket socket) { socket.Close(); }
  void OnWritable(stack::Socket) {}
  void OnClose(stack::Socket, tcp::CloseReason) { closed = true; }
  void OnPoll(stack::Engine&, Instant) {}

  void Read(size_t bytes) {
    std::array<std::byte, 4096> octets;
    const size_t taken = socket_.Receive(std::span(octets).first(bytes));
    for (size_t i = 0; i < taken; ++i) wrong += octets[i] != sim::StreamOctet(1, received++);
  }

  uint64_t received = 0, wrong = 0;
  bool closed = false;

 private:
  stack::Socket socket_;
};

struct Wire {
  uint64_t segments = 0, octets = 0, small = 0;  // with text; less than a full one
  uint64_t acks = 0;                             // the other way
};

Wire Drain(size_t bytes_at_a_time) {
  const auto port = [](uint8_t last) {
    sim::SimPortOptions options;
    options.capabilities.mac = {{2, 0, 0, 0, 0, last}};
    return options;
  };
  const auto config_of = [](const char* address) {
    stack::EngineConfig config;
    config.address = *IpPrefix::Parse(address);
    config.tcp.receive_buffer_bytes = config.tcp.receive_buffer_max_bytes = kBuffer;
    config.pages = Region::Pages::kPlain;
    return config;
  };
  sim::World world(1);
  sim::Host<BulkSender> sender(world, port(1), config_of("10.0.0.1/24"), kOctets);
  sim::Host<SlowReader> reader(world, port(2), config_of("10.0.0.2/24"));
  sim::Impairment path;
  path.delay = Duration::Milliseconds(1);
  sim::Cable cable(world, sender.port(), reader.port(), path);
  Wire wire;
  cable.forward.SetFilter([&](Instant, const sim::Frame& frame) {
    if (frame.length() < 54 || LoadU8(frame.data() + 23) != 6) return false;
    const uint32_t header = (LoadU8(frame.data() + 34 + wire::kTcpDataOffsetAt) >> 4) * 4u;
    const uint32_t text = LoadBe16(frame.data() + 16) - 20u - header;
    if (text == 0) return false;
    ++wire.segments;
    wire.octets += text;
    if (text < kSegment) ++wire.small;
    return false;
  });
  cable.backward.SetFilter([&](Instant, const sim::Frame&) {
    ++wire.acks;
    return false;
  });
  EXPECT_EQ(reader.engine().Listen({IpAddress::V4(0), 80}, 16, 0), stack::ListenResult::kOk);
  EXPECT_EQ(sender.engine().Connect({*IpAddress::Parse("10.0.0.2"), 80}, 0, nullptr),
            stack::ConnectResult::kOk);
  sender.Wake();
  for (int ms = 0; ms < 1'000'000 && !reader.app().closed; ++ms) {
    reader.app().Read(bytes_at_a_time);
    reader.Wake();
    world.RunFor(Duration::Milliseconds(1));
  }
  EXPECT_EQ(reader.app().received, kOctets);
  EXPECT_EQ(reader.app().wrong, 0u);
  EXPECT_EQ(wire.octets, kOctets) << "nothing was sent twice";
  return wire;
}

TEST(SlowReader, TakesFullSegmentsHoweverLittleItReads) {
  for (const size_t bytes : {100u, 700u, 1448u, 3000u}) {
    SCOPED_TRACE(bytes);
    const Wire wire = Drain(bytes);
    // The buffer is no multiple of a segment: the last one of a window is cut now and then.
    EXPECT_LE(wire.small, 2 * kOctets / kBuffer + 2);
    EXPECT_LE(wire.segments, kOctets / kSegment + wire.small + 1);
    // One for each segment at most, and one when the window opens.
    EXPECT_LE(wire.acks, 2 * wire.segments + 4);
  }
}

}  // namespace
}  // namespace millrace::testing

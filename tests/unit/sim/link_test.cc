// tests/unit/sim/link_test.cc - frames cross a simulated network; captures of them.
#include "millrace/sim/link.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "test_frames.h"

namespace millrace::sim {
namespace {

using ::testing::ElementsAre;

// Receives as frames arrive: when, and which.
struct Receiver {
  explicit Receiver(SimPort& port_in) : port(port_in) {}
  Instant NextRunAt() const { return port.rx_queued() > 0 ? Instant() : Instant::Never(); }
  void Run(Instant now) {
    std::array<stack::RxFrame, stack::kBurst> frames;
    const size_t count = port.RxBurst(now, frames);
    for (const stack::RxFrame& frame : std::span(frames).first(count)) {
      arrivals.emplace_back(now, IdOf(frame));
      port.Free({&frame.packet, 1});
    }
  }

  SimPort& port;
  std::vector<std::pair<Instant, uint32_t>> arrivals;
};

struct Net {
  explicit Net(const Impairment& impairment, uint64_t seed = 1)
      : world(seed), cable(world, a, b, impairment), receiver(b) {
    world.Add(receiver);
  }
  void Send(uint32_t id) { cable.forward.Send(world.now(), TcpFrame(id)); }

  World world;
  SimPort a{SimPortOptions{}}, b{SimPortOptions{}};
  Cable cable;
  Receiver receiver;
};

TEST(Link, DeliversAfterTheDelayInVirtualTime) {
  Net net({.delay = Duration::Milliseconds(3)});
  const Instant start = net.world.now();
  net.Send(1);
  net.Send(2);
  EXPECT_EQ(net.cable.forward.in_flight(), 2u);
  net.world.RunFor(Duration::Seconds(1));
  const Instant due = start + Duration::Milliseconds(3);
  EXPECT_THAT(net.receiver.arrivals, ElementsAre(std::pair(due, 1u), std::pair(due, 2u)));
  EXPECT_EQ(net.b.live(), 0u);
}

TEST(Link, IsTheSinkOfItsPort) {
  Net net({});
  const wire::PacketHandle packet = net.a.Allocate();
  const Frame frame = TcpFrame(6);
  std::memcpy(net.a.Data(packet), frame.data(), frame.length());
  net.a.Finish(packet, frame.length(), {});
  EXPECT_EQ(net.a.TxBurst(net.world.now(), {&packet, 1}), 1u);
  net.world.RunFor(Duration::Milliseconds(1));
  ASSERT_EQ(net.receiver.arrivals.size(), 1u);
  EXPECT_EQ(net.receiver.arrivals[0].second, 6u);
}

TEST(Link, ConservesFramesUnderEveryImpairment) {
  Net net({.loss = 0.05,
           .burst_loss = 0.01,
           .reorder = 0.1,
           .duplicate = 0.1,
           .corrupt = 0.1,
           .delay = Duration::Milliseconds(2),
           .jitter = Duration::Milliseconds(1)});
  for (uint32_t id = 0; id < 5000; ++id) {
    net.Send(id);
    if (id % 100 == 0) net.cable.forward.Send(net.world.now(), ArpFrame());
    net.world.RunFor(Duration::Microseconds(10));
  }
  net.world.RunFor(Duration::Seconds(1));
  const ImpairmentCounters& c = net.cable.forward.impairment_counters();
  const LinkCounters& link = net.cable.forward.counters();
  EXPECT_EQ(net.cable.forward.in_flight(), 0u);
  EXPECT_EQ(link.delivered + link.stopped_by_fcs, c.passed + c.duplicated);
  EXPECT_EQ(net.receiver.arrivals.size(), link.delivered);
  EXPECT_GT(link.stopped_by_fcs, 0u);
  EXPECT_GT(c.duplicated, 0u);
}

TEST(Link, RepeatsWithTheSeedOfTheWorld) {
  const auto run = [](uint64_t seed) {
    Net net({.loss = 0.1, .reorder = 0.2, .duplicate = 0.1}, seed);
    for (uint32_t id = 0; id < 500; ++id) {
      net.Send(id);
      net.world.RunFor(Duration::Microseconds(10));
    }
    net.world.RunFor(Duration::Seconds(1));
    return net.receiver.arrivals;
  };
  EXPECT_EQ(run(3), run(3));
  EXPECT_NE(run(3), run(4));
}

TEST(Link, HealedLinkStillDeliversWhatIsInFlight) {
  Net net({.delay = Duration::Seconds(2)});
  const Instant start = net.world.now();
  net.Send(1);
  net.world.RunFor(Duration::Seconds(1));
  net.cable.SetImpairment({});
  net.Send(2);
  net.world.RunFor(Duration::Seconds(3));
  EXPECT_THAT(net.receiver.arrivals, ElementsAre(std::pair(start + Duration::Seconds(1), 2u),
                                                 std::pair(start + Duration::Seconds(2), 1u)));
}

TEST(Link, FilterLosesCertainFrames) {
  Net net({});
  net.cable.forward.SetFilter([](Instant, const Frame& f) { return IdOf(f) == 2; });
  for (uint32_t id = 1; id <= 3; ++id) net.Send(id);
  net.world.RunFor(Duration::Seconds(1));
  ASSERT_EQ(net.receiver.arrivals.size(), 2u);
  EXPECT_EQ(net.receiver.arrivals[1].second, 3u);
  EXPECT_EQ(net.cable.forward.counters().filtered, 1u);
}

// A file name of this process that is removed at the end.
struct TemporaryFile {
  TemporaryFile() : path(testing::TempDir() + "millrace-pcap-" + std::to_string(getpid())) {}
  ~TemporaryFile() { unlink(path.c_str()); }
  std::string Read() const {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  std::string path;
};

uint32_t LoadLe32(const std::string& bytes, size_t at) {
  uint32_t value;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

TEST(PcapWriter, WritesFramesWithVirtualTimestamps) {
  TemporaryFile file;
  {
    PcapWriter capture(file.path);
    ASSERT_TRUE(capture.ok());
    Net net({.loss = 1});  // a capture at the sender shows what is lost later
    net.cable.Capture(&capture);
    net.world.RunFor(Duration::Nanoseconds(1'500'000'007));
    net.Send(0x61626364);
    net.cable.backward.Send(net.world.now(), ArpFrame());
    EXPECT_EQ(capture.frames(), 2u);
  }
  const std::string bytes = file.Read();
  const size_t tcp_length = kTestPayloadAt + 4, arp_length = 42;
  ASSERT_EQ(bytes.size(), 24 + 16 + tcp_length + 16 + arp_length);
  EXPECT_EQ(LoadLe32(bytes, 0), 0xA1B23C4Du);
  EXPECT_EQ(LoadLe32(bytes, 20), 1u);  // Ethernet
  EXPECT_EQ(LoadLe32(bytes, 24), 2u);  // the world begins at one second
  EXPECT_EQ(LoadLe32(bytes, 28), 500'000'007u);
  EXPECT_EQ(LoadLe32(bytes, 32), tcp_length);
  EXPECT_EQ(LoadLe32(bytes, 36), tcp_length);
  EXPECT_EQ(bytes.substr(24 + 16 + tcp_length - 4, 4), "abcd");
}

TEST(PcapWriter, ReportsAFileThatCannotBeCreated) {
  PcapWriter capture("/no-such-directory/x.pcap");
  EXPECT_FALSE(capture.ok());
  capture.Write(At(0), ArpFrame().octets());
  EXPECT_EQ(capture.frames(), 0u);
}

}  // namespace
}  // namespace millrace::sim

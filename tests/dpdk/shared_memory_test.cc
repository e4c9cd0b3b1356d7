// Ports of shared memory with several queues, both ends in this process: queue i of one is queue i
// of the other. That they carry what they are given, each on its queue, and close.

#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "millrace/dpdk/clock.h"
#include "millrace/dpdk/port_config.h"

namespace millrace::dpdk {
namespace {

constexpr uint32_t kQueues = 2;
constexpr size_t kFrames = 500;

struct Kind {
  const char* name;
  std::string first, second;  // --dev of the end that listens, and of the other
  int ends;                   // how often they go in the test of that
};

Kind Memif() {
  const std::string path = absl::StrCat("/tmp/millrace-test-", getpid(), ".memif");
  return {"memif", absl::StrCat("memif:", path, ",role=server,queues=", kQueues),
          absl::StrCat("memif:", path, ",queues=", kQueues), 30};
}
Kind Vhost() {
  const std::string path = absl::StrCat("/tmp/millrace-test-", getpid(), ".vhost");
  return {
      "vhost", absl::StrCat("vdev:net_vhost7,iface=", path, ",queues=", kQueues),
      absl::StrCat("vdev:net_virtio_user7,path=", path, ",queues=", kQueues, ",queue_size=1024"),
      2};  // the driver takes a second to go
}

class SharedMemory : public ::testing::TestWithParam<Kind> {
 protected:
  static std::unique_ptr<AttachedPort> Open(const std::string& text) {
    auto config = ParsePortConfig(text);
    EXPECT_TRUE(config.ok()) << config.status();
    DpdkPortOptions options;
    options.packets = 8191;
    auto port = AttachedPort::Open(*config, options, kQueues);
    EXPECT_TRUE(port.ok()) << port.status();
    return port.ok() ? *std::move(port) : nullptr;
  }
  // Sends numbered frames on a queue and takes them at the other end, until all have come or
  // nothing came for ten seconds.
  static size_t Carry(DpdkPort& from, DpdkPort& to, std::byte mark) {
    size_t sent = 0, received = 0;
    for (int64_t end = MonotonicNs() + 10'000'000'000; received < kFrames && MonotonicNs() < end;) {
      if (sent < kFrames) {
        wire::PacketHandle packet = from.Allocate();
        if (packet != wire::PacketHandle::kNone) {
          std::memset(from.Data(packet), static_cast<int>(mark), 60);
          const auto number = static_cast<uint32_t>(sent);
          std::memcpy(from.Data(packet) + 14, &number, sizeof number);
          from.Finish(packet, 60, {});
          if (from.TxBurst(Instant(), {&packet, 1}) == 1) {
            ++sent;
          } else {
            from.Free({&packet, 1});
          }
        }
      }
      std::array<stack::RxFrame, stack::kBurst> frames;
      const size_t count = to.RxBurst(Instant(), frames);
      for (size_t i = 0; i < count; ++i) {
        uint32_t number = 0;
        std::memcpy(&number, frames[i].data + 14, sizeof number);
        EXPECT_EQ(frames[i].data[20], mark);
        EXPECT_EQ(number, received);
        ++received;
        to.Free({&frames[i].packet, 1});
      }
    }
    return received;
  }
};

TEST_P(SharedMemory, EveryQueueCarriesItsOwnFramesBothWays) {
  const auto first = Open(GetParam().first);
  ASSERT_NE(first, nullptr);
  const auto second = Open(GetParam().second);
  ASSERT_NE(second, nullptr);
  ASSERT_EQ(first->queues(), kQueues);
  ASSERT_EQ(second->queues(), kQueues);
  for (int64_t end = MonotonicNs() + 10'000'000'000; MonotonicNs() < end;) {
    if (first->port().LinkIsUp() && second->port().LinkIsUp()) break;
    sched_yield();  // drivers connect in threads of their own
  }
  for (uint32_t queue = 0; queue < kQueues; ++queue) {
    const auto mark = static_cast<std::byte>(0xA0 + queue);
    EXPECT_EQ(Carry(first->port(queue), second->port(queue), mark), kFrames);
    EXPECT_EQ(Carry(second->port(queue), first->port(queue), mark), kFrames);
  }
}

// Drivers hear of the end of their peer in another thread, and write to the socket of one that is
// gone: of a memif the process crashed now and then, of a vhost at once by SIGPIPE.
TEST_P(SharedMemory, EndsThatGoAtTheSameTimeGo) {
  for (int i = 0; i < GetParam().ends; ++i) {
    auto first = Open(GetParam().first);
    ASSERT_NE(first, nullptr);
    auto second = Open(GetParam().second);
    ASSERT_NE(second, nullptr);
    for (int64_t end = MonotonicNs() + 10'000'000'000; MonotonicNs() < end;) {
      if (first->port().LinkIsUp() && second->port().LinkIsUp()) break;
      sched_yield();
    }
    EXPECT_TRUE(first->port().LinkIsUp() && second->port().LinkIsUp());
    (i % 2 == 0 ? first : second).reset();
  }
}

INSTANTIATE_TEST_SUITE_P(Ports, SharedMemory, ::testing::Values(Memif(), Vhost()),
                         [](const auto& param) { return param.param.name; });

}  // namespace
}  // namespace millrace::dpdk

// bench/micro/hand_over_bench.cc - what software steering costs per frame, on one core.
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "benchmark/benchmark.h"
#include "millrace/stack/steered_port.h"
#include "millrace/wire/ethernet.h"
#include "millrace/wire/ipv4.h"
#include "millrace/wire/tcp_header.h"

namespace millrace::stack {
namespace {

constexpr size_t kFrames = 1024;  // that take turns: 64 KiB
constexpr size_t kFrameBytes = 64;

// A device that always has a burst of segments, from as many source ports as there are frames.
class EndlessPort {
 public:
  explicit EndlessPort(const Steering& steering, uint32_t only_owner)
      : octets_(kFrames * kFrameBytes) {
    uint16_t port = 1024;
    for (size_t i = 0; i < kFrames; ++i) {
      std::byte* const frame = octets_.data() + i * kFrameBytes;
      wire::EmitEthernet(frame, {{2, 0, 0, 0, 0, 1}}, {{2, 0, 0, 0, 0, 2}}, wire::kEtherTypeIpv4);
      std::byte* const ip = frame + wire::kEthernetHeaderBytes;
      wire::EmitIpv4(ip,
                     {.total_length = 40,
                      .ttl = 64,
                      .protocol = wire::kIpProtocolTcp,
                      .source = 0x0A00'0002,
                      .destination = 0x0A00'0001},
                     false);
      std::byte* const tcp = ip + wire::kIpv4HeaderBytes;
      StoreU8(tcp + wire::kTcpFlagsAt, wire::kAck);
      StoreBe16(tcp + wire::kTcpDestinationPortAt, 80);
      do {
        StoreBe16(tcp + wire::kTcpSourcePortAt, ++port);
      } while (steering.OwnerOf(TargetOf(frame, kFrameBytes).fold) != only_owner);
    }
  }
  const PortCapabilities& capabilities() const { return capabilities_; }
  size_t RxBurst(Instant, std::span<RxFrame> frames) {
    for (RxFrame& frame : frames) {
      frame.data = octets_.data() + next_ * kFrameBytes;
      frame.length = 54;
      next_ = (next_ + 1) % kFrames;
    }
    return frames.size();
  }
  wire::PacketHandle Allocate() { return wire::PacketHandle::kNone; }
  std::byte* Data(wire::PacketHandle) { return nullptr; }
  void Finish(wire::PacketHandle, uint32_t, const TxOffload&) {}
  size_t TxBurst(Instant, std::span<const wire::PacketHandle> packets) { return packets.size(); }
  void Free(std::span<const wire::PacketHandle>) {}

 private:
  PortCapabilities capabilities_;
  std::vector<std::byte> octets_;
  size_t next_ = 0;
};

// Frames that belong to worker 0, which receives them, or to worker 1, which takes them from the
// ring in the same thread: the work without the wait for another core's cache.
void Receive(benchmark::State& state) {
  const auto owner = static_cast<uint32_t>(state.range(0));
  const Steering steering(Steering::DrawPattern(7, 512), 512, 2);
  HandOver hand_over(2);
  EndlessPort device(steering, owner);
  SteeredPort<EndlessPort> receiver(device, steering, hand_over, 0, 1);
  SteeredPort<EndlessPort> other(device, steering, hand_over, 1, 1);
  std::array<RxFrame, kBurst> frames;
  const Instant now;
  for (auto _ : state) {
    benchmark::DoNotOptimize(receiver.RxBurst(now, frames));
    if (owner == 1) benchmark::DoNotOptimize(other.RxBurst(now, frames));
  }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(kBurst));
}
BENCHMARK(Receive)->Name("receive")->ArgName("owner")->Arg(0)->Arg(1);

void Bare(benchmark::State& state) {
  const Steering steering(Steering::DrawPattern(7, 512), 512, 2);
  EndlessPort device(steering, 0);
  std::array<RxFrame, kBurst> frames;
  for (auto _ : state) benchmark::DoNotOptimize(device.RxBurst(Instant(), frames));
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(kBurst));
}
BENCHMARK(Bare)->Name("bare");

}  // namespace
}  // namespace millrace::stack

BENCHMARK_MAIN();

// bench/micro/build_bench.cc - from a TxSegment to an Ethernet frame, headers summed in software or
// left to the port.
#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "benchmark/benchmark.h"
#include "millrace/stack/frame_builder.h"
#include "millrace/tcp/send_buffer.h"

namespace millrace::stack {
namespace {

constexpr FlowKey kKey = FlowKey::V4(0x0A00'0001, 80, 0x0A00'0002, 40'000);
constexpr MacAddress kPeer = {{2, 0, 0, 0, 0, 2}};

struct Kind {
  wire::Flags flags;
  wire::OptionBits options;
  uint16_t payload_bytes;
  bool offload;
};

void Build(benchmark::State& state, const Kind& kind) {
  const AddressPairs pairs(0, {}, Region::Pages::kPlain);
  const PortCapabilities port{.mac = {{2, 0, 0, 0, 0, 1}},
                              .tx_ipv4_checksum = kind.offload,
                              .tx_tcp_checksum = kind.offload};
  const FrameBuilder builder(port, 64, pairs);
  tcp::SendPool pool(4, 4);
  tcp::SendBuffer buffer;
  buffer.Init();
  const std::vector<std::byte> data(kind.payload_bytes + 1u, std::byte{0x5A});
  if (!buffer.AppendStatic(data, pool)) state.SkipWithError("no extent");
  tcp::TxSegment segment{{.seq = SeqNum(1),
                          .ack = SeqNum(2),
                          .tsval = 3,
                          .tsecr = 4,
                          .window = 65'535,
                          .flags = kind.flags,
                          .options = kind.options,
                          .mss = 1460,
                          .window_scale = 7,
                          .payload_length = kind.payload_bytes,
                          .payload = buffer.At(0, pool)}};
  alignas(64) std::array<std::byte, 2048> frame;
  for (auto _ : state) {
    segment.seq += 1;
    benchmark::DoNotOptimize(builder.BuildTcp(frame.data(), kKey, kPeer, segment, pool));
    benchmark::ClobberMemory();
  }
}

constexpr wire::OptionBits kSynOptions = wire::kMssOption | wire::kWindowScaleOption |
                                         wire::kSackPermittedOption | wire::kTimestampsOption;
constexpr wire::OptionBits kUsual = wire::kTimestampsOption;
BENCHMARK_CAPTURE(Build, syn, Kind{wire::kSyn, kSynOptions, 0, false});
BENCHMARK_CAPTURE(Build, ack_without_options, Kind{wire::kAck, 0, 0, false});
BENCHMARK_CAPTURE(Build, ack, Kind{wire::kAck, kUsual, 0, false});
BENCHMARK_CAPTURE(Build, ack / offload, Kind{wire::kAck, kUsual, 0, true});
BENCHMARK_CAPTURE(Build, data_1, Kind{wire::kAck | wire::kPsh, kUsual, 1, false});
BENCHMARK_CAPTURE(Build, data_100, Kind{wire::kAck | wire::kPsh, kUsual, 100, false});
BENCHMARK_CAPTURE(Build, data_1448, Kind{wire::kAck, kUsual, 1448, false});
BENCHMARK_CAPTURE(Build, data_1448 / offload, Kind{wire::kAck, kUsual, 1448, true});

}  // namespace
}  // namespace millrace::stack

BENCHMARK_MAIN();

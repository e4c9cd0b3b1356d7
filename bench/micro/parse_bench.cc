// bench/micro/parse_bench.cc - from an Ethernet frame to a Segment, with and without checksums.
#include <cstddef>
#include <cstdint>
#include <vector>

#include "benchmark/benchmark.h"
#include "millrace/wire/checksum.h"
#include "millrace/wire/ethernet.h"
#include "millrace/wire/frame.h"
#include "millrace/wire/ipv4.h"
#include "millrace/wire/tcp_header.h"

namespace millrace::wire {
namespace {

constexpr uint32_t kLocal = 0x0A00'0001, kRemote = 0x0A00'0002;
constexpr LocalNet kNet{
    .mac = {{2, 0, 0, 0, 0, 1}}, .address_v4 = kLocal, .network_mask = 0xFFFF'FF00};

std::vector<std::byte> Frame(Flags flags, const TcpOptionValues& options, uint32_t payload_bytes) {
  const uint32_t tcp_bytes = TcpHeaderLength(options.present) + payload_bytes;
  const uint32_t ip_bytes = kIpv4HeaderBytes + tcp_bytes;
  std::vector<std::byte> frame(kEthernetHeaderBytes + ip_bytes);
  std::byte* ip = frame.data() + kEthernetHeaderBytes;
  std::byte* tcp = ip + kIpv4HeaderBytes;
  EmitEthernet(frame.data(), kNet.mac, {{2, 0, 0, 0, 0, 2}}, kEtherTypeIpv4);
  EmitIpv4(ip,
           {.total_length = static_cast<uint16_t>(ip_bytes),
            .ttl = 64,
            .protocol = kIpProtocolTcp,
            .source = kRemote,
            .destination = kLocal},
           /*with_checksum=*/true);
  EmitTcp(tcp, {.source_port = 40000,
                .destination_port = 80,
                .seq = SeqNum(1),
                .ack = SeqNum(2),
                .flags = flags,
                .window = 65535,
                .options = options});
  StoreBe16(tcp + kTcpChecksumAt,
            TcpChecksumV4(kRemote, kLocal, tcp, static_cast<uint16_t>(tcp_bytes)));
  return frame;
}

void Parse(benchmark::State& state, const std::vector<std::byte>& frame, ChecksumState checksums) {
  ParsedFrame out;
  for (auto _ : state) {
    benchmark::DoNotOptimize(frame.data());
    ParseFrame(frame.data(), static_cast<uint32_t>(frame.size()), checksums, checksums, kNet, out);
    benchmark::DoNotOptimize(out);
    benchmark::ClobberMemory();
  }
  if (out.kind != FrameKind::kTcp) state.SkipWithError(ToString(out.drop));
}

const TcpOptionValues kSynOptions{
    .present = kMssOption | kWindowScaleOption | kSackPermittedOption | kTimestampsOption,
    .mss = 1460,
    .window_scale = 7,
    .tsval = 1};
const TcpOptionValues kUsualOptions{.present = kTimestampsOption, .tsval = 1, .tsecr = 2};

BENCHMARK_CAPTURE(Parse, syn, Frame(kSyn, kSynOptions, 0), ChecksumState::kGood);
BENCHMARK_CAPTURE(Parse, syn / software_checksums, Frame(kSyn, kSynOptions, 0),
                  ChecksumState::kUnknown);
BENCHMARK_CAPTURE(Parse, ack_without_options, Frame(kAck, {}, 0), ChecksumState::kGood);
BENCHMARK_CAPTURE(Parse, ack, Frame(kAck, kUsualOptions, 0), ChecksumState::kGood);
BENCHMARK_CAPTURE(Parse, ack / software_checksums, Frame(kAck, kUsualOptions, 0),
                  ChecksumState::kUnknown);
BENCHMARK_CAPTURE(Parse, data_100, Frame(kAck | kPsh, kUsualOptions, 100), ChecksumState::kGood);
BENCHMARK_CAPTURE(Parse, data_1448 / software_checksums, Frame(kAck, kUsualOptions, 1448),
                  ChecksumState::kUnknown);

}  // namespace
}  // namespace millrace::wire

BENCHMARK_MAIN();

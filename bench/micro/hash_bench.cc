// bench/micro/hash_bench.cc - keyed hashes of a 4-tuple, and Internet checksums.
#include <cstddef>
#include <cstdint>
#include <vector>

#include "benchmark/benchmark.h"
#include "millrace/base/siphash.h"
#include "millrace/stack/flow_key.h"
#include "millrace/stack/flow_table.h"
#include "millrace/wire/checksum.h"

namespace millrace {
namespace {

// Each input depends on the output before: latency. Otherwise they overlap: throughput.
template <bool kLatency>
void FlowTableHash(benchmark::State& state) {
  const stack::FlowTable table(1, {{0x0123'4567'89AB'CDEF, 0xFEDC'BA98'7654'3210,
                                    0x0F1E'2D3C'4B5A'6978, 0x8796'A5B4'C3D2'E1F0}});
  stack::FlowKey key = stack::FlowKey::V4(0x0A00'0001, 80, 0x0A01'0001, 1024);
  for (auto _ : state) {
    const uint64_t hash = table.Hash(key);
    benchmark::DoNotOptimize(hash);
    key.address_words[0] += kLatency ? static_cast<uint32_t>(hash) : 1;
  }
}

template <bool kLatency>
void SipHashOfTuple(benchmark::State& state) {
  const SipKey secret{0x0706'0504'0302'0100, 0x0F0E'0D0C'0B0A'0908};
  uint64_t addresses = 0x0A00'0001'0A01'0001;
  for (auto _ : state) {
    const uint64_t hash = SipHash24(secret, addresses, 0x0050'0400);
    benchmark::DoNotOptimize(hash);
    addresses += kLatency ? hash : 1;
  }
}

void TcpChecksum(benchmark::State& state) {
  std::vector<std::byte> segment(static_cast<size_t>(state.range(0)), std::byte{0x5A});
  for (auto _ : state) {
    benchmark::DoNotOptimize(segment.data());
    benchmark::DoNotOptimize(wire::TcpChecksumV4(0x0A00'0001, 0x0A01'0001, segment.data(),
                                                 static_cast<uint16_t>(segment.size())));
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(state.iterations() * state.range(0));
}

BENCHMARK(FlowTableHash<false>)->Name("flow_table_hash/throughput");
BENCHMARK(FlowTableHash<true>)->Name("flow_table_hash/latency");
BENCHMARK(SipHashOfTuple<false>)->Name("siphash24_of_16/throughput");
BENCHMARK(SipHashOfTuple<true>)->Name("siphash24_of_16/latency");
BENCHMARK(TcpChecksum)->Name("tcp_checksum")->Arg(20)->Arg(32)->Arg(60)->Arg(576)->Arg(1480);

}  // namespace
}  // namespace millrace

BENCHMARK_MAIN();

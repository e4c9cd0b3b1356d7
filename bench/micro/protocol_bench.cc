// bench/micro/protocol_bench.cc - parts of the protocol: round-trip estimation, secrets of a tuple,
// the receive queue in order and out of order.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "benchmark/benchmark.h"
#include "millrace/base/prng.h"
#include "millrace/tcp/config.h"
#include "millrace/tcp/isn.h"
#include "millrace/tcp/receive_queue.h"
#include "millrace/tcp/rtt.h"

namespace millrace::tcp {
namespace {

void RttSample(benchmark::State& state) {
  RttEstimator rtt;
  const Config config;
  Prng random(1);
  std::array<uint32_t, 64> samples;
  for (uint32_t& sample : samples) sample = 50 + static_cast<uint32_t>(random.Next() >> 56);
  size_t i = 0;
  for (auto _ : state) {
    rtt.OnSample(samples[i++ % samples.size()]);
    benchmark::DoNotOptimize(rtt.Rto(config));
  }
}

void TupleSecretsOf(benchmark::State& state) {
  const SipKey key{0x0706'0504'0302'0100, 0x0F0E'0D0C'0B0A'0908};
  const Instant now = Instant::FromNanoseconds(1'000'000'000);
  uint64_t addresses = 0x0A00'0001'0A01'0001;
  for (auto _ : state) {
    benchmark::DoNotOptimize(DeriveTupleSecrets(key, addresses++, 0x0050'0400, now));
  }
}

constexpr ReceiveQueue::Limits kLimits{256, 64};
constexpr uint32_t kSegmentBytes = 1448;

struct Receiver {
  bool Offer(uint32_t number) {
    const auto result =
        queue.Offer(first + number * kSegmentBytes, data.data(), kSegmentBytes,
                    wire::PacketHandle{number + 1}, kLimits, &rcv_nxt, pool, released);
    return result == ReceiveQueue::Insert::kQueued || result == ReceiveQueue::Insert::kAdvanced;
  }
  void ConsumeAll() {
    while (queue.ready_bytes() > 0) {
      queue.Consume(static_cast<uint32_t>(queue.Front(pool).size()), pool, released);
    }
    released.Clear();
    first = rcv_nxt;
  }

  ReceivePool pool{1024};
  ReleasedPackets released;
  ReceiveQueue queue;
  SeqNum rcv_nxt{1}, first{1};
  std::array<std::byte, kSegmentBytes> data{};
};

// A segment arrives where it is expected, is read, and goes.
void InOrder(benchmark::State& state) {
  Receiver receiver;
  for (auto _ : state) {
    if (!receiver.Offer(0)) state.SkipWithError("not taken");
    receiver.ConsumeAll();
  }
}

// The first of a number of segments comes last; per segment.
void HoleFilledLast(benchmark::State& state) {
  Receiver receiver;
  const auto count = static_cast<uint32_t>(state.range(0));
  for (auto _ : state) {
    for (uint32_t i = 1; i < count; ++i) {
      if (!receiver.Offer(i)) state.SkipWithError("not taken");
    }
    if (!receiver.Offer(0)) state.SkipWithError("not taken");
    receiver.ConsumeAll();
  }
  state.SetItemsProcessed(state.iterations() * count);
}

// Segments in random order; per segment.
void Shuffled(benchmark::State& state) {
  Receiver receiver;
  std::array<uint32_t, 32> order;
  for (uint32_t i = 0; i < order.size(); ++i) order[i] = i;
  Prng random(1);
  for (size_t i = order.size() - 1; i > 0; --i) std::swap(order[i], order[random.Next() % (i + 1)]);
  for (auto _ : state) {
    for (const uint32_t number : order) {
      if (!receiver.Offer(number)) state.SkipWithError("not taken");
    }
    receiver.ConsumeAll();
  }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(order.size()));
}

BENCHMARK(RttSample)->Name("rtt_sample_and_rto");
BENCHMARK(TupleSecretsOf)->Name("isn_and_timestamp_offset");
BENCHMARK(InOrder)->Name("receive/in_order");
BENCHMARK(HoleFilledLast)->Name("receive/hole_filled_last")->Arg(8)->Arg(32);
BENCHMARK(Shuffled)->Name("receive/shuffled_32");

}  // namespace
}  // namespace millrace::tcp

BENCHMARK_MAIN();

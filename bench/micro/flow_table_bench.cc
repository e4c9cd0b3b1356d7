// bench/micro/flow_table_bench.cc - what demultiplexing costs, by number of connections.
//
// Records are one cache line each, as the pools hold them, and are looked at to verify a match. The
// flows are asked for in random order: with many of them every lookup misses the caches. "Bulk"
// does a burst of 32 in three passes, as the engine does: buckets, then records, then compare.
#include <cstdint>
#include <memory>
#include <vector>

#include "benchmark/benchmark.h"
#include "millrace/base/memory.h"
#include "millrace/base/prng.h"
#include "millrace/stack/flow_key.h"
#include "millrace/stack/flow_table.h"

namespace millrace::stack {
namespace {

constexpr uint32_t kBurst = 32;
constexpr uint32_t kInsertBurst = 512;  // long, because pausing the clock takes a microsecond
constexpr FlowTable::Key kSecret{
    {0x0123'4567'89AB'CDEF, 0xFEDC'BA98'7654'3210, 0x0F1E'2D3C'4B5A'6978, 0x8796'A5B4'C3D2'E1F0}};

struct alignas(64) Record {
  uint32_t free_list;
  FlowKey key;
};

FlowKey KeyNumber(uint32_t n) {
  return FlowKey::V4(0x0A00'0001, 80, 0x0B00'0000 + (n >> 15),
                     static_cast<uint16_t>(1024 + (n & 0x7FFF)));
}

// A full table of `count` flows, made once for all benchmarks of the same size.
class World {
 public:
  static World& Get(int64_t count) {
    // tidy: allow(mutable-global) Google Benchmark has no fixture that outlives a benchmark
    static std::unique_ptr<World> world;
    if (world == nullptr || world->count_ != count) {
      world.reset();
      world = std::make_unique<World>(static_cast<uint32_t>(count));
    }
    return *world;
  }

  explicit World(uint32_t count)
      : count_(count), table_(count, kSecret), memory_(size_t{count} * sizeof(Record)) {
    records_ = reinterpret_cast<Record*>(memory_.data());
    for (uint32_t i = 0; i < count; ++i) {
      records_[i].key = KeyNumber(i);
      if (!table_.Insert(table_.Hash(KeyNumber(i)), FlowRef(FlowKind::kConnection, i)))
        std::abort();
    }
  }

  FlowRef Find(const FlowKey& key, uint64_t hash) const {
    return table_.Find(hash, [&](FlowRef ref) { return records_[ref.index()].key == key; });
  }
  void PrefetchRecord(FlowRef ref) const {
    if (ref) __builtin_prefetch(&records_[ref.index()]);
  }
  FlowTable& table() { return table_; }
  uint32_t count() const { return static_cast<uint32_t>(count_); }

 private:
  int64_t count_;
  FlowTable table_;
  Region memory_;
  Record* records_ = nullptr;
};

uint32_t Below(Prng& random, uint32_t limit) {
  return static_cast<uint32_t>(((random.Next() >> 32) * limit) >> 32);
}

// kMiss asks for flows that are not in the table.
template <bool kMiss>
void Single(benchmark::State& state) {
  World& world = World::Get(state.range(0));
  Prng random(1);
  for (auto _ : state) {
    const FlowKey key = KeyNumber(Below(random, world.count()) + (kMiss ? world.count() : 0));
    benchmark::DoNotOptimize(world.Find(key, world.table().Hash(key)));
  }
  state.SetItemsProcessed(state.iterations());
}

template <bool kMiss>
void Bulk(benchmark::State& state) {
  World& world = World::Get(state.range(0));
  const FlowTable& table = world.table();
  Prng random(1);
  for (auto _ : state) {
    FlowKey keys[kBurst];
    uint64_t hashes[kBurst];
    for (uint32_t i = 0; i < kBurst; ++i) {
      keys[i] = KeyNumber(Below(random, world.count()) + (kMiss ? world.count() : 0));
      hashes[i] = table.Hash(keys[i]);
      table.PrefetchBucket(hashes[i]);
    }
    for (uint32_t i = 0; i < kBurst; ++i) {
      if (const FlowRef* place = table.FindCandidate(hashes[i])) world.PrefetchRecord(*place);
    }
    for (uint32_t i = 0; i < kBurst; ++i) {
      benchmark::DoNotOptimize(world.Find(keys[i], hashes[i]));
    }
  }
  state.SetItemsProcessed(state.iterations() * kBurst);
}

// One flow leaves, one comes, at full load: per pair.
void EraseAndInsert(benchmark::State& state) {
  World& world = World::Get(state.range(0));
  FlowTable& table = world.table();
  Prng random(1);
  for (auto _ : state) {
    const uint32_t victim = Below(random, world.count());
    const uint64_t hash = table.Hash(KeyNumber(victim));
    const FlowRef ref(FlowKind::kConnection, victim);
    table.Erase(hash, ref);
    if (!table.Insert(hash, ref)) std::abort();
  }
  state.SetItemsProcessed(state.iterations());
}

// A burst of flows leaves (not timed) and comes again, at full load. Its buckets
// are in cache, as the engine's are: it looked there before.
void Insert(benchmark::State& state) {
  World& world = World::Get(state.range(0));
  FlowTable& table = world.table();
  Prng random(1);
  for (auto _ : state) {
    state.PauseTiming();
    uint64_t hashes[kInsertBurst];
    const uint32_t first = Below(random, world.count() - kInsertBurst);
    for (uint32_t i = 0; i < kInsertBurst; ++i) {
      hashes[i] = table.Hash(KeyNumber(first + i));
      table.Erase(hashes[i], FlowRef(FlowKind::kConnection, first + i));
    }
    state.ResumeTiming();
    for (uint32_t i = 0; i < kInsertBurst; ++i) {
      if (!table.Insert(hashes[i], FlowRef(FlowKind::kConnection, first + i))) std::abort();
    }
  }
  state.SetItemsProcessed(state.iterations() * kInsertBurst);
}

void Sizes(benchmark::internal::Benchmark* b) {
  for (const int64_t n : {1'000, 100'000, 1'000'000, 10'000'000, 60'000'000}) b->Arg(n);
}
BENCHMARK(Single<false>)->Name("lookup/hit/single")->Apply(Sizes);
BENCHMARK(Single<true>)->Name("lookup/miss/single")->Apply(Sizes);
BENCHMARK(Bulk<false>)->Name("lookup/hit/bulk32")->Apply(Sizes);
BENCHMARK(Bulk<true>)->Name("lookup/miss/bulk32")->Apply(Sizes);
BENCHMARK(EraseAndInsert)->Name("erase_and_insert")->Apply(Sizes);
BENCHMARK(Insert)->Name("insert")->Apply(Sizes);

}  // namespace
}  // namespace millrace::stack

BENCHMARK_MAIN();

// bench/micro/time_wait_bench.cc - a TIME-WAIT from its insertion to its expiry, by how many there
// are and by what keeps their order.
//
// Records, table and 60 s are the engine's: a tick is 67 ms, and in each as many entries leave as
// come, so that `count` stay. Reported is the time per entry: record taken, table insert, order
// insert; later order removal, table erase, record given back. What keeps the order:
//   wheel/single   a wheel of one level; an entry leaves the table when it pops
//   wheel/batch    the same; 32 popped entries' buckets are prefetched, then all leave
//   queue/single   the first-in-first-out list through the records that the engine has
//   queue/batch    with the batches, as the engine has it
//   log/batch      a ring of (record, tick) beside the records, which are prefetched from it
// The last three need all entries to last equally long. A log cannot move an entry (a repeated FIN
// starts 2MSL again), so there it would have to look at a popped one's own tick and append again.
#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "benchmark/benchmark.h"
#include "millrace/base/slab.h"
#include "millrace/stack/flow_table.h"
#include "millrace/stack/records.h"
#include "millrace/stack/time_wait_queue.h"
#include "millrace/stack/timer_wheel.h"

namespace millrace::stack {
namespace {

constexpr uint32_t kLifeTicks = 894;  // 60 s of 67 ms
constexpr uint32_t kBatch = 32;
constexpr size_t kWorkMax = 256;
constexpr FlowTable::Key kSecret{
    {0x0123'4567'89AB'CDEF, 0xFEDC'BA98'7654'3210, 0x0F1E'2D3C'4B5A'6978, 0x8796'A5B4'C3D2'E1F0}};

using Records = Slab<TimeWait>;

class Wheel {
 public:
  explicit Wheel(uint32_t /*count*/) {}
  void Insert(Records& records, uint32_t index, uint32_t tick) {
    wheel_.Schedule(records, index, tick);
  }
  template <class Fire>
  size_t Expire(Records& records, uint32_t now, size_t work_max, Fire&& fire) {
    return wheel_.Advance(records, now, work_max, fire);
  }

 private:
  TimerWheel<TimeWait, &TimeWait::timer, 1, 12> wheel_;
};

class Queue {
 public:
  explicit Queue(uint32_t /*count*/) {}
  void Insert(Records& records, uint32_t index, uint32_t tick) {
    queue_.Append(records, index, tick);
  }
  template <class Fire>
  size_t Expire(Records& records, uint32_t now, size_t work_max, Fire&& fire) {
    return queue_.Advance(records, now, work_max, fire);
  }

 private:
  TimeWaitQueue queue_;
};

class Log {
 public:
  explicit Log(uint32_t count) : entries_(count) {}
  void Insert(Records& records, uint32_t index, uint32_t tick) {
    records[index].timer.tick = tick;
    entries_[tail_] = {index, tick};
    tail_ = Next(tail_);
    ++size_;
  }
  template <class Fire>
  size_t Expire(Records& records, uint32_t now, size_t work_max, Fire&& fire) {
    size_t work = 0;
    while (size_ > 0 && work < work_max && !TickBefore(now, entries_[head_].tick)) {
      const size_t ahead = head_ + kAhead;
      if (ahead < entries_.size()) __builtin_prefetch(&records[entries_[ahead].index]);
      const uint32_t index = entries_[head_].index;
      head_ = Next(head_);
      --size_;
      ++work;
      fire(index);
    }
    return work;
  }

 private:
  static constexpr size_t kAhead = 8;
  struct Entry {
    uint32_t index, tick;
  };
  size_t Next(size_t at) const { return at + 1 == entries_.size() ? 0 : at + 1; }

  std::vector<Entry> entries_;
  size_t head_ = 0, tail_ = 0, size_ = 0;
};

std::shared_ptr<void>& KeptWorld() {
  // tidy: allow(mutable-global) Google Benchmark has no fixture that outlives a call
  static std::shared_ptr<void> world;
  return world;
}

template <class Order>
class World {
 public:
  explicit World(int64_t count)
      : per_tick_(std::max<uint32_t>(1, static_cast<uint32_t>(count / kLifeTicks))),
        table_(Room(), kSecret),
        records_(Room()),
        order_(Room()) {
    for (uint32_t tick = 0; tick < kLifeTicks; ++tick) InsertTick();
  }

  // One tick: `per_tick` come. 0 when there was no room.
  void InsertTick() {
    ++now_;
    for (uint32_t i = 0; i < per_tick_; ++i) {
      const uint32_t n = next_++;
      const uint32_t index = records_.Take();
      const FlowKey key = FlowKey::V4(0x0A00'0001, 80, 0x0B00'0000 + (n >> 15),
                                      static_cast<uint16_t>(1024 + (n & 0x7FFF)));
      if (index == kNoIndex ||
          !table_.Insert(table_.Hash(key), FlowRef(FlowKind::kTimeWait, index))) {
        std::abort();
      }
      records_[index].key = key;
      order_.Insert(records_, index, now_ + kLifeTicks);
    }
  }

  template <bool kBatched>
  uint64_t ExpireTick() {
    const uint32_t before = records_.used();
    size_t work = kWorkMax;
    while (work == kWorkMax) work = kBatched ? ExpireInBatches() : ExpireSingly();
    return before - records_.used();
  }

 private:
  uint32_t Room() const { return per_tick_ * (kLifeTicks + 2); }

  void Remove(uint32_t index, uint64_t hash) {
    table_.Erase(hash, FlowRef(FlowKind::kTimeWait, index));
    records_.Give(index);
  }
  size_t ExpireSingly() {
    return order_.Expire(records_, now_, kWorkMax, [this](uint32_t index) {
      Remove(index, table_.Hash(records_[index].key));
    });
  }
  size_t ExpireInBatches() {
    struct Due {
      uint32_t index;
      uint64_t hash;
    };
    std::array<Due, kBatch> due;
    uint32_t count = 0;
    const auto flush = [&] {
      for (uint32_t i = 0; i < count; ++i) Remove(due[i].index, due[i].hash);
      count = 0;
    };
    const size_t work = order_.Expire(records_, now_, kWorkMax, [&](uint32_t index) {
      const uint64_t hash = table_.Hash(records_[index].key);
      table_.PrefetchBucket(hash);
      due[count++] = {index, hash};
      if (count == kBatch) flush();
    });
    flush();
    return work;
  }

  uint32_t per_tick_;
  uint32_t now_ = 0, next_ = 0;
  FlowTable table_;
  Records records_;
  Order order_;
};

// The world of the benchmark that runs, kept while Google Benchmark finds out how often to repeat
// it: filling one with 60 M takes ten seconds, and there is memory for one.
template <class Order, bool kBatched>
World<Order>& WorldOf(int64_t count) {
  std::shared_ptr<void>& kept = KeptWorld();
  // tidy: allow(mutable-global) as above
  static std::weak_ptr<void> mine;
  // tidy: allow(mutable-global) as above
  static int64_t mine_count = 0;
  if (kept == nullptr || mine.lock() != kept || mine_count != count) {
    kept.reset();  // before the next one is made
    kept = std::make_shared<World<Order>>(count);
    mine = kept;
    mine_count = count;
  }
  return *static_cast<World<Order>*>(kept.get());
}

template <class Order, bool kBatched>
void Life(benchmark::State& state) {
  World<Order>& world = WorldOf<Order, kBatched>(state.range(0));
  uint64_t entries = 0;
  for (auto _ : state) {
    world.InsertTick();
    entries += world.template ExpireTick<kBatched>();
  }
  state.SetItemsProcessed(static_cast<int64_t>(entries));
}

void Sizes(benchmark::internal::Benchmark* b) {
  for (const int64_t n : {10'000, 1'000'000, 10'000'000, 60'000'000}) b->Arg(n);
}
BENCHMARK(Life<Wheel, false>)->Name("wheel/single")->Apply(Sizes);
BENCHMARK(Life<Wheel, true>)->Name("wheel/batch")->Apply(Sizes);
BENCHMARK(Life<Queue, false>)->Name("queue/single")->Apply(Sizes);
BENCHMARK(Life<Queue, true>)->Name("queue/batch")->Apply(Sizes);
BENCHMARK(Life<Log, true>)->Name("log/batch")->Apply(Sizes);

}  // namespace
}  // namespace millrace::stack

BENCHMARK_MAIN();

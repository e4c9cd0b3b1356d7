// bench/micro/timer_wheel_bench.cc - arming, moving, cancelling and expiring timers.
//
// Objects are one cache line; with a million of them most operations miss the caches, as timers of
// connections do unless the connection was just touched.
#include <cstdint>

#include "benchmark/benchmark.h"
#include "millrace/base/prng.h"
#include "millrace/base/slab.h"
#include "millrace/stack/timer_wheel.h"

namespace millrace::stack {
namespace {

struct alignas(64) Object {
  uint32_t free_list;
  TimerLink link;
};
using Fine = TimerWheel<Object, &Object::link, 4, 8>;
using Coarse = TimerWheel<Object, &Object::link, 1, 10>;

template <class Wheel>
struct World {
  explicit World(int64_t objects) : slab(static_cast<uint32_t>(objects)) {
    while (slab.Take() != kNoIndex) {
    }
  }
  uint32_t Pick() { return static_cast<uint32_t>(((random.Next() >> 32) * slab.capacity()) >> 32); }
  uint32_t Ticks(uint32_t limit) {
    return 1 + static_cast<uint32_t>(((random.Next() >> 32) * limit) >> 32);
  }
  Slab<Object> slab;
  Wheel wheel;
  Prng random{1};
};

constexpr uint32_t kSpanTicks = 1000;  // e.g. retransmission within a second of 1 ms ticks
constexpr uint32_t kFarTicks = 1u << 20;

void CancelAndArm(benchmark::State& state) {
  World<Fine> w(state.range(0));
  for (uint32_t i = 0; i < w.slab.capacity(); ++i) w.wheel.Schedule(w.slab, i, w.Ticks(kSpanTicks));
  for (auto _ : state) {
    const uint32_t index = w.Pick();
    w.wheel.Cancel(w.slab, index);
    w.wheel.Schedule(w.slab, index, w.Ticks(kSpanTicks));
  }
}

void MoveLater(benchmark::State& state) {
  World<Fine> w(state.range(0));
  for (uint32_t i = 0; i < w.slab.capacity(); ++i) w.wheel.Schedule(w.slab, i, w.Ticks(kSpanTicks));
  for (auto _ : state) w.wheel.Schedule(w.slab, w.Pick(), kSpanTicks + 1);
}

// An entry goes to half its distance, until that is nothing and it starts anew.
void MoveEarlier(benchmark::State& state) {
  World<Fine> w(state.range(0));
  for (uint32_t i = 0; i < w.slab.capacity(); ++i) w.wheel.Schedule(w.slab, i, kFarTicks);
  for (auto _ : state) {
    const uint32_t index = w.Pick();
    const uint32_t tick = w.slab[index].link.tick / 2;
    if (tick == 0) {
      w.wheel.Cancel(w.slab, index);
      w.wheel.Schedule(w.slab, index, kFarTicks);
    } else {
      w.wheel.Schedule(w.slab, index, tick);
    }
  }
}

// Everything is armed and expires again and again: per expiry, with arming and moving down.
template <class Wheel>
void ArmAndExpire(benchmark::State& state) {
  World<Wheel> w(state.range(0));
  for (uint32_t i = 0; i < w.slab.capacity(); ++i) w.wheel.Schedule(w.slab, i, w.Ticks(kSpanTicks));
  uint32_t now = 0;
  int64_t expired = 0;
  for (auto _ : state) {
    ++now;
    w.wheel.Advance(w.slab, now, ~size_t{0}, [&](uint32_t index) {
      ++expired;
      w.wheel.Schedule(w.slab, index, now + w.Ticks(kSpanTicks));
    });
  }
  state.SetItemsProcessed(expired);
}

void AdvanceWithNothingDue(benchmark::State& state) {
  World<Fine> w(64);
  w.wheel.Schedule(w.slab, 0, 0x7000'0000);
  uint32_t now = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(w.wheel.Advance(w.slab, ++now & 0x6FFF'FFFF, 64, [](uint32_t) {}));
  }
}

void Sizes(benchmark::internal::Benchmark* b) { b->Arg(1'000)->Arg(1'000'000)->Arg(10'000'000); }
BENCHMARK(CancelAndArm)->Name("cancel_and_arm")->Apply(Sizes);
BENCHMARK(MoveLater)->Name("move_later")->Apply(Sizes);
BENCHMARK(MoveEarlier)->Name("move_earlier")->Apply(Sizes);
BENCHMARK(ArmAndExpire<Fine>)->Name("arm_and_expire/fine")->Apply(Sizes);
BENCHMARK(ArmAndExpire<Coarse>)->Name("arm_and_expire/coarse")->Arg(1'000)->Arg(10'000'000);
BENCHMARK(AdvanceWithNothingDue)->Name("advance_with_nothing_due");

}  // namespace
}  // namespace millrace::stack

BENCHMARK_MAIN();

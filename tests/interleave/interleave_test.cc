// The hand-over ring and the stop of its two workers, in every order of their atomic operations.
#include "interleave/interleave.h"

#include <array>
#include <memory>
#include <vector>

#include "gtest/gtest.h"
#include "millrace/base/spsc_ring.h"

namespace millrace::model {
namespace {

using Ring = SpscRing<Plain<int>, Atomic>;

// The checker itself must find what is wrong.
TEST(Interleave, FindsARaceWithoutReleaseAndAcquire) {
  const auto races = [](std::memory_order store, std::memory_order load) {
    Explorer explorer;
    explorer.Explore([=] {
      auto flag = std::make_shared<Atomic<int>>(0);
      auto value = std::make_shared<Plain<int>>(0);
      return Explorer::Program{{[=] {
                                  *value = Plain<int>(7);
                                  flag->store(1, store);
                                },
                                [=] {
                                  if (flag->load(load) == 0) return;
                                  EXPECT_EQ(value->Get(), 7);
                                }},
                               {}};
    });
    return explorer.races();
  };
  EXPECT_EQ(races(std::memory_order_release, std::memory_order_acquire), 0u);
  EXPECT_GT(races(std::memory_order_relaxed, std::memory_order_acquire), 0u);
  EXPECT_GT(races(std::memory_order_release, std::memory_order_relaxed), 0u);
}

TEST(Interleave, TriesEveryOrder) {
  Explorer explorer;
  std::vector<int> seen(3);  // what the second thread reads while the first counts to 2
  const uint64_t runs = explorer.Explore([&seen] {
    auto value = std::make_shared<Atomic<int>>(0);
    return Explorer::Program{{[=] {
                                value->store(1);
                                value->store(2);
                              },
                              [=, &seen] { ++seen[static_cast<size_t>(value->load())]; }},
                             {}};
  });
  EXPECT_GT(runs, 3u);
  for (const int count : seen) EXPECT_GT(count, 0);
}

struct State {
  explicit State(uint32_t capacity) : ring(capacity) {}
  Ring ring;
  Atomic<int> stop{0};
  std::vector<int> got;
  int pushed = 0, dropped = 0;

  // Bursts of `burst` items from 1 on; those that do not fit are dropped.
  void PushBurst(int burst) {
    std::array<Plain<int>, 4> items;
    for (int i = 0; i < burst; ++i) items[static_cast<size_t>(i)] = Plain<int>(next_item + i);
    const size_t n = ring.Push(std::span(items).first(static_cast<size_t>(burst)));
    pushed += static_cast<int>(n);
    dropped += burst - static_cast<int>(n);
    next_item += static_cast<int>(n);
  }
  size_t PopBurst(size_t burst) {
    std::array<Plain<int>, 4> out;
    const size_t n = ring.Pop(std::span(out).first(burst));
    for (size_t i = 0; i < n; ++i) got.push_back(out[i].Get());
    return n;
  }
  void ExpectInOrder() const {
    for (size_t i = 0; i < got.size(); ++i) EXPECT_EQ(got[i], static_cast<int>(i) + 1);
  }
  int next_item = 1;
};

// Small enough to wrap and to be full and empty on the way.
TEST(Interleave, RingLosesNothingAndHasNoRace) {
  Explorer explorer;
  const uint64_t runs = explorer.Explore([] {
    auto state = std::make_shared<State>(2);
    return Explorer::Program{{[state] {
                                for (const int burst : {2, 1, 2}) state->PushBurst(burst);
                              },
                              [state] {
                                for (const size_t burst : {1u, 2u, 1u}) state->PopBurst(burst);
                              }},
                             [state] {
                               while (state->PopBurst(2) > 0) {
                               }
                               state->ExpectInOrder();
                               EXPECT_EQ(static_cast<int>(state->got.size()), state->pushed);
                               EXPECT_EQ(state->pushed + state->dropped, 5);
                             }};
  });
  EXPECT_EQ(explorer.races(), 0u);
  EXPECT_GT(runs, 1'000u);
}

// Stop: both workers poll until they see the flag, in whichever order; the one who joined them
// then frees what is left in the ring. Every packet is taken, dropped or freed, once.
TEST(Interleave, StopLeavesNoPacketBehind) {
  Explorer explorer;
  const uint64_t runs = explorer.Explore([] {
    auto state = std::make_shared<State>(2);
    const auto until_stop = [state](auto&& poll) {
      for (int polls = 0; polls < 2; ++polls) {
        if (state->stop.load(std::memory_order_relaxed) != 0) return;
        poll();
      }
    };
    return Explorer::Program{{[=] { until_stop([&] { state->PushBurst(1); }); },
                              [=] { until_stop([&] { state->PopBurst(1); }); },
                              [=] { state->stop.store(1, std::memory_order_relaxed); }},
                             [state] {
                               const size_t taken = state->got.size();
                               while (state->PopBurst(2) > 0) {
                               }
                               state->ExpectInOrder();
                               EXPECT_EQ(static_cast<int>(state->got.size()), state->pushed);
                               EXPECT_LE(taken, state->got.size());
                               EXPECT_EQ(state->ring.size(), 0u);
                             }};
  });
  EXPECT_EQ(explorer.races(), 0u);
  EXPECT_GT(runs, 1'000u);
}

}  // namespace
}  // namespace millrace::model

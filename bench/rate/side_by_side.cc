#include "bench/rate/side_by_side.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <string>

#include "bench/rate/cpu_time.h"
#include "millrace/dpdk/worker.h"

namespace millrace::bench {
namespace {

constexpr Duration kPause = Duration::Milliseconds(10);

// What the ends of several pairs counted, together; the quantiles are those of the slowest.
void AddTo(EndReport& sum, const EndReport& one) {
  sum.units += one.units;
  sum.all_units += one.all_units;
  sum.seconds += one.seconds;
  sum.failed += one.failed;
  sum.packets += one.packets;
  sum.retransmits += one.retransmits;
  sum.evicted += one.evicted;
  sum.busy_cycles += one.busy_cycles;
  sum.driver_cycles += one.driver_cycles;
  sum.p50_ns = std::max(sum.p50_ns, one.p50_ns);
  sum.p99_ns = std::max(sum.p99_ns, one.p99_ns);
}

// What all pairs counted, together, and how long one of them took.
RunResult Sum(const std::vector<Both>& pairs, double cpu_seconds) {
  RunResult result{.cpu_seconds = cpu_seconds};
  for (const Both& pair : pairs) {
    AddTo(result.client, pair.client->Report());
    AddTo(result.server, pair.server->Report());
  }
  result.client.seconds /= static_cast<double>(pairs.size());
  result.server.seconds /= static_cast<double>(pairs.size());
  return result;
}

}  // namespace

Duration Patience(const Plan& plan) {
  return plan.exchange.plan.duration +
         Duration::Seconds(plan.exchange.plan.count == 0 ? 600 : 3600);
}

absl::Status GaveUp() { return absl::DeadlineExceededError("the run did not come to its end"); }

absl::Status Interrupted() { return absl::CancelledError("interrupted: there is no result"); }

absl::StatusOr<RunResult> RunAllInTurn(const Plan& plan, const std::vector<Both>& pairs,
                                       dpdk::Clock clock, apps::StopSignals& stop) {
  const double cpu_start = CpuSeconds();
  const Instant give_up = clock.Now() + Patience(plan);
  const auto done = [](const Both& pair) { return pair.client->done(); };
  uint64_t cycles = dpdk::Clock::Cycles();
  Instant next_look = clock.Now() + kPause;  // at `stop`, by a system call
  while (!std::all_of(pairs.begin(), pairs.end(), done)) {
    for (const Both& pair : pairs) {
      cycles = pair.client->PollFrom(cycles, clock);
      cycles = pair.server->PollFrom(cycles, clock);
    }
    const Instant now = clock.AtCycles(cycles);
    if (now < next_look) continue;
    next_look = now + kPause;
    if (now > give_up) return GaveUp();
    if (stop.Wait(Duration())) return Interrupted();
  }
  return Sum(pairs, CpuSeconds() - cpu_start);
}

absl::StatusOr<RunResult> RunEachOnACore(const Plan& plan, const std::vector<Both>& pairs,
                                         dpdk::Clock clock, apps::StopSignals& stop) {
  const std::vector<int> cpus = dpdk::AllowedCpus();
  const auto idle = cpus.size() < pairs.size() ? dpdk::IdleMode::kYield : dpdk::IdleMode::kPoll;
  std::atomic<size_t> under_way{pairs.size()};
  std::vector<std::unique_ptr<dpdk::Worker>> workers;
  for (size_t i = 0; i < pairs.size(); ++i) {
    // One that is done goes on: what others hand over passes through it.
    auto worker = dpdk::Worker::Start(
        {.name = "pair" + std::to_string(i), .cpu = cpus[i % cpus.size()], .idle = idle}, clock,
        [&under_way, pair = pairs[i], clock, over = false](Instant) mutable -> size_t {
          const uint64_t cycles = pair.client->PollFrom(dpdk::Clock::Cycles(), clock);
          pair.server->PollFrom(cycles, clock);
          if (!over && pair.client->done()) {
            over = true;
            under_way.fetch_sub(1, std::memory_order_relaxed);
          }
          return over ? 0 : 1;
        });
    if (!worker.ok()) return worker.status();
    workers.push_back(*std::move(worker));
  }
  const double cpu_start = CpuSeconds(RUSAGE_SELF);
  const Instant give_up = clock.Now() + Patience(plan);
  bool interrupted = false;
  while (under_way.load(std::memory_order_relaxed) > 0 && clock.Now() < give_up && !interrupted) {
    interrupted = stop.Wait(kPause);
  }
  workers.clear();  // stops and joins
  const double cpu_seconds = CpuSeconds(RUSAGE_SELF) - cpu_start;
  if (under_way.load(std::memory_order_relaxed) > 0) return interrupted ? Interrupted() : GaveUp();
  return Sum(pairs, cpu_seconds);
}

}  // namespace millrace::bench

// dpdk/worker.h - a thread that polls: reads the clock, calls one function, counts, repeats.
//
// The thread is registered with EAL, so that packet pools give it a cache. It says how busy it is
// in cycles of the time stamp counter: a poll that returns 0 was idle. Counters are local and
// published about every 100 us, so reading them costs the worker nothing.
// Threading: Start, RequestStop, Join and the destructor belong to one controlling thread;
// Load and heartbeat may be read from anywhere.
#ifndef MILLRACE_DPDK_WORKER_H_
#define MILLRACE_DPDK_WORKER_H_

#include <pthread.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "millrace/base/idle_policy.h"
#include "millrace/base/time.h"
#include "millrace/dpdk/clock.h"

namespace millrace::dpdk {

// One round of work at `now`; returns how much was done (packets, events), 0 for nothing.
using PollFunction = std::function<size_t(Instant now)>;

using millrace::IdleMode;  // base/idle_policy.h

struct WorkerOptions {
  std::string name = "worker";  // of the thread, as top shows it; at most 15 characters
  std::optional<int> cpu;       // one of AllowedCpus(); empty: wherever the system puts it
  IdleMode idle = IdleMode::kYield;
  // False when `poll` has nothing to do with packet pools: then EAL need not have started.
  bool has_packets = true;
  // In place of a sleep of the policy's: may return before `most` is over, when there is something
  // to do.
  std::function<void(Duration most)> wait;
};

// Cycles since the start. busy / (busy + idle) is the share of polls that found work.
struct WorkerLoad {
  uint64_t busy_cycles = 0, idle_cycles = 0, polls = 0;
  double busy_share() const {
    const double total = static_cast<double>(busy_cycles) + static_cast<double>(idle_cycles);
    return total == 0 ? 0 : static_cast<double>(busy_cycles) / total;
  }
};

// What a loop publishes: relaxed, written about every 100 us by the loop's thread only.
struct PublishedLoad {
  std::atomic<uint64_t> busy_cycles{0}, idle_cycles{0}, polls{0};
  std::atomic<uint64_t> heartbeat{0};  // goes up while the loop turns

  WorkerLoad Read() const {
    return {.busy_cycles = busy_cycles.load(std::memory_order_relaxed),
            .idle_cycles = idle_cycles.load(std::memory_order_relaxed),
            .polls = polls.load(std::memory_order_relaxed)};
  }
};

class Worker {
 public:
  // Starts the thread. REQUIRES: Eal has started, for `has_packets`. `poll` is destroyed with the
  // Worker.
  static absl::StatusOr<std::unique_ptr<Worker>> Start(const WorkerOptions& options,
                                                       const Clock& clock, PollFunction poll);
  ~Worker();  // stops and joins
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  void RequestStop() { stop_.store(true, std::memory_order_relaxed); }
  void Join();  // returns when the thread has ended after RequestStop; all it wrote is visible

  WorkerLoad Load() const { return load_.Read(); }
  uint64_t heartbeat() const { return load_.heartbeat.load(std::memory_order_relaxed); }

 private:
  Worker(const WorkerOptions& options, const Clock& clock, PollFunction poll)
      : options_(options), clock_(clock), poll_(std::move(poll)) {}
  static void* ThreadMain(void* self);

  WorkerOptions options_;
  Clock clock_;
  PollFunction poll_;
  pthread_t thread_{};
  bool joinable_ = false;
  std::atomic<bool> stop_{false};
  alignas(64) PublishedLoad load_;
};

// Runs several polls in turn on the calling thread until `stop` is set: a client and a server on
// one core. All of one turn see the same instant; the turn is idle when all return 0.
// REQUIRES: the calling thread started EAL or is registered.
void RunInterleaved(std::span<const PollFunction> polls, Clock clock, IdleMode idle,
                    const std::atomic<bool>& stop, PublishedLoad* load = nullptr);

// CPUs that this process may run on (sched_getaffinity), in order.
std::vector<int> AllowedCpus();

}  // namespace millrace::dpdk

#endif  // MILLRACE_DPDK_WORKER_H_

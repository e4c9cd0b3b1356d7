#include "millrace/dpdk/worker.h"

#include <rte_cycles.h>
#include <rte_errno.h>
#include <rte_lcore.h>
#include <rte_pause.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace millrace::dpdk {
namespace {

constexpr int64_t kPublishesPerSecond = 10'000;
constexpr uint64_t kSliceNs = 100'000;  // the least that Linux gives

// Asks for short slices of the CPU (Linux 6.12; without effect before): of the threads that share
// one, who asked for less waits less. Its share stays the same.
void AskForShortSlices() {
  struct {  // sched_attr of the kernel, version 0: the C library does not declare it
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
  } attributes = {};
  if (syscall(SYS_sched_getattr, 0, &attributes, sizeof attributes, 0) != 0) return;
  if (attributes.policy != SCHED_OTHER) return;
  attributes.runtime = kSliceNs;
  syscall(SYS_sched_setattr, 0, &attributes, 0);
}

// Does what the policy says.
class Idler {
 public:
  // `wait`: in place of sleeping, when there is one.
  Idler(IdleMode mode, uint64_t cycles_per_second, const std::function<void(Duration)>& wait)
      : policy_(mode), ns_per_cycle_(1e9 / static_cast<double>(cycles_per_second)), wait_(wait) {
    if (mode == IdleMode::kPoll) return;
    AskForShortSlices();
    // The kernel adds 50 us to every sleep otherwise.
    prctl(PR_SET_TIMERSLACK, 1000, 0, 0, 0);
  }

  void OnWork() { policy_.OnWork(); }

  void OnEmptyPoll() {
    const IdlePolicy::Step step = policy_.OnEmptyPoll();
    if (step.kind == IdlePolicy::Kind::kPause) {
      rte_pause();
    } else if (step.kind == IdlePolicy::Kind::kYield) {
      const uint64_t start = rte_rdtsc();
      sched_yield();
      const auto cycles = static_cast<double>(rte_rdtsc() - start);
      policy_.OnYielded(static_cast<uint64_t>(cycles * ns_per_cycle_));
    } else if (wait_) {
      wait_(Duration::Nanoseconds(step.ns));
    } else {
      const timespec pause = {.tv_sec = 0, .tv_nsec = step.ns};
      clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, nullptr);
    }
  }

 private:
  IdlePolicy policy_;
  double ns_per_cycle_;
  const std::function<void(Duration)>& wait_;
};

}  // namespace

// Counts locally, publishes rarely.
class LoopCounters {
 public:
  LoopCounters(PublishedLoad* load, uint64_t cycles_per_second)
      : load_(load),
        interval_cycles_(std::max<uint64_t>(cycles_per_second / kPublishesPerSecond, 1)) {}

  void Count(uint64_t cycles, bool busy, uint64_t end_cycles) {
    (busy ? local_.busy_cycles : local_.idle_cycles) += cycles;
    ++local_.polls;
    if (end_cycles - published_at_ >= interval_cycles_) Publish(end_cycles);
  }

  void Publish(uint64_t now_cycles) {
    published_at_ = now_cycles;
    if (load_ == nullptr) return;
    load_->busy_cycles.store(local_.busy_cycles, std::memory_order_relaxed);
    load_->idle_cycles.store(local_.idle_cycles, std::memory_order_relaxed);
    load_->polls.store(local_.polls, std::memory_order_relaxed);
    load_->heartbeat.store(++beats_, std::memory_order_relaxed);
  }

 private:
  PublishedLoad* load_;
  uint64_t interval_cycles_;
  uint64_t published_at_ = 0;
  uint64_t beats_ = 0;
  WorkerLoad local_;
};

namespace {

// The loop. One reading of the counter ends a turn and begins the next.
template <class Poll>
void RunLoop(Poll&& poll, Clock& clock, IdleMode idle, const std::atomic<bool>& stop,
             PublishedLoad* load, const std::function<void(Duration)>& wait = {}) {
  Idler idler(idle, clock.cycles_per_second(), wait);
  LoopCounters counters(load, clock.cycles_per_second());
  uint64_t start = rte_rdtsc();
  while (!stop.load(std::memory_order_relaxed)) {
    const bool busy = poll(clock.AtCycles(start)) > 0;
    if (busy) {
      idler.OnWork();
    } else {
      idler.OnEmptyPoll();
    }
    const uint64_t end = rte_rdtsc();
    counters.Count(end - start, busy, end);
    start = end;
  }
  counters.Publish(start);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Worker>> Worker::Start(const WorkerOptions& options,
                                                      const Clock& clock, PollFunction poll) {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  if (options.cpu.has_value()) {
    const std::vector<int> allowed = AllowedCpus();
    if (std::find(allowed.begin(), allowed.end(), *options.cpu) == allowed.end()) {
      pthread_attr_destroy(&attributes);
      return absl::InvalidArgumentError(absl::StrCat("CPU ", *options.cpu,
                                                     " is not for this process; it may use ",
                                                     absl::StrJoin(allowed, ",")));
    }
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    CPU_SET(static_cast<size_t>(*options.cpu), &cpus);
    pthread_attr_setaffinity_np(&attributes, sizeof cpus, &cpus);
  }
  std::unique_ptr<Worker> worker(new Worker(options, clock, std::move(poll)));
  const int error = pthread_create(&worker->thread_, &attributes, &ThreadMain, worker.get());
  pthread_attr_destroy(&attributes);
  if (error != 0) {
    return absl::ResourceExhaustedError(
        absl::StrCat("no thread for ", options.name, ": ", std::strerror(error)));
  }
  worker->joinable_ = true;
  return worker;
}

void* Worker::ThreadMain(void* self) {
  auto* worker = static_cast<Worker*>(self);
  pthread_setname_np(pthread_self(), worker->options_.name.substr(0, 15).c_str());
  // Fails only when EAL has no free thread number (128); then pools work without caches.
  const bool registered = worker->options_.has_packets && rte_thread_register() == 0;
  RunLoop(worker->poll_, worker->clock_, worker->options_.idle, worker->stop_, &worker->load_,
          worker->options_.wait);
  if (registered) rte_thread_unregister();
  return nullptr;
}

void Worker::Join() {
  if (!joinable_) return;
  pthread_join(thread_, nullptr);
  joinable_ = false;
}

Worker::~Worker() {
  RequestStop();
  Join();
}

void RunInterleaved(std::span<const PollFunction> polls, Clock clock, IdleMode idle,
                    const std::atomic<bool>& stop, PublishedLoad* load) {
  const auto poll_all = [polls](Instant now) {
    size_t done = 0;
    for (const PollFunction& poll : polls) done += poll(now);
    return done;
  };
  RunLoop(poll_all, clock, idle, stop, load);
}

std::vector<int> AllowedCpus() {
  std::vector<int> cpus;
  cpu_set_t mask;
  if (sched_getaffinity(0, sizeof mask, &mask) != 0) return cpus;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(static_cast<size_t>(cpu), &mask)) cpus.push_back(cpu);
  }
  return cpus;
}

}  // namespace millrace::dpdk

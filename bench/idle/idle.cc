// bench/idle/idle.cc - what `--idle` costs: the time that a message takes through two workers and
// back, and the processor time of waiting for it.
//
// Two workers pass a message to and fro over rings, at once or one each millisecond, on a CPU each
// or on one, alone or beside a thread of a stranger that never rests on each of those CPUs.

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "apps/common/flags.h"
#include "apps/common/setup.h"
#include "apps/common/stop_signals.h"
#include "bench/rate/cpu_time.h"
#include "millrace/base/histogram.h"
#include "millrace/base/spsc_ring.h"
#include "millrace/dpdk/clock.h"
#include "millrace/dpdk/eal.h"
#include "millrace/dpdk/worker.h"

namespace millrace::bench {
namespace {

// Sends a message, waits for it to come back, and sends the next one not before `interval`.
struct Exchange {
  SpscRing<Instant> there{8}, back{8};
  Duration interval;
  dpdk::Clock clock;  // the caller's
  Histogram round_trips = Histogram();
  bool waiting = false;
  Instant next;

  size_t PollCaller(Instant now) {
    Instant sent;
    if (waiting) {
      if (back.Pop({&sent, 1}) == 0) return 0;
      round_trips.Record(static_cast<uint64_t>(std::max<int64_t>((now - sent).ns(), 0)));
      waiting = false;
      return 1;
    }
    if (now < next) return 0;
    next = now + interval;
    sent = clock.Now();  // `now` is when the worker woke up
    waiting = there.Push({&sent, 1}) == 1;
    return 1;
  }

  size_t PollAnswerer() {
    Instant sent;
    return there.Pop({&sent, 1}) == 1 ? back.Push({&sent, 1}) : 0;
  }
};

// Threads that never rest, one on each of the CPUs, as long as it lives.
class Strangers {
 public:
  explicit Strangers(const std::vector<int>& cpus) {
    for (int cpu : cpus) {
      threads_.emplace_back([this, cpu] {
        cpu_set_t set;
        CPU_ZERO(&set);
        CPU_SET(static_cast<size_t>(cpu), &set);
        pthread_setaffinity_np(pthread_self(), sizeof set, &set);
        while (!stop_.load(std::memory_order_relaxed)) {
        }
      });
    }
  }
  ~Strangers() {
    stop_.store(true, std::memory_order_relaxed);
    for (std::thread& thread : threads_) thread.join();
  }

 private:
  std::atomic<bool> stop_{false};
  std::vector<std::thread> threads_;
};

struct Case {
  const char* name;
  std::vector<int> cpus;  // of caller and answerer
  bool strangers;
};

void PrintRow(const Case& c, const std::string& idle, const Exchange& exchange, Duration length,
              double cpu_seconds) {
  const Histogram& times = exchange.round_trips;
  const auto us = [&times](double quantile) {
    return static_cast<double>(times.ValueAtQuantile(quantile)) * 1e-3;
  };
  std::printf("| %s | %s | %s | %.0f | %.1f | %.1f |", c.name,
              exchange.interval.ns() == 0 ? "at once" : "1 per ms", idle.c_str(),
              static_cast<double>(times.count()) / length.seconds(), us(0.5), us(0.99));
  if (!c.strangers) std::printf(" %.0f", cpu_seconds / length.seconds() * 100);
  std::printf(" |\n");
  std::fflush(stdout);
}

absl::Status Run(const Case& c, const std::string& idle, Duration interval, Duration length,
                 apps::StopSignals& signals) {
  const dpdk::Clock clock = dpdk::Clock::Calibrate();
  const auto mode = apps::ParseIdle(idle);
  if (!mode.ok()) return mode.status();
  Exchange exchange{.interval = interval, .clock = clock};
  std::vector<int> busy = c.cpus;
  busy.erase(std::unique(busy.begin(), busy.end()), busy.end());
  if (!c.strangers) busy.clear();
  const Strangers strangers(busy);
  const auto start = [&](const char* name, int cpu, dpdk::PollFunction poll) {
    return dpdk::Worker::Start({.name = name, .cpu = cpu, .idle = *mode}, clock, std::move(poll));
  };
  auto answerer = start("answerer", c.cpus[1], [&](Instant) { return exchange.PollAnswerer(); });
  if (!answerer.ok()) return answerer.status();
  auto caller = start("caller", c.cpus[0], [&](Instant now) { return exchange.PollCaller(now); });
  if (!caller.ok()) return caller.status();
  const double cpu_before = CpuSeconds(RUSAGE_SELF);
  const bool interrupted = signals.Wait(length);
  const double cpu_seconds = CpuSeconds(RUSAGE_SELF) - cpu_before;
  caller->reset();
  answerer->reset();
  if (interrupted) return absl::CancelledError("interrupted");
  PrintRow(c, idle, exchange, length, cpu_seconds);
  return absl::OkStatus();
}

absl::Status RunAll(Duration length, const std::string& only, apps::StopSignals& signals) {
  auto eal = dpdk::Eal::Start({.memory_mb = 32, .huge_pages = dpdk::HugePages::kOff});
  if (!eal.ok()) return eal.status();
  const std::vector<int> allowed = dpdk::AllowedCpus();
  const std::vector<int> apart = {allowed.front(), allowed.back()};
  const std::vector<int> together = {allowed.front(), allowed.front()};
  std::vector<Case> cases = {{"one CPU", together, false}, {"one CPU, a stranger", together, true}};
  if (allowed.size() > 1) {
    cases.insert(cases.begin(),
                 {{"a CPU each", apart, false}, {"a CPU each, strangers", apart, true}});
  }
  std::printf("| workers | messages | --idle | round trips/s | p50 us | p99 us | CPU %% |\n");
  std::printf("|---|---|---|---|---|---|---|\n");
  for (const Case& c : cases) {
    for (Duration interval : {Duration(), Duration::Milliseconds(1)}) {
      for (const char* idle : {"poll", "yield", "sleep"}) {
        if (!only.empty() && only != idle) continue;
        if (absl::Status s = Run(c, idle, interval, length, signals); !s.ok()) return s;
      }
    }
  }
  return absl::OkStatus();
}

}  // namespace
}  // namespace millrace::bench

int main(int argc, char** argv) {
  CLI::App app("what --idle costs");
  millrace::Duration length = millrace::Duration::Milliseconds(500);
  std::string only;
  millrace::apps::AddDuration(app, {"--seconds", "TIME", "of each run", "500ms"}, &length,
                              millrace::Duration::Milliseconds(10),
                              millrace::Duration::Seconds(60));
  app.add_option("--idle", only, "this mode alone: poll, yield or sleep")
      ->check(CLI::IsMember({"poll", "yield", "sleep"}));
  CLI11_PARSE(app, argc, argv);
  millrace::apps::StopSignals signals;
  const absl::Status status = millrace::bench::RunAll(length, only, signals);
  if (status.ok()) return 0;
  std::fprintf(stderr, "idle: %s\n", std::string(status.message()).c_str());
  return 1;
}

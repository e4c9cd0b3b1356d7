#include "apps/load/kernel_bench.h"

#include <sys/resource.h>
#include <sys/utsname.h>

#include <algorithm>
#include <cmath>
#include <new>
#include <utility>

#include "apps/common/units.h"
#include "apps/kernel/kernel_congestion.h"
#include "apps/kernel/kernel_stack.h"
#include "apps/load/load_app.h"
#include "millrace/dpdk/cpus.h"

namespace millrace::apps {

using KernelLoadApp = LoadAppOf<KernelNetwork>;

// Members end in reverse order.
struct KernelBench::Ends final : LoadEnds {
  Ends(LoadMember& member, const Pattern& pattern, std::unique_ptr<KernelEngine> sockets)
      : engine(std::move(sockets)), app(member.plan, pattern, member.live), stack(*engine, app) {}

  void Finish() override {
    engine->CountAll();
    app.Finish();
  }
  const RunResult& result() const override { return app.result(); }
  void ForEachCounter(const AddCounter& add) const override { engine->counters().ForEach(add); }

  std::unique_ptr<KernelEngine> engine;
  KernelLoadApp app;
  KernelStack<KernelLoadApp> stack;
};

absl::Status AllowDescriptors(uint64_t needed) {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_cur >= needed) return absl::OkStatus();
  rlimit raised = limit;
  raised.rlim_cur = std::min<rlim_t>(needed, limit.rlim_max);
  if (limit.rlim_max < needed) raised.rlim_max = needed;  // root may
  raised.rlim_cur = needed;
  if (setrlimit(RLIMIT_NOFILE, &raised) == 0) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      "so many connections need " + GroupDigits(needed) +
      " descriptors, and this process may have " + GroupDigits(limit.rlim_max) +
      ": sudo prlimit --pid $$ --nofile=" + std::to_string(needed) +
      " in this shell, or give it a lower --open-max, --conns or --hold");
}

absl::StatusOr<std::unique_ptr<KernelBench>> KernelBench::Open(const KernelBenchOptions& options) {
  std::unique_ptr<KernelBench> bench(new KernelBench(options));
  bench->cpus_ = {-1};
  if (!options.cores.empty()) {
    auto cpus = dpdk::ChooseCpus(options.cores, -1, dpdk::ReadHostCpus());
    if (!cpus.ok()) {
      return absl::Status(cpus.status().code(), "--cores: " + std::string(cpus.status().message()));
    }
    bench->cpus_ = *std::move(cpus);
  }
  if (absl::Status ours = options.sources.Check(); !ours.ok()) return ours;
  return bench;
}

Capacity KernelBench::CapacityFor(const RunPlan& plan) const {
  const std::pair<uint16_t, uint16_t> ports =
      sources_->ports.value_or(std::pair(options_.ports.port_min, options_.ports.port_max));
  return CapacityIn(plan,
                    {.addresses = std::max<uint64_t>(sources_->addresses.size(), 1),
                     .ports = ports.second - ports.first + uint64_t{1},
                     .time_wait = options_.ports.TimeWaitTo(plan.targets.front().endpoint.address),
                     .busiest_share = BusiestShare(plan.targets)});
}

std::string KernelBench::Advice(const Capacity& capacity) const {
  const auto addresses = static_cast<uint64_t>(
      std::ceil(capacity.needed / static_cast<double>(std::max<uint64_t>(capacity.ports, 1))));
  return "the run needs " + FormatCount(capacity.needed / static_cast<double>(capacity.tuples)) +
         " times the source tuples that there are (" + capacity.Text() +
         "), and the kernel keeps one through TIME-WAIT when we close first; give it --close rst, "
         "--src with " +
         GroupDigits(addresses) + " addresses, or more ports: " +
         (sources_->ports ? "--src-port 1024-65535"
                          : "sudo sysctl net.ipv4.ip_local_port_range='1024 65535'");
}

std::string KernelBench::Describe() {
  utsname system{};
  uname(&system);
  const std::string& asked = options_.sockets.congestion;
  return std::string("kernel: sockets of ") + system.sysname + " " + system.release + ", " +
         (asked.empty() ? DefaultKernelCongestion() : asked) + ", " + std::to_string(workers()) +
         (workers() == 1 ? " worker" : " workers");
}

absl::StatusOr<std::unique_ptr<LoadRun>> KernelBench::Start(const RunPlan& plan) {
  // Files, signals, metrics, lines to other ranks.
  constexpr uint64_t kOthers = 256;
  if (absl::Status shares = CheckShares(plan, workers()); !shares.ok()) return shares;
  uint64_t descriptors = kOthers + workers();
  for (uint32_t i = 0; i < workers(); ++i) {
    descriptors += PlanOf(plan, {i, workers()}).open_limit();
  }
  if (absl::Status allowed = AllowDescriptors(descriptors); !allowed.ok()) return allowed;
  auto run = std::make_unique<LoadRun>();
  run->plan = plan;
  run->clock = dpdk::Clock::Calibrate();
  try {
    for (uint32_t i = 0; i < workers(); ++i) {
      if (absl::Status added = AddMember(*run); !added.ok()) return added;
    }
  } catch (const std::bad_alloc&) {
    return TooMany(plan);
  }
  for (size_t i = 0; i < run->members.size(); ++i) {
    if (absl::Status started = StartWorker(*run, i); !started.ok()) return started;
  }
  return run;
}

absl::Status KernelBench::AddMember(LoadRun& run) {
  const auto index = static_cast<uint32_t>(run.members.size());
  LoadMember& member = run.AddMember(workers());
  member.plan.targets = run.plan.targets;
  KernelSocketOptions sockets = options_.sockets;
  sockets.dscp = run.plan.dscp;
  const dpdk::OnCpu on(cpus_[index]);
  auto engine = KernelEngine::Create(
      {.connections = member.plan.open_limit(),
       .sockets = sockets,
       .sources = SourceWalk(sources_, index, workers(), run.plan.seed + run.plan.rank.index),
       .clock = run.clock});
  if (!engine.ok()) return engine.status();
  member.ends = std::make_unique<Ends>(member, pattern_, *std::move(engine));
  return absl::OkStatus();
}

absl::Status KernelBench::StartWorker(LoadRun& run, size_t index) {
  LoadMember& member = *run.members[index];
  KernelStack<KernelLoadApp>* const stack = &static_cast<Ends&>(*member.ends).stack;
  dpdk::WorkerOptions options{
      .name = "load" + (run.members.size() == 1 ? std::string() : std::to_string(index)),
      .idle = options_.idle,
      .has_packets = false,
      .wait = [stack](Duration most) { stack->Wait(most); }};
  if (cpus_[index] >= 0) options.cpu = cpus_[index];
  auto worker =
      dpdk::Worker::Start(options, run.clock, [stack](Instant now) { return stack->Poll(now); });
  if (worker.ok()) member.worker = *std::move(worker);
  return worker.status();
}

}  // namespace millrace::apps

#include "apps/load/dpdk_bench.h"

#include <unistd.h>

#include <algorithm>
#include <new>
#include <utility>

#include "apps/common/units.h"
#include "apps/load/load_app.h"
#include "apps/load/port_targets.h"
#include "millrace/dpdk/cpus.h"

namespace millrace::apps {
namespace {

constexpr uint32_t kPacketsPerPort = 16'383;

uint64_t MemoryBytes() {
  return static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES)) *
         static_cast<uint64_t>(sysconf(_SC_PAGE_SIZE));
}

absl::StatusOr<std::vector<int>> ChooseCpus(const std::string& cores) {
  if (cores.empty()) {
    std::vector<int> cpus = dpdk::AllowedCpus();
    cpus.resize(std::min<size_t>(cpus.size(), 2));
    return cpus;
  }
  auto cpus = dpdk::ChooseCpus(cores, -1, dpdk::ReadHostCpus());
  if (cpus.ok()) return cpus;
  return absl::Status(cpus.status().code(), "--cores: " + std::string(cpus.status().message()));
}

// Twice what is open, because an end that loses packets holds a connection longer than the other.
void MakeRoom(const RunPlan& plan, stack::Limits* limits) {
  const uint32_t room = 2 * plan.open_limit() + 4096;
  limits->connections = room;
  limits->half_open = std::min(room, 65'536u);
  limits->recoveries = std::min(room, limits->recoveries);
  limits->send_extents = std::max(limits->send_extents, room);
  if (plan.dscp != 0) limits->extras = std::max(limits->extras, room);
}

// The recorders of all workers share this much, besides what they keep.
constexpr uint64_t kRecorderBytes = 64u << 20;

}  // namespace

// Members end in reverse order.
struct DpdkBench::Ends final : LoadEnds {
  Ends(const LoadMember& member, const Pattern& pattern, LiveRun& live)
      : app(member.plan, pattern, live) {}

  void Finish() override { app.Finish(); }
  const RunResult& result() const override { return app.result(); }
  void ForEachCounter(const AddCounter& add) const override {
    stack->engine().counters().ForEach(add);
    stack->engine().tcp_counters().ForEach(add);
  }
  uint64_t time_waits_evicted() const override {
    uint64_t evicted = stack->engine().tcp_counters().time_wait_evicted;
    if (server_stack) evicted += server_stack->engine().tcp_counters().time_wait_evicted;
    return evicted;
  }
  static Ends& Of(const LoadMember& member) { return static_cast<Ends&>(*member.ends); }

  LoadApp app;
  std::unique_ptr<HostedStack<LoadApp>> stack;
  std::unique_ptr<ServeApp> server_app;  // over rings, as the next
  std::unique_ptr<HostedStack<ServeApp>> server_stack;
};

uint32_t TimeWaitsFor(const RunPlan& plan, Duration time_wait) {
  constexpr double kRateMax = 2e6;          // where no other is asked for
  constexpr double kBytesEach = 48 + 10.7;  // the record and its place in the table
  const double rate = plan.open_loop() ? plan.rate_per_s : kRateMax * plan.rank.count;
  double wanted = 1.01 * StartsWithin(plan, rate, time_wait);
  wanted = std::clamp(wanted, 65'536.0, static_cast<double>(MemoryBytes()) / 4 / kBytesEach);
  return static_cast<uint32_t>(std::min(wanted, stack::FlowRef::kIndexMax / 2.0));
}

absl::StatusOr<std::unique_ptr<DpdkBench>> DpdkBench::OpenRings(const RingOptions& options,
                                                                const MachineFlags& machine,
                                                                const TcpFlags& tcp) {
  absl::StatusOr<LayerOptions> layers = machine.Layers();
  if (!layers.ok()) return layers.status();
  absl::StatusOr<std::vector<int>> cpus = ChooseCpus(options.cores);
  if (!cpus.ok()) return cpus.status();
  std::unique_ptr<DpdkBench> bench(new DpdkBench);
  bench->ring_options_ = options;
  bench->layers_ = *layers;
  bench->idle_ = options.idle;
  bench->cpus_ = *std::move(cpus);
  bench->config_.tcp = tcp.Config();
  bench->config_.ttl = tcp.ttl;
  bench->config_.pages = machine.pages();
  options.network.SetClient(&bench->config_);
  const size_t pairs = options.cores.empty() ? 1 : bench->cpus_.size();
  const uint64_t packets = pairs * (2 * uint64_t{kPacketsPerPort} + 1);
  auto eal = dpdk::Eal::Start(machine.EalFor(packets));
  if (!eal.ok()) return eal.status();
  bench->eal_ = *std::move(eal);
  dpdk::RingPairOptions rings;
  rings.port.packets = kPacketsPerPort;
  for (size_t i = 0; i < pairs; ++i) {
    auto pair = dpdk::RingPair::Create(rings);
    if (!pair.ok()) return pair.status();
    bench->rings_.push_back(*std::move(pair));
  }
  return bench;
}

void DpdkBench::SetSourcePorts(const SourcePortChoice& choice) {
  std::vector<stack::EngineConfig*> configs = {&config_};
  if (!rings()) {
    for (Device& device : devices_->ports) configs.push_back(&device.config);
  }
  for (stack::EngineConfig* const config : configs) {
    config->source_ports_sequential = choice.sequential;
    if (!choice.range) continue;
    config->source_port_min = choice.range->first;
    config->source_port_max = choice.range->second;
  }
}

absl::StatusOr<std::unique_ptr<DpdkBench>> DpdkBench::OpenDevice(const DeviceFlags& flags,
                                                                 const TcpFlags& tcp) {
  absl::StatusOr<Devices> devices = OpenDevices(flags, tcp);
  if (!devices.ok()) return devices.status();
  std::unique_ptr<DpdkBench> bench(new DpdkBench);
  bench->devices_ = *std::move(devices);
  bench->places_ = bench->devices_->Places();
  bench->layers_ = bench->devices_->layers;
  bench->idle_ = bench->devices_->idle;
  bench->cpus_ = bench->devices_->Cpus();
  return bench;
}

absl::StatusOr<std::unique_ptr<LoadRun>> DpdkBench::Start(const RunPlan& plan) {
  if (absl::Status shares = CheckShares(plan, workers()); !shares.ok()) return shares;
  auto run = std::make_unique<LoadRun>();
  run->plan = plan;
  run->clock = dpdk::Clock::Calibrate();
  run->nic_before = *ReadCounters();
  try {
    if (absl::Status added = AddMembers(*run); !added.ok()) return added;
  } catch (const std::bad_alloc&) {
    return TooMany(plan);
  }
  for (uint32_t i = 0; i < rings_.size(); ++i) {
    if (absl::Status added = AddServer(*run, i); !added.ok()) return added;
  }
  if (absl::Status started = StartWorkers(*run); !started.ok()) return started;
  return run;
}

// Of the generators of a port, or of an end of one of the pairs of rings; `closes`: it keeps
// TIME-WAIT.
stack::EngineConfig DpdkBench::ConfigOf(const RunPlan& plan, const stack::EngineConfig& base,
                                        bool closes) const {
  const auto parts = static_cast<uint32_t>(rings() ? rings_.size() : devices_->ports.size());
  stack::EngineConfig config = base;
  MakeRoom(PlanOf(plan, {0, parts}), &config.limits);
  config.limits.time_wait = 65'536;
  if (!closes) return config;
  const uint32_t time_waits = ring_options_.time_waits != 0
                                  ? ring_options_.time_waits
                                  : TimeWaitsFor(plan, config.tcp.time_wait);
  config.limits.time_wait = (time_waits + parts - 1) / parts;
  return config;
}

absl::Status DpdkBench::AddMembers(LoadRun& run) {
  const bool closes = run.plan.close == CloseMode::kFin || run.plan.close == CloseMode::kHalf;
  for (uint32_t i = 0; i < rings_.size(); ++i) {
    absl::Status added = AddMember(run, layers_, ConfigOf(run.plan, config_, closes));
    if (!added.ok()) return added;
  }
  for (const auto& [device, index] : places_) {
    const stack::EngineConfig config = ConfigOf(run.plan, device->config, closes);
    const stack::Steering* const steering = device->port->steering();
    if (steering == nullptr) {
      if (absl::Status added = AddMember(run, layers_, config); !added.ok()) return added;
      continue;
    }
    if (index == 0) {
      const uint32_t count = device->port->workers();
      const auto packets = static_cast<uint32_t>(device->port->port().pool()->capacity());
      run.hand_overs.push_back(
          std::make_unique<stack::HandOver>(count, stack::HandOver::RingFramesFor(count, packets)));
    }
    LayerOptions layers = layers_;
    layers.place =
        SteeredPlace{steering, run.hand_overs.back().get(), index, device->port->queues()};
    absl::Status added = AddMember(run, layers, config.ForWorker(*steering, index));
    if (!added.ok()) return added;
  }
  return absl::OkStatus();
}

absl::Status DpdkBench::AddMember(LoadRun& run, LayerOptions layers,
                                  const stack::EngineConfig& config) {
  const uint32_t count = workers();
  const size_t i = run.members.size();
  LoadMember& member = run.AddMember(count);
  member.plan.targets = TargetsOf(run.plan.targets, config, rings() || devices_->ports.size() == 1);
  auto ends = std::make_unique<Ends>(member, pattern_, member.live);
  if (run.plan.capture_bytes > 0) {
    member.recorder = std::make_unique<FlightRecorder>(FlightRecorder::Options{
        .ring_bytes = kRecorderBytes / count, .kept_bytes = run.plan.capture_bytes / count});
    if (!member.recorder->ok()) {
      return absl::ResourceExhaustedError("--capture-failures: no memory for the packets");
    }
    layers.recorder = member.recorder.get();
    ends->app.SetRecorder(member.recorder.get());
  }
  const dpdk::OnCpu on(cpus_[i]);
  auto stack = HostedStack<LoadApp>::Create(port(static_cast<uint32_t>(i)), ends->app, config,
                                            layers, run.clock.Now());
  if (!stack.ok()) return stack.status();
  ends->stack = *std::move(stack);
  member.ends = std::move(ends);
  return absl::OkStatus();
}

absl::Status DpdkBench::AddServer(LoadRun& run, uint32_t pair) {
  Ends& ends = Ends::Of(*run.members[pair]);
  stack::EngineConfig config = ConfigOf(run.plan, config_, run.plan.close == CloseMode::kServer);
  ring_options_.network.SetServer(&config);
  ends.server_app = std::make_unique<ServeApp>(ring_options_.serve, pattern_);
  const dpdk::OnCpu on(apart() ? cpus_[1] : cpus_[pair]);
  auto stack = HostedStack<ServeApp>::Create(rings_[pair]->second(), *ends.server_app, config,
                                             LayerOptions(), run.clock.Now());
  if (!stack.ok()) return stack.status();
  ends.server_stack = *std::move(stack);
  stack::Engine& engine = ends.server_stack->engine();
  const absl::Status known =
      ring_options_.network.KnowClients(engine, port(pair).capabilities().mac);
  if (!known.ok()) return known;
  const Service service = ring_options_.service;
  return ListenOn(engine, {{service, "", RingTarget(service, ring_options_.network).port}});
}

absl::Status DpdkBench::StartWorkers(LoadRun& run) {
  const auto start = [&](const std::string& name, int cpu, dpdk::PollFunction poll,
                         std::unique_ptr<dpdk::Worker>* place) {
    dpdk::WorkerOptions options{.name = name, .idle = idle_};
    if (cpu >= 0) options.cpu = cpu;
    auto worker = dpdk::Worker::Start(options, run.clock, std::move(poll));
    if (worker.ok()) *place = *std::move(worker);
    return worker.status();
  };
  for (size_t i = 0; i < run.members.size(); ++i) {
    LoadMember& member = *run.members[i];
    HostedStack<LoadApp>* const own = Ends::Of(member).stack.get();
    HostedStack<ServeApp>* const server = Ends::Of(member).server_stack.get();
    const std::string number = run.members.size() == 1 ? "" : std::to_string(i);
    absl::Status started;
    if (server != nullptr && !apart()) {
      member.role = "client and server";
      started = start(
          "both-ends" + number, cpus_[i],
          [=](Instant now) { return own->Poll(now) + server->Poll(now); }, &member.worker);
    } else {
      // The server first, so that it listens when the generator begins.
      if (server != nullptr) {
        started = start(
            "server", cpus_[1], [=](Instant now) { return server->Poll(now); },
            &member.server_worker);
        if (!started.ok()) return started;
      }
      started = start(
          "load" + number, cpus_[i], [=](Instant now) { return own->Poll(now); }, &member.worker);
    }
    if (!started.ok()) return started;
  }
  return absl::OkStatus();
}

}  // namespace millrace::apps

#include "apps/load/load_bench.h"

#include <unistd.h>

#include <algorithm>
#include <new>
#include <utility>

#include "apps/common/units.h"
#include "apps/load/capacity.h"
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

uint32_t TimeWaitsFor(const RunPlan& plan, Duration time_wait) {
  constexpr double kRateMax = 2e6;          // where no other is asked for
  constexpr double kBytesEach = 48 + 10.7;  // the record and its place in the table
  const double rate = plan.open_loop() ? plan.rate_per_s : kRateMax * plan.rank.count;
  double wanted = 1.01 * StartsWithin(plan, rate, time_wait);
  wanted = std::clamp(wanted, 65'536.0, static_cast<double>(MemoryBytes()) / 4 / kBytesEach);
  return static_cast<uint32_t>(std::min(wanted, stack::FlowRef::kIndexMax / 2.0));
}

absl::StatusOr<std::unique_ptr<LoadBench>> LoadBench::OpenRings(const RingOptions& options,
                                                                const MachineFlags& machine,
                                                                const TcpFlags& tcp) {
  absl::StatusOr<LayerOptions> layers = machine.Layers();
  if (!layers.ok()) return layers.status();
  absl::StatusOr<std::vector<int>> cpus = ChooseCpus(options.cores);
  if (!cpus.ok()) return cpus.status();
  std::unique_ptr<LoadBench> bench(new LoadBench);
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
  auto eal = dpdk::Eal::Start({.memory_mb = machine.MemoryMb(packets),
                               .huge_pages = machine.huge_pages(),
                               .extra = machine.EalWords()});
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

std::optional<SourcePortChoice> ParseSourcePorts(std::string_view text) {
  SourcePortChoice choice{.sequential = text == "sequential"};
  // A worker opens from no other ports than those whose answers come to it.
  if (choice.sequential || text == "random" || text == "hash-local") return choice;
  const size_t dash = text.find('-');
  if (dash == std::string_view::npos) return std::nullopt;
  const auto low = ParseCount(text.substr(0, dash)), high = ParseCount(text.substr(dash + 1));
  if (!low || !high || *low == 0 || *high > 65'535 || *low > *high) return std::nullopt;
  choice.range = {static_cast<uint16_t>(*low), static_cast<uint16_t>(*high)};
  return choice;
}

void LoadBench::SetSourcePorts(const SourcePortChoice& choice) {
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

absl::StatusOr<std::unique_ptr<LoadBench>> LoadBench::OpenDevice(const DeviceFlags& flags,
                                                                 const TcpFlags& tcp) {
  absl::StatusOr<Devices> devices = OpenDevices(flags, tcp);
  if (!devices.ok()) return devices.status();
  std::unique_ptr<LoadBench> bench(new LoadBench);
  bench->devices_ = *std::move(devices);
  bench->places_ = bench->devices_->Places();
  bench->layers_ = bench->devices_->layers;
  bench->idle_ = bench->devices_->idle;
  bench->cpus_ = bench->devices_->Cpus();
  return bench;
}

std::vector<stack::EngineConfig> LoadBench::configs() const {
  if (rings()) return {config_};
  std::vector<stack::EngineConfig> configs;
  for (const Device& device : devices_->ports) {
    configs.push_back(device.config);
    configs.back().steering = device.port->steering();
  }
  return configs;
}

Endpoint LoadBench::RingTarget(Service service, const RingNetwork& network) {
  return {network.server(), static_cast<uint16_t>(service == Service::kHttp ? 80 : 4000)};
}

// "DPDK 22.11.11, 256 MB ..."
std::string LoadBench::DpdkVersion() const {
  const std::string text = eal().Describe();
  return text.substr(0, text.find(','));
}

dpdk::AttachedPort* LoadBench::PortWithoutLink() {
  if (rings()) return nullptr;
  for (const Device& device : devices_->ports) {
    if (!device.port->port().LinkIsUp()) return device.port.get();
  }
  return nullptr;
}

std::string LoadBench::Describe() {
  if (rings()) return std::to_string(2 * rings_.size()) + " rings in the process";
  return devices_->Describe();
}

dpdk::DpdkPortCounters LoadBench::ReadCounters() {
  if (!rings()) return devices_->ReadCounters();
  dpdk::DpdkPortCounters sum;
  for (const auto& pair : rings_) {
    const dpdk::DpdkPortCounters own = pair->first().ReadCounters();
    sum.rx_linearize_failed += own.rx_linearize_failed;
    sum.tx_rejected += own.tx_rejected;
    sum.AddDevice(own);
  }
  return sum;
}

double LoadBench::FreePacketsShare() {
  double least = 1;
  for (uint32_t i = 0; i < workers(); ++i) {
    if (!rings() && places_[i].index != 0) continue;  // workers of a port share its pool
    const dpdk::PacketPool& pool = *port(i).pool();
    least = std::min(least, 1 - static_cast<double>(pool.in_use()) / pool.capacity());
  }
  return std::max(least, 0.0);
}

absl::StatusOr<std::unique_ptr<LoadRun>> LoadBench::Start(const RunPlan& plan) {
  const uint32_t generators = workers() * plan.rank.count;
  if (plan.held_requests_per_s > 0 && plan.hold < generators) {
    return absl::InvalidArgumentError("--hold: fewer connections than the " +
                                      std::to_string(generators) + " workers that make requests");
  }
  if (!plan.open_loop() && plan.concurrency > 0 && plan.concurrency < generators) {
    return absl::InvalidArgumentError("fewer connections at a time than the " +
                                      std::to_string(generators) + " workers that open them");
  }
  auto run = std::make_unique<LoadRun>();
  run->plan = plan;
  run->clock = dpdk::Clock::Calibrate();
  run->nic_before = ReadCounters();
  try {
    if (absl::Status added = AddMembers(*run); !added.ok()) return added;
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError(
        "no memory for the state of " + std::to_string(PlanOf(plan, {}).open_limit()) +
        " connections; --open-max, --conns and --hold say how many");
  }
  for (uint32_t i = 0; i < rings_.size(); ++i) {
    if (absl::Status added = AddServer(*run, i); !added.ok()) return added;
  }
  if (absl::Status started = StartWorkers(*run); !started.ok()) return started;
  return run;
}

// Of the generators of a port, or of an end of one of the pairs of rings; `closes`: it keeps
// TIME-WAIT.
stack::EngineConfig LoadBench::ConfigOf(const RunPlan& plan, const stack::EngineConfig& base,
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

absl::Status LoadBench::AddMembers(LoadRun& run) {
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

absl::Status LoadBench::AddMember(LoadRun& run, LayerOptions layers,
                                  const stack::EngineConfig& config) {
  const uint32_t count = workers();
  const auto i = static_cast<uint32_t>(run.members.size());
  auto member = std::make_unique<LoadMember>();
  member->plan = PlanOf(run.plan, {i, count});
  member->plan.targets =
      TargetsOf(run.plan.targets, config, rings() || devices_->ports.size() == 1);
  if (count > 1 || run.plan.together) member->live.start_at_ns = LiveRun::kNotYet;
  member->app = std::make_unique<LoadApp>(member->plan, pattern_, member->live);
  if (run.plan.capture_bytes > 0) {
    member->recorder = std::make_unique<FlightRecorder>(FlightRecorder::Options{
        .ring_bytes = kRecorderBytes / count, .kept_bytes = run.plan.capture_bytes / count});
    if (!member->recorder->ok()) {
      return absl::ResourceExhaustedError("--capture-failures: no memory for the packets");
    }
    layers.recorder = member->recorder.get();
    member->app->SetRecorder(member->recorder.get());
  }
  const dpdk::OnCpu on(cpus_[i]);
  auto stack = HostedStack<LoadApp>::Create(port(i), *member->app, config, layers, run.clock.Now());
  if (!stack.ok()) return stack.status();
  member->stack = *std::move(stack);
  run.members.push_back(std::move(member));
  return absl::OkStatus();
}

absl::Status LoadBench::AddServer(LoadRun& run, uint32_t pair) {
  LoadMember& member = *run.members[pair];
  stack::EngineConfig config = ConfigOf(run.plan, config_, run.plan.close == CloseMode::kServer);
  ring_options_.network.SetServer(&config);
  member.server_app = std::make_unique<ServeApp>(ring_options_.serve, pattern_);
  const dpdk::OnCpu on(apart() ? cpus_[1] : cpus_[pair]);
  auto stack = HostedStack<ServeApp>::Create(rings_[pair]->second(), *member.server_app, config,
                                             LayerOptions(), run.clock.Now());
  if (!stack.ok()) return stack.status();
  member.server_stack = *std::move(stack);
  stack::Engine& engine = member.server_stack->engine();
  const absl::Status known =
      ring_options_.network.KnowClients(engine, port(pair).capabilities().mac);
  if (!known.ok()) return known;
  const Service service = ring_options_.service;
  return ListenOn(engine, {{service, "", RingTarget(service, ring_options_.network).port}});
}

absl::Status LoadBench::StartWorkers(LoadRun& run) {
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
    HostedStack<LoadApp>* const own = member.stack.get();
    HostedStack<ServeApp>* const server = member.server_stack.get();
    const std::string number = run.members.size() == 1 ? "" : std::to_string(i);
    absl::Status started;
    if (server != nullptr && !apart()) {
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

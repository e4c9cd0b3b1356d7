// apps/millrace/serve.cc - `millrace serve`: services to be loaded, on a real port.

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "apps/common/exit_code.h"
#include "apps/common/report.h"
#include "apps/common/setup.h"
#include "apps/common/worker_group.h"
#include "apps/load/plan.h"
#include "apps/millrace/serve_flags.h"
#include "apps/millrace/serve_reload.h"
#include "apps/millrace/subcommand.h"
#include "apps/result/write_file.h"
#include "apps/serve/serve_app.h"
#include "apps/serve/serve_control.h"
#include "millrace/dpdk/clock.h"

namespace millrace::apps {
namespace {

constexpr size_t kShownMax = 4;  // ports in the line that says where we listen

nlohmann::ordered_json ServicesJson(const ServeApp& app) {
  const HttpCounters& http = app.http().counters();
  return {{"accepted", app.counters().accepted},
          {"ended_not_normally", app.counters().ended_not_normally},
          {"over_rate_cap", app.counters().over_rate_cap},
          {"http_requests", http.requests},
          {"http_2xx", http.responses_2xx},
          {"http_4xx", http.responses_4xx},
          {"http_5xx", http.responses_5xx},
          {"http_idle_aborted", http.idle_aborted},
          {"exchanges", app.exchange().answered()},
          {"errors_on_purpose", http.errors + app.exchange().errors()},
          {"echo_bytes", app.echo().bytes()},
          {"discard_bytes", app.discard().bytes()}};
}

void PrintListening(const Devices& devices, const std::vector<Listening>& services) {
  std::string line = "listening on";
  for (const Device& device : devices.ports) {
    for (const IpPrefix& prefix : {device.config.address, device.config.host_v6.address}) {
      if (prefix.length_bits == 0) continue;
      for (size_t i = 0; i < services.size() && i < kShownMax; ++i) {
        line += " " + Endpoint{prefix.address, services[i].port}.ToString() + " (" +
                services[i].name + ")";
      }
      if (services.size() > kShownMax) {
        line += " and " + std::to_string(services.size() - kShownMax) + " more ports";
      }
      const bool v4 = prefix.address.IsV4();
      const int bits = v4 ? device.config.owned_bits : device.config.host_v6.owned_bits;
      if (bits < (v4 ? 32 : 128)) line += " at all of /" + std::to_string(bits);
    }
  }
  std::printf("%s - %s\n", line.c_str(), devices.Describe().c_str());
  std::fflush(stdout);
}

using ServeWorkers = WorkerGroup<ServeApp>;

nlohmann::ordered_json DeviceJson(const dpdk::DpdkPortCounters& c) {
  return {{"rx_packets", c.rx_packets},        {"tx_packets", c.tx_packets},
          {"rx_missed", c.rx_missed},          {"rx_errors", c.rx_errors},
          {"rx_no_packet", c.rx_no_packet},    {"tx_errors", c.tx_errors},
          {"tx_rejected", c.tx_rejected},      {"rx_linearize_failed", c.rx_linearize_failed},
          {"bond_failovers", c.bond_failovers}};
}

nlohmann::ordered_json OpenJson(const stack::Engine& engine) {
  return {{"connections", engine.connections().used()},
          {"half_open", engine.half_opens().used()},
          {"time_wait", engine.time_waits().used()}};
}

// Prints the counters of all workers together and writes them to `file` unless that is "".
absl::Status FinishReport(ServeWorkers& workers, const Devices& devices, const std::string& file) {
  nlohmann::ordered_json services, counters, open, each = nlohmann::ordered_json::array();
  for (uint32_t i = 0; i < workers.size(); ++i) {
    const nlohmann::ordered_json counted = CountersJson(workers.engine(i), workers.layers(i));
    AddUp(services, ServicesJson(workers.app(i)));
    AddUp(counters, counted);
    AddUp(open, OpenJson(workers.engine(i)));
    each.push_back({{"services", ServicesJson(workers.app(i))}, {"counters", counted}});
  }
  const nlohmann::ordered_json device_json = DeviceJson(devices.ReadCounters());
  std::printf("stopped\n");
  std::printf("%s%s%s", NumbersText(services).c_str(), NumbersText(counters).c_str(),
              NumbersText(device_json).c_str());
  if (file.empty()) return absl::OkStatus();
  nlohmann::ordered_json json;
  json["schema"] = 1;
  json["command"] = "serve";
  json["services"] = services;
  json["counters"] = counters;
  json["open"] = open;
  json["device"] = device_json;
  json["workers"] = each;
  std::ofstream out(file);
  out << json.dump(2) << "\n";
  out.close();
  if (out.good()) return absl::OkStatus();
  return absl::FailedPreconditionError("cannot write --stats " + file);
}

// Each worker has its share of the cap, and draws of its own.
ServeOptions PartOf(const ServeOptions& options, uint32_t worker, uint32_t count) {
  ServeOptions part = options;
  if (options.rate_cap_per_s != 0) {
    part.rate_cap_per_s = std::max<uint64_t>(1, ShareOf(options.rate_cap_per_s, {worker, count}));
  }
  part.disturbance.seed += worker;
  return part;
}

// Rate cap, delays and errors, of all workers or of none: false when one has no room for another
// change. Room that was seen stays, because only this thread takes it.
bool ChangeAll(ServeWorkers& workers, const ServeOptions& options) {
  for (uint32_t i = 0; i < workers.size(); ++i) {
    if (!workers.app(i).CanChange()) return false;
  }
  for (uint32_t i = 0; i < workers.size(); ++i) {
    workers.app(i).Change(PartOf(options, i, workers.size()));
  }
  return true;
}

// Null without --control.
std::unique_ptr<ServeControl> MakeControl(const ServeFlags& flags, const CLI::App& app,
                                          const std::vector<Listening>& services,
                                          std::unique_ptr<ControlSocket> socket,
                                          const Devices& devices, ServeWorkers& workers) {
  if (socket == nullptr) return nullptr;
  const stack::EngineConfig& config = devices.ports.front().config;  // all have the same families
  ServeControlOptions options{
      .listening = services,
      .v4 = config.address.length_bits != 0,
      .v6 = config.host_v6.address.length_bits != 0,
      .grace = flags.grace,
      .reload = [&app] { return ReloadServe(app); },
      .change = [&workers](const ServeOptions& changed) { return ChangeAll(workers, changed); }};
  std::vector<stack::Control*> controls;
  for (uint32_t i = 0; i < workers.size(); ++i) {
    controls.push_back(&workers.control(i));
    options.backlog += static_cast<uint32_t>(workers.engine(i).half_opens().capacity());
  }
  return std::make_unique<ServeControl>(std::move(socket), std::move(controls), std::move(options));
}

absl::Status Serve(const ServeFlags& flags, const CLI::App& app, const ServeOptions& options,
                   const std::vector<Listening>& services, Devices& devices,
                   std::unique_ptr<ControlSocket> socket, StopSignals& signals) {
  const Pattern pattern;
  const auto make = [&](uint32_t worker) {
    return std::make_unique<ServeApp>(PartOf(options, worker, devices.workers()), pattern);
  };
  dpdk::Clock clock = dpdk::Clock::Calibrate();
  auto workers = ServeWorkers::Create(devices, make, clock);
  if (!workers.ok()) return workers.status();
  for (uint32_t i = 0; i < (*workers)->size(); ++i) {
    if (absl::Status on = ListenOn((*workers)->engine(i), services); !on.ok()) return on;
  }
  if (absl::Status ready = (*workers)->AwaitAddress(); !ready.ok()) return ready;
  if (absl::Status started = (*workers)->Start("serve"); !started.ok()) return started;
  const std::unique_ptr<ServeControl> control =
      MakeControl(flags, app, services, std::move(socket), devices, **workers);
  PrintListening(devices, services);
  const Instant end = clock.Now() + flags.duration;
  while (
      !(*workers)->Watch(signals, control ? control->interval() : ServeWorkers::kWatchInterval)) {
    const Instant now = clock.Now();
    if (control) control->Poll(now);
    if (flags.duration.ns() != 0 && now >= end) break;
  }
  (*workers)->Stop(flags.grace, signals);
  return FinishReport(**workers, devices, flags.stats);
}

int Run(const ServeFlags& flags, const CLI::App& app, StopSignals& signals) {
  std::vector<Listening> services;
  const absl::StatusOr<ServeOptions> options = OptionsOf(flags, &services);
  if (!options.ok()) return Report(options.status());
  if (!flags.stats.empty()) {
    if (absl::Status can = CheckWritable(flags.stats); !can.ok()) return Report(can);
  }
  std::unique_ptr<ControlSocket> socket;
  if (!flags.control.empty()) {
    auto opened = ControlSocket::Open(flags.control);
    if (!opened.ok()) return Report(opened.status());
    socket = *std::move(opened);
  }
  absl::StatusOr<Devices> devices = OpenDevices(flags.device, flags.tcp);
  if (!devices.ok()) return Report(devices.status());
  const auto ports = static_cast<uint32_t>(devices->ports.size());
  for (uint32_t i = 0; i < ports; ++i) {
    devices->ports[i].config.limits.connections = stack::ShareOf(flags.connections, i, ports);
  }
  const absl::Status served =
      Serve(flags, app, *options, services, *devices, std::move(socket), signals);
  return served.ok() ? kPass : Report(served);
}

}  // namespace

Subcommand AddServe(CLI::App& program, std::shared_ptr<ServeFlags> flags) {
  CLI::App* app = program.add_subcommand("serve", "a server to load: HTTP, echo, raw TCP and more");
  flags->AddTo(*app);
  const auto check = [flags]() -> int {
    std::vector<Listening> services;
    const auto options = OptionsOf(*flags, &services);
    return options.ok() ? kPass : Report(options.status());
  };
  return {.app = app,
          .run = [app, flags](StopSignals& signals) { return Run(*flags, *app, signals); },
          .check = check};
}

}  // namespace millrace::apps

// apps/millrace/serve.cc - `millrace serve`: HTTP, echo and discard on a real port.

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "apps/common/exit_code.h"
#include "apps/common/flags.h"
#include "apps/common/http_service.h"
#include "apps/common/report.h"
#include "apps/common/setup.h"
#include "apps/common/stream_services.h"
#include "apps/common/worker_group.h"
#include "apps/millrace/subcommand.h"
#include "millrace/dpdk/clock.h"

namespace millrace::apps {
namespace {

enum class Service : uint8_t { kHttp, kEcho, kDiscard };

struct Listening {
  Service service;
  const char* name;
  uint16_t port;
};

struct ServeFlags {
  DeviceFlags device;
  TcpFlags tcp;
  bool http = false, echo = false, discard = false;
  uint16_t port = 0;
  uint32_t connections = 65'536;
  std::string stats;
  Duration duration;  // 0: until a signal
  Duration grace = Duration::Seconds(1);
};

// Hands the events of each connection to the service that its listener stands for, which is the
// connection's user_data.
class ServeApp {
 public:
  void OnOpen(stack::Socket socket) {
    ++accepted_;
    if (Of(socket) == Service::kHttp) http_.OnOpen(socket);
  }
  size_t OnReceive(stack::Socket socket, std::span<const std::byte> data) {
    switch (Of(socket)) {
      case Service::kHttp:
        return http_.OnReceive(socket, data);
      case Service::kEcho:
        return echo_.OnReceive(socket, data);
      case Service::kDiscard:
        break;
    }
    return discard_.OnReceive(socket, data);
  }
  void OnPeerClosed(stack::Socket socket) {
    switch (Of(socket)) {
      case Service::kHttp:
        return http_.OnPeerClosed(socket);
      case Service::kEcho:
        return echo_.OnPeerClosed(socket);
      case Service::kDiscard:
        return discard_.OnPeerClosed(socket);
    }
  }
  void OnWritable(stack::Socket socket) {
    if (Of(socket) == Service::kHttp) http_.OnWritable(socket);
    if (Of(socket) == Service::kEcho) echo_.OnWritable(socket);
  }
  void OnClose(stack::Socket socket, tcp::CloseReason reason) {
    if (Of(socket) == Service::kHttp) http_.OnClose(socket);
    if (reason != tcp::CloseReason::kNormal) ++broken_;
  }
  void OnPoll(stack::Engine& engine, Instant now) {
    http_.OnPoll(engine, now);
    echo_.OnPoll(engine, now);
  }

  // What the services counted.
  nlohmann::ordered_json Json() const {
    const HttpCounters& c = http_.counters();
    return {{"accepted", accepted_},
            {"ended_not_normally", broken_},
            {"http_requests", c.requests},
            {"http_2xx", c.responses_2xx},
            {"http_4xx", c.responses_4xx},
            {"http_5xx", c.responses_5xx},
            {"http_idle_aborted", c.idle_aborted},
            {"echo_bytes", echo_.bytes()},
            {"discard_bytes", discard_.bytes()}};
  }

 private:
  static Service Of(const stack::Socket& socket) {
    return static_cast<Service>(socket.user_data());
  }

  Pattern pattern_;
  HttpService http_{pattern_};
  EchoService echo_;
  DiscardService discard_;
  uint64_t accepted_ = 0, broken_ = 0;
};

static_assert(stack::App<ServeApp>);

absl::StatusOr<std::vector<Listening>> ServicesOf(const ServeFlags& flags) {
  std::vector<Listening> services;
  if (flags.echo) services.push_back({Service::kEcho, "echo", 7});
  if (flags.discard) services.push_back({Service::kDiscard, "discard", 9});
  if (flags.http || services.empty()) services.push_back({Service::kHttp, "http", 80});
  if (flags.port == 0) return services;
  if (services.size() > 1) {
    return absl::InvalidArgumentError(
        "--port says where one service listens, but several were asked for");
  }
  services.front().port = flags.port;
  return services;
}

// Where the services are: the address of each family that there is.
std::vector<Endpoint> EndpointsOf(const stack::EngineConfig& config,
                                  const std::vector<Listening>& services) {
  std::vector<Endpoint> endpoints;
  for (const IpPrefix& prefix : {config.address, config.host_v6.address}) {
    if (prefix.length_bits == 0) continue;
    for (const Listening& l : services) endpoints.push_back({prefix.address, l.port});
  }
  return endpoints;
}

using ServeWorkers = WorkerGroup<ServeApp>;

// Each worker listens, with its share of the half-open connections as backlog.
absl::Status ListenAll(stack::Engine& engine, const std::vector<Listening>& services) {
  const uint32_t backlog = engine.config().limits.half_open;
  for (const Endpoint& at : EndpointsOf(engine.config(), services)) {
    const auto service = std::find_if(services.begin(), services.end(),
                                      [&](const Listening& l) { return l.port == at.port; });
    const auto result = engine.Listen(at, backlog, static_cast<uint64_t>(service->service));
    if (result != stack::ListenResult::kOk) {
      return absl::InvalidArgumentError(at.ToString() + ": " + stack::ToString(result));
    }
  }
  return absl::OkStatus();
}

void PrintListening(const Device& device, const std::vector<Listening>& services) {
  std::string line = "listening on";
  for (const Endpoint& at : EndpointsOf(device.config, services)) {
    for (const Listening& l : services) {
      if (l.port == at.port) line += " " + at.ToString() + " (" + l.name + ")";
    }
  }
  if (device.port->workers() > 1) {
    line += ", " + std::to_string(device.port->workers()) + " workers over " +
            std::to_string(device.port->queues()) + " queue(s)" +
            (device.port->port().rss() ? " with RSS" : "");
  }
  std::printf("%s - %s\n", line.c_str(), device.port->port().Describe().c_str());
  std::fflush(stdout);
}

nlohmann::ordered_json DeviceJson(const dpdk::DpdkPort& port) {
  const dpdk::DpdkPortCounters c = port.ReadCounters();
  return {{"rx_packets", c.rx_packets},     {"tx_packets", c.tx_packets},
          {"rx_missed", c.rx_missed},       {"rx_errors", c.rx_errors},
          {"rx_no_packet", c.rx_no_packet}, {"tx_errors", c.tx_errors},
          {"tx_rejected", c.tx_rejected},   {"rx_linearize_failed", c.rx_linearize_failed}};
}

nlohmann::ordered_json OpenJson(const stack::Engine& engine) {
  return {{"connections", engine.connections().used()},
          {"half_open", engine.half_opens().used()},
          {"time_wait", engine.time_waits().used()}};
}

// Prints the counters of all workers together and writes them to `file` unless that is "".
absl::Status FinishReport(ServeWorkers& workers, const Device& device, const std::string& file) {
  nlohmann::ordered_json services, counters, open, each = nlohmann::ordered_json::array();
  for (uint32_t i = 0; i < workers.size(); ++i) {
    const nlohmann::ordered_json counted = CountersJson(workers.engine(i), workers.layers(i));
    AddUp(services, workers.app(i).Json());
    AddUp(counters, counted);
    AddUp(open, OpenJson(workers.engine(i)));
    each.push_back({{"services", workers.app(i).Json()}, {"counters", counted}});
  }
  const nlohmann::ordered_json device_json = DeviceJson(device.port->port());
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

absl::Status Serve(const ServeFlags& flags, const std::vector<Listening>& services, Device& device,
                   StopSignals& signals) {
  auto workers = ServeWorkers::Create(
      device, [](uint32_t) { return std::make_unique<ServeApp>(); }, dpdk::Clock::Calibrate());
  if (!workers.ok()) return workers.status();
  for (uint32_t i = 0; i < (*workers)->size(); ++i) {
    if (absl::Status s = ListenAll((*workers)->engine(i), services); !s.ok()) return s;
  }
  if (absl::Status ready = (*workers)->AwaitAddress(); !ready.ok()) return ready;
  if (absl::Status started = (*workers)->Start("serve"); !started.ok()) return started;
  PrintListening(device, services);
  const int64_t end_ns = dpdk::MonotonicNs() + flags.duration.ns();
  while (!(*workers)->Watch(signals)) {
    if (flags.duration.ns() != 0 && dpdk::MonotonicNs() >= end_ns) break;
  }
  (*workers)->Stop(flags.grace, signals);
  return FinishReport(**workers, device, flags.stats);
}

int Run(const ServeFlags& flags, StopSignals& signals) {
  const auto services = ServicesOf(flags);
  if (!services.ok()) return Report(services.status());
  absl::StatusOr<Device> device = OpenDevice(flags.device, flags.tcp);
  if (!device.ok()) return Report(device.status());
  device->config.limits.connections = flags.connections;
  const absl::Status served = Serve(flags, *services, *device, signals);
  return served.ok() ? kPass : Report(served);
}

}  // namespace

Subcommand AddServe(CLI::App& program) {
  CLI::App* app = program.add_subcommand("serve", "a server for HTTP, echo or discard on a port");
  auto flags = std::make_shared<ServeFlags>();
  flags->device.AddTo(*app);
  app->add_flag("--http", flags->http, "HTTP/1.1 on port 80; paths are sizes: /1k (default)");
  app->add_flag("--echo", flags->echo, "send back what comes, on port 7");
  app->add_flag("--discard", flags->discard, "take what comes, on port 9");
  AddCount(*app, {"--port", "N", "where the service listens instead", ""}, &flags->port, 1, 65'535);
  AddCount(*app, {"--connections", "N", "open at a time, at most", "65536"}, &flags->connections, 1,
           50'000'000);
  app->add_option("--stats", flags->stats, "write the counters as JSON to FILE at the end")
      ->type_name("FILE");
  AddDuration(*app, {"--duration", "TIME", "stop then (default: at SIGINT or SIGTERM)", ""},
              &flags->duration, Duration::Milliseconds(1), Duration::Seconds(1'000'000));
  AddDuration(*app,
              {"--grace", "TIME", "at the end: RST to what its FIN has not ended by then", "1s"},
              &flags->grace, Duration(), Duration::Seconds(3600));
  flags->tcp.AddTo(*app);
  return {app, [flags](StopSignals& signals) { return Run(*flags, signals); }};
}

}  // namespace millrace::apps

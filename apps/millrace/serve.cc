// apps/millrace/serve.cc - `millrace serve`: services to be loaded, on a real port.

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "apps/common/exit_code.h"
#include "apps/common/flags.h"
#include "apps/common/report.h"
#include "apps/common/setup.h"
#include "apps/common/worker_group.h"
#include "apps/load/plan.h"
#include "apps/millrace/subcommand.h"
#include "apps/serve/serve_app.h"
#include "millrace/dpdk/clock.h"

namespace millrace::apps {
namespace {

constexpr size_t kShownMax = 4;  // ports in the line that says where we listen

struct ServeFlags {
  DeviceFlags device;
  TcpFlags tcp;
  bool http = false, echo = false, discard = false, chargen = false;
  std::string respond, delay, error;
  int64_t close_after = -1;  // not given
  std::string ports;
  double rate_cap_per_s = 0;
  uint64_t seed = 1;
  uint32_t connections = 65'536;
  std::string stats;
  Duration duration;  // 0: until a signal
  Duration grace = Duration::Seconds(1);
};

// "80,8080-8083"; nullopt when it is no list of ports.
std::optional<std::vector<uint16_t>> ParsePorts(std::string_view text) {
  std::vector<uint16_t> ports;
  while (!text.empty()) {
    const size_t comma = text.find(',');
    const std::string_view part = text.substr(0, comma);
    text = comma == std::string_view::npos ? std::string_view() : text.substr(comma + 1);
    const size_t dash = part.find('-');
    const auto first = ParseCount(part.substr(0, dash));
    const auto last = dash == std::string_view::npos ? first : ParseCount(part.substr(dash + 1));
    if (!first || !last || *first == 0 || *last > 65'535 || *first > *last) return std::nullopt;
    for (uint64_t port = *first; port <= *last; ++port) {
      ports.push_back(static_cast<uint16_t>(port));
    }
  }
  return ports.empty() || ports.size() > stack::ListenerTable::kListenersMax / 2
             ? std::nullopt
             : std::optional(ports);
}

// The one service of raw TCP that was asked for, or none.
absl::Status SetExchange(const ServeFlags& flags, const char** name, uint16_t* port,
                         ExchangeOptions* options) {
  const bool takes = flags.close_after >= 0 && !flags.http && flags.respond.empty() &&
                     !flags.chargen && !flags.echo && !flags.discard;
  if (!flags.respond.empty() && flags.chargen) {
    return absl::InvalidArgumentError("--respond and --chargen are the same service twice");
  }
  if (!flags.respond.empty()) {
    const std::optional<Exchange> sizes = ParseExchange(flags.respond);
    if (!sizes || sizes->weight != 1) {
      return absl::InvalidArgumentError("--respond \"" + flags.respond +
                                        "\": write REQUEST:RESPONSE, as in 64:1k");
    }
    *options = {.request_bytes = sizes->request_bytes, .response_bytes = sizes->response_bytes};
    if (flags.close_after > 0) options->close_after = static_cast<uint32_t>(flags.close_after);
    *name = "respond";
    *port = 4000;
  } else if (flags.chargen) {
    *options = {.request_bytes = 0, .response_bytes = ExchangeOptions::kForever};
    *name = "chargen";
    *port = 19;
  } else if (takes) {
    const auto octets = static_cast<uint64_t>(flags.close_after);
    *options = {.request_bytes = octets, .response_bytes = 0, .close_after = 1};
    *name = "close-after";
    *port = 4000;
  }
  return absl::OkStatus();
}

absl::StatusOr<ServeOptions> OptionsOf(const ServeFlags& flags, std::vector<Listening>* services) {
  ServeOptions options;
  const char* exchange = nullptr;
  uint16_t exchange_port = 0;
  absl::Status set = SetExchange(flags, &exchange, &exchange_port, &options.exchange);
  if (!set.ok()) return set;
  if (flags.echo) services->push_back({Service::kEcho, "echo", 7});
  if (flags.discard) services->push_back({Service::kDiscard, "discard", 9});
  if (exchange != nullptr) services->push_back({Service::kExchange, exchange, exchange_port});
  if (flags.http || services->empty()) services->push_back({Service::kHttp, "http", 80});
  if (!flags.ports.empty()) {
    const std::optional<std::vector<uint16_t>> ports = ParsePorts(flags.ports);
    if (!ports) {
      return absl::InvalidArgumentError("--port \"" + flags.ports +
                                        "\" is no list of ports; write 80,8080-8083");
    }
    if (services->size() > 1) {
      return absl::InvalidArgumentError(
          "--port says where one service listens, but several were asked for");
    }
    const Listening only = services->front();
    services->clear();
    for (const uint16_t port : *ports) services->push_back({only.service, only.name, port});
  }
  const bool http = services->front().service == Service::kHttp;
  if (http && flags.close_after > 0) {
    options.http_close_after = static_cast<uint32_t>(flags.close_after);
  }
  if (!flags.delay.empty()) {
    const std::optional<Quantiles> delay = Quantiles::Parse(flags.delay);
    if (!delay) {
      return absl::InvalidArgumentError("--delay \"" + flags.delay +
                                        "\": write 2ms, or rising percentiles: p50:0,p99:2ms");
    }
    options.disturbance.delay = *delay;
  }
  const std::string wrong = ParseErrors(flags.error, http, &options.disturbance);
  if (!wrong.empty()) return absl::InvalidArgumentError("--error: " + wrong);
  options.disturbance.seed = flags.seed;
  options.rate_cap_per_s = static_cast<uint64_t>(flags.rate_cap_per_s);
  return options;
}

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

void PrintListening(const Device& device, const std::vector<Listening>& services) {
  std::string line = "listening on";
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
  if (device.port->workers() > 1) {
    line += ", " + std::to_string(device.port->workers()) + " workers over " +
            std::to_string(device.port->queues()) + " queue(s)" +
            (device.port->port().rss() ? " with RSS" : "");
  }
  std::printf("%s - %s\n", line.c_str(), device.port->port().Describe().c_str());
  std::fflush(stdout);
}

using ServeWorkers = WorkerGroup<ServeApp>;

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
    AddUp(services, ServicesJson(workers.app(i)));
    AddUp(counters, counted);
    AddUp(open, OpenJson(workers.engine(i)));
    each.push_back({{"services", ServicesJson(workers.app(i))}, {"counters", counted}});
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

absl::Status Serve(const ServeFlags& flags, const ServeOptions& options,
                   const std::vector<Listening>& services, Device& device, StopSignals& signals) {
  const Pattern pattern;
  // Each worker has its share of the cap, and draws of its own.
  const auto make = [&](uint32_t worker) {
    ServeOptions part = options;
    const uint32_t count = device.port->workers();
    if (options.rate_cap_per_s != 0) {
      part.rate_cap_per_s = std::max<uint64_t>(1, ShareOf(options.rate_cap_per_s, {worker, count}));
    }
    part.disturbance.seed += worker;
    return std::make_unique<ServeApp>(part, pattern);
  };
  auto workers = ServeWorkers::Create(device, make, dpdk::Clock::Calibrate());
  if (!workers.ok()) return workers.status();
  for (uint32_t i = 0; i < (*workers)->size(); ++i) {
    if (absl::Status on = ListenOn((*workers)->engine(i), services); !on.ok()) return on;
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
  std::vector<Listening> services;
  const absl::StatusOr<ServeOptions> options = OptionsOf(flags, &services);
  if (!options.ok()) return Report(options.status());
  absl::StatusOr<Device> device = OpenDevice(flags.device, flags.tcp);
  if (!device.ok()) return Report(device.status());
  device->config.limits.connections = flags.connections;
  const absl::Status served = Serve(flags, *options, services, *device, signals);
  return served.ok() ? kPass : Report(served);
}

}  // namespace

Subcommand AddServe(CLI::App& program) {
  CLI::App* app = program.add_subcommand("serve", "a server to load: HTTP, echo, raw TCP and more");
  auto flags = std::make_shared<ServeFlags>();
  flags->device.AddTo(*app);
  app->add_flag("--dispatcher", flags->device.dispatcher,
                "the first of --cores only receives, and hands to the others");
  app->add_flag("--http", flags->http, "HTTP/1.1 on port 80; paths are sizes: /1k (default)");
  app->add_flag("--echo", flags->echo, "send back what comes, on port 7");
  app->add_flag("--discard", flags->discard, "take what comes, on port 9");
  app->add_flag("--chargen", flags->chargen, "send without end, on port 19");
  app->add_option("--respond", flags->respond,
                  "raw TCP on port 4000: to REQUEST octets answer RESPONSE octets")
      ->type_name("REQUEST:RESPONSE");
  AddCount(*app,
           {"--close-after", "N",
            "close after N answers (--http, --respond); alone: after N octets, on port 4000", ""},
           &flags->close_after, 0, 1'000'000'000);
  app->add_option("--delay", flags->delay,
                  "of answers: 2ms, or by percentiles, linear in between: p50:0,p99:2ms")
      ->type_name("DISTRIBUTION");
  app->add_option("--error", flags->error,
                  "share of requests that go wrong: 0.1%, or by kind: status=, reset=, silent=, "
                  "garbage=, early=, forever=")
      ->type_name("SHARES");
  AddRate(*app, {"--rate-cap", "N", "reset what is opened beyond N connections a second", ""},
          &flags->rate_cap_per_s);
  AddCount(*app, {"--seed", "N", "of delays and errors", "1"}, &flags->seed);
  app->add_option("--port", flags->ports, "where the service listens instead: 80,8080-8083")
      ->type_name("PORTS");
  app->add_option("--addresses", flags->device.own,
                  "all of these are ours: 10.1.16.0/24 or 2001:db8::1:0/112")
      ->type_name("PREFIX");
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

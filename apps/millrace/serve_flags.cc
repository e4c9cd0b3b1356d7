#include "apps/millrace/serve_flags.h"

#include <algorithm>
#include <optional>
#include <string_view>

#include "apps/common/addresses.h"
#include "apps/common/flags.h"
#include "apps/common/quantiles.h"
#include "apps/load/plan.h"

namespace millrace::apps {
namespace {

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
    const Exchange sizes = ParseExchange(flags.respond).value_or(Exchange());
    *options = {.request_bytes = sizes.request_bytes, .response_bytes = sizes.response_bytes};
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

// What was asked for and no service of these does.
std::string Idle(const ServeFlags& flags, bool http, bool exchange) {
  const bool answers = http || exchange || !flags.control.empty();  // `ctl` may add some
  if (!answers && !(flags.delay.empty() && flags.error.empty())) {
    return std::string(flags.delay.empty() ? "--error" : "--delay") +
           ": echo and discard are never late or wrong; it is for --http, --respond and --chargen";
  }
  if (flags.close_after < 0) return "";
  const bool closes = http || !flags.respond.empty();
  const bool alone = !flags.echo && !flags.discard && !flags.chargen;
  if (!closes && !alone) return "--close-after: is for --http and --respond, or stands alone";
  return closes && flags.close_after == 0 ? "--close-after: after 0 answers nobody gets one" : "";
}

}  // namespace

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
    if (services->size() > 1) {
      return absl::InvalidArgumentError(
          "--port says where one service listens, but several were asked for");
    }
    const Listening only = services->front();
    services->clear();
    for (const uint16_t port : ParsePorts(flags.ports).value_or(std::vector<uint16_t>())) {
      services->push_back({only.service, only.name, port});
    }
  }
  const bool http = std::any_of(services->begin(), services->end(), [](const Listening& each) {
    return each.service == Service::kHttp;
  });
  if (std::string idle = Idle(flags, http, exchange != nullptr); !idle.empty()) {
    return absl::InvalidArgumentError(idle);
  }
  if (http && flags.close_after > 0) {
    options.http.close_after = static_cast<uint32_t>(flags.close_after);
  }
  options.http.idle_timeout = flags.idle_timeout;
  if (!flags.delay.empty()) {
    options.disturbance.delay = Quantiles::Parse(flags.delay).value_or(Quantiles());
  }
  const std::string wrong = ParseErrors(flags.error, http, &options.disturbance);
  if (!wrong.empty()) return absl::InvalidArgumentError("--error: " + wrong);
  options.disturbance.seed = flags.seed;
  if (flags.rate_cap_per_s > 0 && flags.rate_cap_per_s < 1) {
    return absl::InvalidArgumentError(
        "--rate-cap: write 1 or more connections a second; without it there is no cap");
  }
  options.rate_cap_per_s = static_cast<uint64_t>(flags.rate_cap_per_s);
  return options;
}

void ServeFlags::AddTo(CLI::App& app) {
  device.AddTo(app);
  app.add_flag("--dispatcher", device.dispatcher,
               "the first of --cores only receives, and hands to the others");
  app.add_flag("--http", http, "HTTP/1.1 on port 80; paths are sizes: /1k (default)");
  app.add_flag("--echo", echo, "send back what comes, on port 7");
  app.add_flag("--discard", discard, "take what comes, on port 9");
  app.add_flag("--chargen", chargen, "send without end, on port 19");
  CheckBy(app.add_option("--respond", respond,
                         "raw TCP on port 4000: to REQUEST octets answer RESPONSE octets"),
          [](const std::string& text) {
            const std::optional<Exchange> sizes = ParseExchange(text);
            const bool right = sizes && sizes->weight == 1;
            return right ? "" : "\"" + text + "\": write REQUEST:RESPONSE, as in 64:1k";
          })
      ->type_name("REQUEST:RESPONSE");
  AddCount(app,
           {"--close-after", "N",
            "close after N answers (--http, --respond); alone: after N octets, on port 4000", ""},
           &close_after, 0, 1'000'000'000);
  AddDuration(app, {"--idle-timeout", "TIME", "HTTP: reset what is idle so long; 0: never", "60s"},
              &idle_timeout, Duration(), Duration::Seconds(1'000'000));
  CheckBy(app.add_option("--delay", delay,
                         "of answers: 2ms, or by percentiles, linear in between: p50:0,p99:2ms"),
          [](const std::string& text) {
            return Quantiles::Parse(text)
                       ? ""
                       : "\"" + text + "\": write 2ms, or rising percentiles: p50:0,p99:2ms";
          })
      ->type_name("DISTRIBUTION");
  CheckBy(app.add_option("--error", error,
                         "share of requests that go wrong: 0.1%, or by kind: status=, reset=, "
                         "silent=, garbage=, early=, forever="),
          [](const std::string& text) {
            DisturbanceOptions ignored;
            return ParseErrors(text, /*http=*/true, &ignored);
          })
      ->type_name("SHARES");
  AddLimitsTo(app);
  tcp.AddTo(app);
}

void ServeFlags::AddLimitsTo(CLI::App& app) {
  AddRate(app, {"--rate-cap", "N", "reset what is opened beyond N connections a second", ""},
          &rate_cap_per_s);
  AddCount(app, {"--seed", "N", "of delays and errors", "1"}, &seed);
  CheckBy(app.add_option("--port", ports, "where the service listens instead: 80,8080-8083"),
          [](const std::string& text) {
            return ParsePorts(text) ? ""
                                    : "\"" + text + "\" is no list of ports; write 80,8080-8083";
          })
      ->type_name("PORTS");
  CheckBy(app.add_option("--addresses", device.own,
                         "all of these are ours: 10.1.16.0/24 or 2001:db8::1:0/112"),
          WrongOwnAddresses)
      ->type_name("PREFIX");
  AddCount(app, {"--connections", "N", "open at a time, at most", "65536"}, &connections, 1,
           50'000'000);
  app.add_option("--control", control, "answer `millrace ctl SOCKET ...` at this path")
      ->type_name("SOCKET");
  app.add_option("--stats", stats, "write the counters as JSON to FILE at the end")
      ->type_name("FILE");
  AddDuration(app, {"--duration", "TIME", "stop then (default: at SIGINT or SIGTERM)", ""},
              &duration, Duration::Milliseconds(1), Duration::Seconds(1'000'000));
  AddDuration(app,
              {"--grace", "TIME", "at the end: RST to what its FIN has not ended by then", "1s"},
              &grace, Duration(), Duration::Seconds(3600));
}

}  // namespace millrace::apps

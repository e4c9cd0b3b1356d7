#include "apps/millrace/load_flags.h"

#include <algorithm>
#include <fstream>
#include <iterator>

#include "apps/common/exit_code.h"
#include "apps/common/flags.h"
#include "apps/load/ranks.h"

namespace millrace::apps {
namespace {

absl::Status Wrong(const std::string& flag, const std::string& what) {
  return absl::InvalidArgumentError(flag + ": " + what);
}

// The target at its own address and at those that follow it, `count` in all.
std::string Spread(const Target& target, uint32_t count, std::vector<Target>* targets) {
  if (count == 1) {
    targets->push_back(target);
    return "";
  }
  if (target.ring || !target.endpoint.address.IsV4()) return "is for targets with IPv4 addresses";
  const uint32_t first = target.endpoint.address.v4();
  if (first > UINT32_MAX - count) return "goes beyond the last address";
  for (uint32_t i = 0; i < count; ++i) {
    Target one = target;
    one.endpoint.address = IpAddress::V4(first + i);
    one.text = target.text + " at " + one.endpoint.address.ToString();
    targets->push_back(one);
  }
  return "";
}

absl::Status ReadTargets(const LoadFlags& flags, RunPlan* plan) {
  for (const std::string& text : flags.targets) {
    Target target;
    if (std::string wrong = ParseTarget(text, &target); !wrong.empty()) {
      return absl::InvalidArgumentError(wrong);
    }
    if (std::string wrong = Spread(target, flags.spread, &plan->targets); !wrong.empty()) {
      return Wrong("--dst-spread", wrong);
    }
    plan->target_text += (plan->target_text.empty() ? "" : " ") + text;
  }
  if (flags.spread > 1) plan->target_text += " and " + std::to_string(flags.spread - 1) + " on";
  const Target& first = plan->targets.front();
  for (const Target& target : plan->targets) {
    if (target.ring != first.ring || (target.ring && target.protocol != first.protocol)) {
      return absl::InvalidArgumentError(target.text + " and " + first.text +
                                        " are on different networks; one run has one");
    }
    if (!target.ring && target.endpoint.address.IsV4() != first.endpoint.address.IsV4()) {
      return absl::InvalidArgumentError(
          "IPv4 and IPv6 targets in one run have different capacities; run them one by one");
    }
  }
  return absl::OkStatus();
}

absl::Status ReadMix(const LoadFlags& flags, RunPlan* plan) {
  const bool http = plan->targets.front().http();
  plan->mix = {{.request_bytes = flags.request_bytes, .response_bytes = flags.response_bytes}};
  if (http && flags.response_given) plan->expected_body_bytes = flags.response_bytes;
  if (!flags.mix.empty()) {
    if (http) return Wrong("--mix", "sizes of HTTP responses are paths: give several targets");
    if (std::string wrong = ParseMix(flags.mix, &plan->mix); !wrong.empty()) {
      return Wrong("--mix", wrong);
    }
    if (plan->targets.front().ring && plan->mix.size() > 1) {
      return Wrong("--mix", "the server of `ring` answers one size; load a server of your own");
    }
  }
  return absl::OkStatus();
}

absl::Status ReadWords(const LoadFlags& flags, RunPlan* plan) {
  const std::optional<Arrival> arrival = ParseArrival(flags.arrival);
  if (!arrival)
    return Wrong("--arrival",
                 "\"" + flags.arrival + "\" is none of paced, poisson, uniform, burst:N");
  plan->arrival = *arrival;
  const std::optional<CloseMode> close = ParseCloseMode(flags.close);
  if (!close) return Wrong("--close", "\"" + flags.close + "\" is none of fin, rst, server, half");
  plan->close = *close;
  if (!flags.timeouts.empty()) {
    std::string wrong = ParseTimeouts(flags.timeouts, &plan->timeouts);
    if (!wrong.empty()) return Wrong("--timeout", wrong);
  }
  if (!flags.capture.empty()) {
    CaptureSpec spec;
    std::string wrong = ParseCapture(flags.capture, &spec);
    if (!wrong.empty()) return Wrong("--capture-failures", wrong);
    plan->capture_bytes = spec.bytes_max;
  }
  if (!flags.ranks.empty()) {
    absl::StatusOr<LoadRank> rank = ReadRank(flags.ranks);
    if (!rank.ok()) return rank.status();
    plan->rank = *rank;
  }
  return absl::OkStatus();
}

absl::Status ReadRequestFile(const LoadFlags& flags, RunPlan* plan) {
  if (flags.request_file.empty()) return absl::OkStatus();
  if (!plan->targets.front().http()) return Wrong("--request", "it is HTTP: write http://...");
  std::ifstream file(flags.request_file, std::ios::binary);
  plan->request.assign(std::istreambuf_iterator<char>(file), {});
  if (!file || plan->request.empty()) {
    return Wrong("--request", flags.request_file + " cannot be read, or is empty");
  }
  return absl::OkStatus();
}

absl::Status CheckLoad(const LoadFlags& flags, RunPlan* plan) {
  if (plan->open_loop() && flags.conns_given) {
    return absl::InvalidArgumentError(
        "--rate and --conns exclude each other: an open loop starts by the clock, a closed one "
        "when another has ended");
  }
  if (plan->held_requests_per_s > 0 && plan->hold == 0) {
    return Wrong("--rps", "requests are made on held connections: say how many, --hold N");
  }
  const bool nothing = !plan->open_loop() && !flags.conns_given;
  if (nothing) plan->concurrency = 0;
  if (nothing && plan->hold == 0) plan->rate_per_s = 1'000;
  if (!flags.paced_by_clock.empty() && !plan->open_loop() && plan->held_requests_per_s == 0) {
    return Wrong(flags.paced_by_clock,
                 "it is about starts by the clock, which a closed loop has not: give a --rate");
  }
  if (plan->count != RunPlan::kUnlimited && plan->count < plan->rank.count) {
    return Wrong("--count", "fewer connections than ranks");
  }
  if (plan->close == CloseMode::kServer && plan->hold > 0 && plan->targets.front().ring) {
    return Wrong("--close", "a server that closes does not let connections be held; use fin");
  }
  return absl::OkStatus();
}

absl::StatusOr<ByName<std::string>> ReadLabels(const std::vector<std::string>& words) {
  ByName<std::string> labels;
  for (const std::string& word : words) {
    const size_t equals = word.find('=');
    if (equals == 0 || equals == std::string::npos) {
      return Wrong("--label", "\"" + word + "\": write KEY=VALUE");
    }
    labels.emplace_back(word.substr(0, equals), word.substr(equals + 1));
  }
  return labels;
}

std::optional<LatencyFrom> ParseLatencyFrom(const std::string& word) {
  if (word == "both") return LatencyFrom::kBoth;
  if (word == "intended") return LatencyFrom::kIntended;
  if (word == "actual") return LatencyFrom::kActual;
  return std::nullopt;
}

nlohmann::ordered_json ConfigurationOf(const CLI::App& app) {
  nlohmann::ordered_json json = nlohmann::ordered_json::object();
  for (const CLI::Option* option : app.get_options()) {
    if (option->count() == 0) continue;
    std::string text;
    for (const std::string& word : option->results()) text += (text.empty() ? "" : " ") + word;
    json[option->get_lnames().empty() ? option->get_name() : option->get_lnames().front()] = text;
  }
  return json;
}

}  // namespace

void LoadFlags::AddTo(CLI::App& app) {
  plan.duration = Duration::Seconds(10);
  plan.warmup = Duration::Seconds(1);
  const Duration day = Duration::Seconds(86'400);
  app.add_option("target", targets,
                 "tcp://10.2.0.1:80, http://10.2.0.1/1k, or ring: a server in this process; "
                 "several, with weights: ...*3")
      ->required()
      ->type_name("TARGET");
  app.add_option("--arrival", arrival, "of starts: paced, poisson, uniform or burst:N")
      ->type_name("KIND")
      ->default_str("poisson");
  AddDuration(app, {"--duration", "TIME", "measured", "10s"}, &plan.duration,
              Duration::Milliseconds(10), day * 365);
  AddDuration(app, {"--warmup", "TIME", "before it, not measured", "1s"}, &plan.warmup, Duration(),
              day);
  AddDuration(app, {"--ramp", "TIME", "before that: from nothing to the full rate", "0s"},
              &plan.ramp, Duration(), day);
  AddDuration(app, {"--drain", "TIME", "for what is under way at the end", "500ms"}, &plan.drain,
              Duration(), Duration::Seconds(3600));
  AddCount(app, {"--seed", "N", "of every random stream", "1"}, &plan.seed);
  AddCount(app, {"--open-max", "N", "connections under way at most; more start late", "16384"},
           &plan.open_max, 1, 50'000'000);
  AddCount(app, {"--requests", "N", "on each connection", "1"}, &plan.requests, 1, 1'000'000'000);
  AddSize(app, {"--req-size", "SIZE", "octets of a request (tcp)", "1"}, &request_bytes, 0,
          uint64_t{1} << 30);
  AddSize(app,
          {"--resp-size", "SIZE", "octets of a response; with http any other is a failure", "1"},
          &response_bytes, 0, uint64_t{1} << 30);
  app.add_option("--mix", mix, "exchanges by weight: REQUEST:RESPONSE*WEIGHT,... (tcp)")
      ->type_name("MIX");
  app.add_option("--request", request_file,
                 "HTTP request from FILE; {host}, {path} and {n}, the number, are filled in")
      ->type_name("FILE");
  app.add_flag("--check", plan.check_payload,
               "check every octet: octet i of a response is (7i + 13) mod 251, as `serve` sends");
  app.add_option("--close", close, "fin: we close first; rst: we reset; server: it does; half")
      ->type_name("HOW")
      ->default_str("fin");
  AddDuration(app, {"--think", "TIME", "between a response and the next request", "0s"},
              &plan.think, Duration(), day);
  app.add_option("--timeout", timeouts,
                 "by phase: connect=1s,first-byte=2s,last-byte=30s,close=5s; 0 is for ever")
      ->type_name("TIMES");
  app.add_option("--src", src,
                 "source addresses and ports: 10.1.16.0/20[:1024-65535], or FIRST-LAST; several "
                 "that are a prefix together; 2001:db8::1:0/112")
      ->join(',')
      ->type_name("ADDRESSES");
  AddCount(app, {"--dst-spread", "N", "the target is there at N addresses in a row", "1"}, &spread,
           1, 4096);
  AddCount(app, {"--dscp", "N", "Diffserv field of what is sent, 0 to 63", "0"}, &plan.dscp, 0, 63);
  device.AddTo(app, /*required=*/false);
  tcp.AddTo(app);
  AddOutputTo(app);
}

void LoadFlags::AddOutputTo(CLI::App& app) {
  const Duration day = Duration::Seconds(86'400);
  AddDuration(app, {"--interval", "TIME", "of the series and the live lines", "1s"}, &interval,
              Duration::Milliseconds(100), day);
  app.add_option("--live", live, "while it runs: auto, tty, plain (a line each interval) or none")
      ->type_name("MODE")
      ->default_str("auto");
  app.add_option("--percentiles", percentiles, "of latencies, in the text")
      ->type_name("LIST")
      ->default_str("50,90,99,99.9,99.99,99.999");
  app.add_option("--latency", latency, "in the text: from the intended start, the actual, or both")
      ->type_name("START")
      ->default_str("both");
  app.add_option("-o,--output", folder, "folder for result.json, series.csv, *.hgrm and log.txt")
      ->type_name("DIR");
  app.add_option("--json", json, "the result as JSON to FILE; - is the standard output")
      ->type_name("FILE");
  app.add_option("--json-stream", json_stream,
                 "a line of JSON for each interval to FILE while it runs; - is the standard output")
      ->type_name("FILE");
  app.add_option("--prom", prometheus,
                 "serve /metrics for Prometheus while it runs: :9100, or an address of ours and it")
      ->type_name("[ADDRESS]:PORT");
  app.add_option("--name", name, "of the run, copied into the result")->type_name("NAME");
  app.add_option("--label", labels, "copied into the result; repeatable")->type_name("KEY=VALUE");
  app.add_option("--slo", slo, "objectives: 'connect.p99<1ms; errors<1e-5; rate>100k'; repeatable")
      ->join(';')
      ->type_name("OBJECTIVES");
  app.add_option("--ranks", ranks, "this is generator i of N: i/N, or auto from the environment")
      ->type_name("i/N");
  app.add_option("--coordinator", coordinator,
                 "ranks start at one time, and rank 0, which listens here, merges their results")
      ->type_name("HOST:PORT");
  AddDuration(app, {"--rank-timeout", "TIME", "for ranks to join, get ready and report", "60s"},
              &rank_timeout, Duration::Seconds(1), day);
}

void LoadFlags::AddLoadTo(CLI::App& app) {
  AddRate(app, {"--rate", "N", "connections a second, whatever becomes of them (default: 1k)", ""},
          &plan.rate_per_s);
  AddCount(app, {"--conns", "N", "in place of a rate: so many connections at any time", ""},
           &plan.concurrency, 1, 50'000'000);
  AddCount(app, {"-n,--count", "N", "stop after so many measured connections", ""}, &plan.count, 1);
  AddCount(app, {"--hold", "N", "connections that are opened before and stay", ""}, &plan.hold, 1,
           50'000'000);
  AddRate(app, {"--rps", "N", "requests a second over all held connections", ""},
          &plan.held_requests_per_s);
}

void LoadFlags::AddCaptureTo(CLI::App& app) {
  app.add_option("--capture-failures", capture,
                 "packets of failed connections as pcapng, at most SIZE (default: 100M)")
      ->type_name("FILE[:SIZE]");
}

void LoadFlags::AddBaselineTo(CLI::App& app) {
  app.add_option("--baseline", baseline,
                 "an earlier result: exit code 6 when this one is worse than that")
      ->type_name("DIR");
  AddParsed(app, {"--max-regress", "SHARE", "how much worse it may be", "3%"}, &regress_share,
            "a share from 0 to 1 (write 3% or 0.03)", ParseShare);
}

absl::StatusOr<LoadSetup> ReadLoadFlags(const LoadFlags& given, const CLI::App& app) {
  LoadFlags flags = given;
  flags.response_given = app.count("--resp-size") > 0;
  const CLI::Option* const conns = app.get_option_no_throw("--conns");
  flags.conns_given = app.get_name() == "run" && conns != nullptr && conns->count() > 0;
  // find-max and sweep set the rate later.
  if (app.get_name() == "run" || app.get_name() == "hold") {
    for (const char* const flag : {"--ramp", "--arrival"}) {
      if (app.count(flag) > 0) flags.paced_by_clock = flag;
    }
  }
  LoadSetup setup{.plan = flags.plan, .configuration = ConfigurationOf(app)};
  RunPlan& plan = setup.plan;
  for (const auto read : {ReadTargets, ReadMix, ReadWords, ReadRequestFile, CheckLoad}) {
    if (absl::Status status = read(flags, &plan); !status.ok()) return status;
  }
  if (std::string wrong = ParseSlos(flags.slo, &setup.slos); !wrong.empty()) {
    return Wrong("--slo", wrong);
  }
  if (flags.json == "-" && flags.json_stream == "-") {
    return Wrong("--json-stream", "the standard output has the result of --json: name a file");
  }
  const std::optional<LiveMode> live = ParseLiveMode(flags.live, flags.text());
  if (!live) return Wrong("--live", "\"" + flags.live + "\" is none of auto, tty, plain, none");
  setup.live = *live;
  if (!flags.capture.empty()) ParseCapture(flags.capture, &setup.capture);
  const std::optional<LatencyFrom> latency = ParseLatencyFrom(flags.latency);
  if (!latency) {
    return Wrong("--latency", "\"" + flags.latency + "\" is none of intended, actual, both");
  }
  auto labels = ReadLabels(flags.labels);
  if (!labels.ok()) return labels.status();
  setup.output = {
      .folder = flags.folder, .json = flags.json, .latency = *latency, .text = flags.text()};
  if (!flags.percentiles.empty()) {
    setup.output.percentiles = ParsePercentiles(flags.percentiles);
    if (setup.output.percentiles.empty()) {
      return Wrong("--percentiles", "\"" + flags.percentiles + "\": write 50,90,99,99.9, rising");
    }
  }
  setup.names = {.command = "load " + app.get_name(), .name = flags.name, .labels = *labels};
  return setup;
}

}  // namespace millrace::apps

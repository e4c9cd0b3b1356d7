// apps/millrace/load_setup.cc - the flags of a load, read and checked against each other.

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <system_error>
#include <utility>

#include "apps/common/exit_code.h"
#include "apps/common/read_file.h"
#include "apps/common/units.h"
#include "apps/load/ranks.h"
#include "apps/load/start_time.h"
#include "apps/millrace/load_flags.h"
#include "apps/ranks/session.h"

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
  if (target.ring) return "the server of `ring` has one address";
  const IpAddress& first = target.endpoint.address;
  const uint64_t room = first.IsV4() ? UINT32_MAX - first.v4() : UINT64_MAX - first.low();
  if (room < count - 1) return "goes beyond the last address";
  for (uint32_t i = 0; i < count; ++i) {
    Target one = target;
    one.endpoint.address =
        first.IsV4() ? IpAddress::V4(first.v4() + i) : IpAddress::V6(first.high(), first.low() + i);
    one.text = target.text + " at " + one.endpoint.address.ToString();
    targets->push_back(one);
  }
  return "";
}

// Looks a name up, and holds the address against -4 and -6.
std::string SetFamily(const LoadFlags& flags, Target* target) {
  if (flags.ipv4 && flags.ipv6) return "--ipv4 and --ipv6 exclude each other";
  if (target->named) {
    return ResolveTarget(flags.ipv4   ? Family::kV4
                         : flags.ipv6 ? Family::kV6
                                      : Family::kAny,
                         target);
  }
  const bool v4 = target->endpoint.address.IsV4();
  const bool other = !target->ring && ((flags.ipv4 && !v4) || (flags.ipv6 && v4));
  if (!other) return "";
  return std::string(v4 ? "--ipv6: " : "--ipv4: ") + target->text + " is of the other family";
}

absl::Status ReadTargets(const LoadFlags& flags, RunPlan* plan) {
  for (const std::string& text : flags.targets) {
    Target target;
    if (std::string wrong = ParseTarget(text, &target); !wrong.empty()) {
      return absl::InvalidArgumentError(wrong);
    }
    if (std::string wrong = SetFamily(flags, &target); !wrong.empty()) {
      return absl::InvalidArgumentError(wrong);
    }
    if (std::string wrong = Spread(target, flags.spread, &plan->targets); !wrong.empty()) {
      return Wrong("--dst-spread", wrong);
    }
    plan->target_text += (plan->target_text.empty() ? "" : " ") + text;
  }
  if (flags.spread > 1) plan->target_text += " and " + std::to_string(flags.spread - 1) + " on";
  for (uint32_t i = 0; i < plan->targets.size(); ++i) plan->targets[i].number = i;
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
    if (std::string wrong = ReadMixText(flags.mix, &plan->mix); !wrong.empty()) {
      return Wrong("--mix", wrong);
    }
    if (plan->targets.front().ring && plan->mix.size() > 1) {
      return Wrong("--mix", "the server of `ring` answers one size; load a server of your own");
    }
  }
  return absl::OkStatus();
}

absl::Status ReadWords(const LoadFlags& flags, RunPlan* plan) {
  if (!flags.timeouts.empty()) {
    std::string wrong = ParseTimeouts(flags.timeouts, &plan->timeouts);
    if (!wrong.empty()) return Wrong("--timeout", wrong);
  }
  if (!flags.ranks.empty()) {
    absl::StatusOr<LoadRank> rank = ReadRank(flags.ranks);
    if (!rank.ok()) return Wrong("--ranks", std::string(rank.status().message()));
    plan->rank = *rank;
  }
  return absl::OkStatus();
}

absl::Status ReadRequestFile(const LoadFlags& flags, RunPlan* plan) {
  if (flags.request_file.empty()) return absl::OkStatus();
  if (!plan->targets.front().http()) return Wrong("--request", "it is HTTP: write http://...");
  absl::StatusOr<std::string> text = ReadFile(flags.request_file);
  if (!text.ok()) return Wrong("--request", std::string(text.status().message()));
  if (text->empty()) return Wrong("--request", flags.request_file + " is empty");
  plan->request = *std::move(text);
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

absl::Status ReadTos(const LoadFlags& flags, RunPlan* plan) {
  if (flags.tos == 0) return absl::OkStatus();
  if (plan->dscp != 0) return Wrong("--tos", "--dscp says the same: give one of them");
  // RFC 3168 5: the two bits below the Diffserv field.
  if (flags.tos % 4 != 0) {
    return Wrong("--tos", std::to_string(flags.tos) +
                              ": the two lowest bits are those of ECN, so it is a multiple "
                              "of 4");
  }
  plan->dscp = static_cast<uint8_t>(flags.tos / 4);
  return absl::OkStatus();
}

absl::Status ReadStart(const LoadFlags& flags, RunPlan* plan) {
  if (flags.start_at.empty()) return absl::OkStatus();
  const std::optional<int64_t> unix_ns = ParseStartTime(flags.start_at);
  if (!unix_ns) return Wrong("--start-at", "\"" + flags.start_at + "\" is no time");
  if (!flags.coordinator.empty()) {
    return Wrong("--start-at", "with --coordinator rank 0 says when all start");
  }
  const Duration ahead = Duration::Nanoseconds(*unix_ns - ReadRankTime().unix_ns);
  if (ahead < Duration()) {
    return Wrong("--start-at",
                 flags.start_at + " was " + FormatDuration(Duration() - ahead) + " ago");
  }
  plan->start_unix_ns = *unix_ns;
  plan->together = true;
  return absl::OkStatus();
}

ByName<std::string> ReadLabels(const std::vector<std::string>& words) {
  ByName<std::string> labels;
  for (const std::string& word : words) {
    const size_t equals = word.find('=');
    labels.emplace_back(word.substr(0, equals), word.substr(equals + 1));
  }
  return labels;
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

std::string ReadMixText(const std::string& text, std::vector<Exchange>* mix) {
  std::error_code ignored;
  if (!std::filesystem::exists(text, ignored)) return ParseMix(text, mix);
  const absl::StatusOr<std::string> lines = ReadFile(text);
  if (!lines.ok()) return std::string(lines.status().message());
  const std::string wrong = ParseMixLines(*lines, mix);
  return wrong.empty() ? "" : text + ": " + wrong;
}

std::optional<LatencyFrom> ParseLatencyFrom(const std::string& word) {
  if (word == "both" || word == "none") return LatencyFrom::kBoth;
  if (word == "intended") return LatencyFrom::kIntended;
  if (word == "actual") return LatencyFrom::kActual;
  return std::nullopt;
}

int CheckLoadFlags(const LoadFlags& flags, const CLI::App& app) {
  const absl::StatusOr<LoadSetup> setup = ReadLoadFlags(flags, app);
  if (!setup.ok()) return Report(setup.status());
  std::printf("# target: %s  %s\n", setup->plan.target_text.c_str(),
              DescribeLoad(setup->plan).c_str());
  return kPass;
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
  for (const auto read :
       {ReadTargets, ReadMix, ReadWords, ReadRequestFile, CheckLoad, ReadTos, ReadStart}) {
    if (absl::Status status = read(flags, &plan); !status.ok()) return status;
  }
  if (std::string wrong = ParseSlos(flags.slo, &setup.slos); !wrong.empty()) {
    return Wrong("--slo", wrong);
  }
  if (flags.json == "-" && flags.json_stream == "-") {
    return Wrong("--json-stream", "the standard output has the result of --json: name a file");
  }
  setup.live = ParseLiveMode(flags.live, flags.text()).value_or(LiveMode::kNone);
  if (!flags.capture.empty()) {
    ParseCapture(flags.capture, &setup.capture);
    plan.capture_bytes = setup.capture.bytes_max;
  }
  plan.timed = flags.latency != "none";
  setup.output = {.folder = flags.folder,
                  .json = flags.json,
                  .latency = ParseLatencyFrom(flags.latency).value_or(LatencyFrom::kBoth),
                  .text = flags.text()};
  if (!flags.percentiles.empty()) setup.output.percentiles = ParsePercentiles(flags.percentiles);
  setup.names = {
      .command = "load " + app.get_name(), .name = flags.name, .labels = ReadLabels(flags.labels)};
  return setup;
}

}  // namespace millrace::apps

#include "apps/load/plan.h"

#include <algorithm>
#include <array>
#include <utility>

#include "apps/common/units.h"

namespace millrace::apps {
namespace {

// The parts of a list with commas, spaces in front of them left out.
std::vector<std::string> SplitList(std::string_view text) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const size_t comma = text.find(',');
    std::string_view part = text.substr(0, comma);
    part.remove_prefix(std::min(part.find_first_not_of(' '), part.size()));
    parts.emplace_back(part);
    text = comma == std::string_view::npos ? std::string_view() : text.substr(comma + 1);
  }
  return parts;
}

constexpr std::array<std::pair<CloseMode, const char*>, 4> kCloseModes{
    {{CloseMode::kFin, "fin"},
     {CloseMode::kReset, "rst"},
     {CloseMode::kServer, "server"},
     {CloseMode::kHalf, "half"}}};

constexpr std::array<std::pair<ArrivalKind, const char*>, 4> kArrivals{
    {{ArrivalKind::kPaced, "paced"},
     {ArrivalKind::kPoisson, "poisson"},
     {ArrivalKind::kUniform, "uniform"},
     {ArrivalKind::kBurst, "burst"}}};

// The number behind `text`, from 1 to 1 000 000.
std::optional<uint32_t> ParseSmallCount(std::string_view text) {
  const std::optional<uint64_t> count = ParseCount(text);
  if (!count || *count == 0 || *count > 1'000'000) return std::nullopt;
  return static_cast<uint32_t>(*count);
}

std::optional<uint32_t> ParseOctets(std::string_view text) {
  const std::optional<uint64_t> size = ParseSize(text);
  if (!size || *size > (uint64_t{1} << 30)) return std::nullopt;
  return static_cast<uint32_t>(*size);
}

}  // namespace

const char* ToString(ArrivalKind kind) { return kArrivals[static_cast<size_t>(kind)].second; }

const char* ToString(CloseMode mode) { return kCloseModes[static_cast<size_t>(mode)].second; }

std::optional<CloseMode> ParseCloseMode(std::string_view text) {
  for (const auto& [mode, name] : kCloseModes) {
    if (text == name) return mode;
  }
  return std::nullopt;
}

std::optional<Arrival> ParseArrival(std::string_view text) {
  constexpr std::string_view kBurstPrefix = "burst:";
  if (text.starts_with(kBurstPrefix)) {
    const std::optional<uint32_t> burst = ParseSmallCount(text.substr(kBurstPrefix.size()));
    if (!burst) return std::nullopt;
    return Arrival{ArrivalKind::kBurst, *burst};
  }
  for (const auto& [kind, name] : kArrivals) {
    if (text == name && kind != ArrivalKind::kBurst) return Arrival{kind, 1};
  }
  return std::nullopt;
}

std::string ParseTimeouts(std::string_view text, PhaseTimeouts* timeouts) {
  std::vector<std::string> seen;
  for (const std::string& part : SplitList(text)) {
    const size_t equals = part.find('=');
    const std::string name = part.substr(0, equals);
    Duration* const place = name == "connect"      ? &timeouts->connect
                            : name == "first-byte" ? &timeouts->first_byte
                            : name == "last-byte"  ? &timeouts->last_byte
                            : name == "close"      ? &timeouts->close
                                                   : nullptr;
    if (place == nullptr) {
      const std::string near = Nearest(name, {"connect", "first-byte", "last-byte", "close"});
      return "\"" + name + "\" is no phase" +
             (near.empty() ? ": there are connect, first-byte, last-byte and close"
                           : " (did you mean \"" + near + "\"?)");
    }
    const auto value =
        equals == std::string::npos ? std::nullopt : ParseDuration(part.substr(equals + 1));
    if (!value) return "\"" + part + "\": write " + name + "=500ms";
    if (std::find(seen.begin(), seen.end(), name) != seen.end()) return name + " is given twice";
    seen.push_back(name);
    *place = *value;
  }
  return seen.empty() ? "no phase is named: write connect=1s,first-byte=2s" : "";
}

std::optional<Exchange> ParseExchange(std::string_view text) {
  Exchange exchange;
  const size_t star = text.find('*');
  if (star != std::string_view::npos) {
    const std::optional<uint32_t> weight = ParseSmallCount(text.substr(star + 1));
    if (!weight) return std::nullopt;
    exchange.weight = *weight;
    text = text.substr(0, star);
  }
  const size_t colon = text.find(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const std::optional<uint32_t> request = ParseOctets(text.substr(0, colon));
  const std::optional<uint32_t> response = ParseOctets(text.substr(colon + 1));
  if (!request || !response) return std::nullopt;
  exchange.request_bytes = *request;
  exchange.response_bytes = *response;
  return exchange;
}

static std::string AddExchange(const std::string& text, std::vector<Exchange>* mix) {
  const std::optional<Exchange> exchange = ParseExchange(text);
  if (!exchange) return "\"" + text + "\": write REQUEST:RESPONSE*WEIGHT, as in 64:1k*3";
  mix->push_back(*exchange);
  return "";
}

std::string ParseMix(std::string_view text, std::vector<Exchange>* mix) {
  mix->clear();
  for (const std::string& part : SplitList(text)) {
    if (std::string wrong = AddExchange(part, mix); !wrong.empty()) return wrong;
  }
  return mix->empty() ? "the mix is empty: write 64:1k*3,64:100k" : "";
}

std::string ParseMixLines(std::string_view text, std::vector<Exchange>* mix) {
  mix->clear();
  for (size_t number = 1; !text.empty(); ++number) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string line(text.substr(0, std::min(text.find('#'), end)));
    text.remove_prefix(std::min(end + 1, text.size()));
    std::erase_if(line, [](char c) { return c == ' ' || c == '\t' || c == '\r'; });
    if (line.empty()) continue;
    if (std::string wrong = AddExchange(line, mix); !wrong.empty()) {
      return "line " + std::to_string(number) + ": " + wrong;
    }
  }
  return mix->empty() ? "no line of it has an exchange: write 64:1k*3" : "";
}

RunPlan PlanOf(const RunPlan& plan, LoadRank rank) {
  RunPlan part = plan;
  // Ranks of ranks: the j-th of n inside the i-th of m is the (i * n + j)-th of m * n.
  part.rank = {plan.rank.index * rank.count + rank.index, plan.rank.count * rank.count};
  const auto share = [&](uint32_t total) {
    return static_cast<uint32_t>(ShareOf(total, part.rank));
  };
  part.concurrency = share(plan.concurrency);
  part.open_max = share(plan.open_max);
  part.hold = share(plan.hold);
  if (plan.count != RunPlan::kUnlimited) part.count = ShareOf(plan.count, part.rank);
  return part;
}

}  // namespace millrace::apps

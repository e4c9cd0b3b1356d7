#include "apps/result/slo.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "apps/common/units.h"
#include "apps/result/latency_state.h"

namespace millrace::apps {
namespace {

std::string_view Trim(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

std::optional<double> ParseNumber(std::string_view text) {
  double value = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || parsed.ec != std::errc() || parsed.ptr != text.data() + text.size()) {
    return std::nullopt;
  }
  return value;
}

// "99" and "99.9" are percentages; "999" is 99.9.
std::optional<double> ParseQuantile(std::string_view text) {
  const std::optional<double> value = ParseNumber(text);
  if (!value || *value < 0) return std::nullopt;
  double percent = *value;
  if (text.starts_with('9') && text.find('.') == std::string_view::npos) {
    for (size_t digits = text.size(); digits > 2; --digits) percent /= 10;
  }
  return percent <= 100 ? std::optional(percent / 100) : std::nullopt;
}

bool IsState(std::string_view name) {
  for (size_t i = 0; i < kLatencyStates; ++i) {
    if (name == ToString(static_cast<LatencyState>(i))) return true;
  }
  return false;
}

std::string UnknownMetric(const std::string& name) {
  std::vector<std::string> names{"errors", "rate", "achieved", "lag"};
  const size_t dot = name.find('.');
  const std::string rest = dot == std::string::npos ? "" : name.substr(dot);
  for (size_t i = 0; i < kLatencyStates; ++i) {
    names.push_back(ToString(static_cast<LatencyState>(i)) + rest);
  }
  const std::string near = Nearest(name, names);
  return "unknown metric \"" + name + "\"" +
         (near.empty() ? "; there are errors, rate, achieved, lag, and connect.p99 and its like"
                       : " (did you mean \"" + near + "\"?)");
}

// What follows the name of a state: ".p99", ".max", ".actual.mean".
bool ParseLatencyMetric(std::string_view text, Slo* slo) {
  constexpr std::string_view kActual = ".actual";
  if (text.starts_with(kActual)) {
    slo->actual = true;
    text.remove_prefix(kActual.size());
  }
  if (text == ".max" || text == ".mean") {
    slo->metric = text == ".max" ? Slo::Metric::kMax : Slo::Metric::kMean;
    return true;
  }
  if (!text.starts_with(".p")) return false;
  const std::optional<double> quantile = ParseQuantile(text.substr(2));
  slo->metric = Slo::Metric::kQuantile;
  slo->quantile = quantile.value_or(0);
  return quantile.has_value();
}

std::string ParseMetric(const std::string& name, Slo* slo) {
  if (name == "errors" || name == "rate" || name == "achieved" || name == "lag") {
    slo->metric = name == "errors" ? Slo::Metric::kErrors
                  : name == "rate" ? Slo::Metric::kRate
                  : name == "lag"  ? Slo::Metric::kLag
                                   : Slo::Metric::kAchieved;
    return "";
  }
  const size_t dot = name.find('.');
  slo->state = name.substr(0, dot);
  if (!IsState(slo->state)) return UnknownMetric(name);
  if (dot == std::string::npos || !ParseLatencyMetric(name.substr(dot), slo)) {
    return "\"" + name + "\": write " + slo->state + ".p99, .max or .mean";
  }
  return "";
}

std::optional<double> ParseLimit(Slo::Metric metric, std::string_view text) {
  if (metric == Slo::Metric::kErrors || metric == Slo::Metric::kAchieved) {
    const bool percent = text.ends_with('%');  // 1e-5 and 100 % too, which ParseShare has not
    if (percent) text.remove_suffix(1);
    const double share = ParseNumber(text).value_or(-1) / (percent ? 100 : 1);
    // Beyond these it is met, or missed, whatever happens: "errors<5" was meant to be 5 %.
    return share >= 0 && share <= 1 ? std::optional(share) : std::nullopt;
  }
  if (metric == Slo::Metric::kRate) return ParseRate(text);
  const std::optional<Duration> time = ParseDuration(text);
  if (!time) return std::nullopt;
  return static_cast<double>(time->ns());
}

std::string ParseSlo(std::string_view text, Slo* slo) {
  slo->text = text;
  const size_t op = text.find_first_of("<>");
  if (op == std::string_view::npos) return "\"" + slo->text + "\": write METRIC<LIMIT";
  slo->below = text[op] == '<';
  const std::string name(Trim(text.substr(0, op)));
  if (std::string wrong = ParseMetric(name, slo); !wrong.empty()) return wrong;
  const std::optional<double> limit = ParseLimit(slo->metric, Trim(text.substr(op + 1)));
  if (!limit) {
    return "\"" + slo->text + "\": the limit is not " +
           (slo->metric == Slo::Metric::kRate ? "a rate"
            : slo->metric == Slo::Metric::kErrors || slo->metric == Slo::Metric::kAchieved
                ? "a share from 0 to 1 (write 0.1% or 1e-3)"
                : "a time");
  }
  slo->limit = *limit;
  return "";
}

// Null when `slo` is about something else, or `result` has none.
const Histogram* HistogramOf(const Slo& slo, const Result& result) {
  for (const auto& [state, latency] : result.latency) {
    if (state == slo.state) return slo.actual ? &latency.actual : &latency.intended;
  }
  return nullptr;
}

double LatencyOf(const Slo& slo, const Result& result) {
  const Histogram* const histogram = HistogramOf(slo, result);
  if (histogram == nullptr) return 0;
  if (slo.metric == Slo::Metric::kMean) return histogram->mean();
  if (slo.metric == Slo::Metric::kMax) return static_cast<double>(histogram->max());
  return static_cast<double>(histogram->ValueAtQuantile(slo.quantile));
}

double ShareOf(uint64_t part, uint64_t whole) {
  return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

std::string NotMet(const std::string& objective) { return objective + " was not met"; }
std::string NotMeasured(const std::string& objective) {
  return objective + ": nothing of it was measured";
}

}  // namespace

std::string ParseSlos(std::string_view text, std::vector<Slo>* slos) {
  while (!text.empty()) {
    const size_t semicolon = text.find(';');
    const std::string_view part = Trim(text.substr(0, semicolon));
    text = semicolon == std::string_view::npos ? std::string_view() : text.substr(semicolon + 1);
    if (part.empty()) continue;
    Slo slo;
    if (std::string wrong = ParseSlo(part, &slo); !wrong.empty()) return wrong;
    slos->push_back(slo);
  }
  return "";
}

bool IsMeasured(const Slo& slo, const Result& result) {
  if (slo.state.empty()) return result.counts.due > 0;
  const Histogram* const histogram = HistogramOf(slo, result);
  return histogram != nullptr && histogram->count() > 0;
}

Objective Check(const Slo& slo, const Result& result) {
  Objective objective{.objective = slo.text, .limit = slo.limit, .unit = "ns"};
  switch (slo.metric) {
    case Slo::Metric::kQuantile:
    case Slo::Metric::kMax:
    case Slo::Metric::kMean:
      objective.measured = LatencyOf(slo, result);
      break;
    case Slo::Metric::kLag:
      objective.measured = static_cast<double>(result.generator.worst_lag_ns);
      break;
    case Slo::Metric::kErrors:
      objective.measured = ShareOf(result.counts.failed, result.counts.due);
      objective.unit = "share";
      break;
    case Slo::Metric::kAchieved:
      objective.measured = ShareOf(result.counts.opened, result.counts.due);
      objective.unit = "share";
      break;
    case Slo::Metric::kRate:
      objective.measured = result.load.ok_per_s;
      objective.limit /= result.rank.count;
      objective.unit = "per_s";
      break;
  }
  objective.passed = IsMeasured(slo, result) && (slo.below ? objective.measured < objective.limit
                                                           : objective.measured > objective.limit);
  return objective;
}

void CheckObjectives(const std::vector<Slo>& slos, Result* result) {
  Verdict& verdict = result->verdict;
  for (const Slo& slo : slos) {
    const Objective objective = Check(slo, *result);
    result->objectives.push_back(objective);
    if (objective.passed) continue;
    verdict.reasons.push_back(IsMeasured(slo, *result) ? NotMet(slo.text) : NotMeasured(slo.text));
    if (verdict.outcome == Outcome::kValid) verdict.outcome = Outcome::kFailObjective;
  }
}

bool IsOfObjectives(const std::string& reason, const std::vector<Objective>& objectives) {
  return std::any_of(objectives.begin(), objectives.end(), [&reason](const Objective& o) {
    return reason == NotMet(o.objective) || reason == NotMeasured(o.objective);
  });
}

}  // namespace millrace::apps

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

#include "apps/common/units.h"
#include "apps/result/diff.h"
#include "apps/result/text.h"

namespace millrace::apps {
namespace {

constexpr std::array<const char*, 4> kVerdicts{"no evidence", "better", "WORSE",
                                               "unknown (too few runs)"};
constexpr std::array<const char*, 4> kJsonVerdicts{"no_evidence", "better", "worse", "unknown"};

std::string Value(double value, const std::string& unit) {
  if (unit == "ns") return FormatNs(static_cast<uint64_t>(std::llround(std::max(value, 0.0))));
  return unit == "share" ? FormatShare(value) : FormatCount(value) + "/s";
}

// "+4.5": percent of the base, or percentage points.
std::string SignedPercent(double part) {
  std::array<char, 48> text;
  const double percent = part * 100;
  std::snprintf(text.data(), text.size(), std::abs(percent) < 9.95 ? "%+.1f" : "%+.0f", percent);
  return text.data();
}

// Of a rate or a time that has no percentage, because it was or became 0: "-50.02 k/s".
std::string SignedValue(double value, const std::string& unit) {
  return (value < 0 ? "-" : "+") + Value(std::abs(value), unit);
}

std::string ChangeOf(const MetricChange& m) {
  if (!m.relative && m.unit != "share") return SignedValue(m.change, m.unit);
  return SignedPercent(m.change) + (m.relative ? " %" : " pp");
}

std::string IntervalOf(const MetricChange& m) {
  if (!m.has_interval) return "-";
  const auto bound = [&m](double value) {
    return m.relative || m.unit == "share" ? SignedPercent(value) : SignedValue(value, m.unit);
  };
  return "[" + bound(m.low) + ", " + bound(m.high) + "]" + (m.by_ruler ? "*" : "");
}

// A column of a table, apart from the next one also when it is wider.
std::string Column(const std::string& text, size_t columns) {
  return text.size() < columns ? Left(text, columns) : text + " ";
}

}  // namespace

std::string DiffText(const ResultDiff& diff) {
  std::string text = "base: " + std::to_string(diff.base_runs) +
                     " runs, new: " + std::to_string(diff.new_runs) + " runs\n";
  text += Left("metric", 24) + Left("base", 13) + Left("new", 13) + Left("change", 11) +
          Left("95% CI of change", 19) + "verdict\n";
  for (const MetricChange& m : diff.metrics) {
    text += Column(Printable(m.metric), 24) + Column(Value(m.base, m.unit), 13) +
            Column(Value(m.now, m.unit), 13) + Column(ChangeOf(m), 11) + Column(IntervalOf(m), 19) +
            kVerdicts[static_cast<size_t>(m.verdict)] + "\n";
  }
  for (const std::string& d : diff.different) text += "different: " + Printable(d) + "\n";
  text += diff.different.empty() ? "different: nothing else that a result tells\n"
                                 : "everything else that a result tells is equal\n";
  for (const std::string& note : diff.notes) text += "note: " + Printable(note) + "\n";
  if (std::any_of(diff.metrics.begin(), diff.metrics.end(),
                  [](const MetricChange& m) { return m.by_ruler; })) {
    text +=
        "* alike beyond what one run can tell (bounds of a search, a counter's width, one "
        "connection)\n";
  }
  if (std::min(diff.base_runs, diff.new_runs) < kRunsMin) {
    text += "note: nothing is judged with fewer than " + std::to_string(kRunsMin) +
            " runs of each side; five are better\n";
  } else {
    text += "each interval by itself; the verdicts hold together at 95 % (Welch, Holm)\n";
  }
  return text;
}

nlohmann::ordered_json DiffJson(const ResultDiff& diff) {
  nlohmann::ordered_json json = {{"schema", kResultSchema},
                                 {"base_runs", diff.base_runs},
                                 {"new_runs", diff.new_runs},
                                 {"regression", diff.regression()},
                                 {"metrics", nlohmann::ordered_json::array()},
                                 {"different", diff.different},
                                 {"notes", diff.notes}};
  for (const MetricChange& m : diff.metrics) {
    nlohmann::ordered_json row = {{"metric", m.metric},     {"unit", m.unit},
                                  {"base", m.base},         {"new", m.now},
                                  {"relative", m.relative}, {"change", m.change}};
    if (m.has_interval) {
      row["low_95"] = m.low;
      row["high_95"] = m.high;
      row["spread_from"] = m.by_ruler ? "resolution" : "runs";
    }
    row["verdict"] = kJsonVerdicts[static_cast<size_t>(m.verdict)];
    json["metrics"].push_back(std::move(row));
  }
  return json;
}

}  // namespace millrace::apps

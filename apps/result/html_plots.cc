#include "apps/result/html_plots.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "apps/common/units.h"
#include "apps/result/plot.h"
#include "apps/result/text.h"

namespace millrace::apps {
namespace {

// A curve of more points than this is drawn with fewer: the page stays small.
constexpr size_t kPointsMax = 1000;

std::string SecondsLabel(double seconds) {
  if (seconds == 0) return "0";
  return FormatDuration(Duration::Nanoseconds(std::llround(seconds * 1e9)));
}

// Percentiles as odds: 1/(1-p) on a logarithmic axis gives each further nine the same room.
std::string PercentileLabel(double odds) {
  constexpr std::array<const char*, 8> kNames{"0 %",     "90 %",     "99 %",      "99.9 %",
                                              "99.99 %", "99.999 %", "99.9999 %", "99.99999 %"};
  const auto nines = static_cast<size_t>(std::llround(std::log10(odds)));
  return nines < kNames.size() ? kNames[nines] : "";
}

// The curve up to where a single value is left: what is beyond nobody measured.
std::vector<std::pair<double, double>> CurveOf(const Histogram& histogram) {
  std::vector<std::pair<double, double>> points;
  const auto total = static_cast<double>(histogram.count());
  uint64_t seen = 0;
  histogram.ForEach([&](uint64_t highest, uint64_t count) {
    // A counter's values begin behind what was seen before it.
    const double odds = total / (total - static_cast<double>(seen));
    points.emplace_back(odds, static_cast<double>(std::min(highest, histogram.max())));
    seen += count;
  });
  if (!points.empty()) points.emplace_back(total, points.back().second);
  if (points.size() <= kPointsMax) return points;
  std::vector<std::pair<double, double>> fewer;
  // Evenly along the axis, so that the tail keeps all of its points.
  const double step = std::log(total) / static_cast<double>(kPointsMax);
  for (const auto& point : points) {
    if (fewer.empty() || std::log(point.first) >= std::log(fewer.back().first) + step) {
      fewer.push_back(point);
    }
  }
  fewer.push_back(points.back());
  return fewer;
}

PlotLine RateLine(const Result& r, const char* name, int colour, uint64_t Interval::*count) {
  PlotLine line{.name = name, .colour = colour, .steps = true};
  for (const Interval& i : r.series) {
    if (!(i.length_s > 0)) continue;
    line.points.emplace_back(i.start_s, static_cast<double>(i.*count) / i.length_s);
  }
  if (!line.points.empty()) {
    const Interval& last = r.series.back();
    line.points.emplace_back(last.start_s + last.length_s, line.points.back().second);
  }
  return line;
}

}  // namespace

std::string RatePlot(const Result& r) {
  std::vector<PlotLine> lines;
  if (r.load.offered_per_s > 0) lines.push_back(RateLine(r, "due", 3, &Interval::due));
  lines.push_back(RateLine(r, "started", 0, &Interval::opened));
  lines.push_back(RateLine(r, "ok", 2, &Interval::ok));
  lines.push_back(RateLine(r, "failed", 1, &Interval::failed));
  double highest = 0, end_s = 0;
  for (PlotLine& line : lines) {
    if (line.name == "due") line.dashed = true;
    for (const auto& [x, y] : line.points) {
      end_s = std::max(end_s, x);
      highest = std::max(highest, y);
    }
  }
  if (end_s <= 0) return "";
  Axis x = LinearAxis(end_s, "time since the start of the window", SecondsLabel);
  x.high = end_s;
  while (!x.ticks.empty() && x.ticks.back().at > end_s * (1 + 1e-9)) x.ticks.pop_back();
  return LinePlot("Connections per second over time", x,
                  LinearAxis(highest, "connections/s", FormatCount), lines);
}

std::string LatencyPlot(const Result& r) {
  std::vector<PlotLine> lines;
  double lowest = INFINITY, highest = 0, odds = 10;
  int colour = 0;
  for (const auto& [state, latency] : r.latency) {
    for (const Histogram* histogram : {&latency.intended, &latency.actual}) {
      const bool actual = histogram == &latency.actual;
      if (histogram->count() == 0 || (actual && latency.actual == latency.intended)) continue;
      lines.push_back({.name = actual ? state + " (actual)" : state,
                       .colour = colour % 8,
                       .dashed = actual,
                       .points = CurveOf(*histogram)});
      lowest = std::min(lowest, std::max(1.0, static_cast<double>(histogram->min())));
      highest = std::max(highest, static_cast<double>(histogram->max()));
      odds = std::max(odds, static_cast<double>(histogram->count()));
    }
    ++colour;
  }
  if (lines.empty()) return "";
  Axis x = LogAxis(1, odds, "percentile", PercentileLabel);
  const auto time = [](double ns) { return FormatNs(static_cast<uint64_t>(std::llround(ns))); };
  return LinePlot("Latency by percentile, from intended start; dashed from actual start", x,
                  LogAxis(lowest, std::max(highest, 2.0), "latency", time), lines);
}

std::string FailurePlot(const Result& r) {
  ByName<uint64_t> failures = r.failures;
  std::erase_if(failures, [](const auto& entry) { return entry.second == 0; });
  if (failures.empty()) return "";
  std::stable_sort(failures.begin(), failures.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  std::vector<Bar> bars;
  for (const auto& [reason, count] : failures) {
    bars.push_back({reason, GroupDigits(count),
                    static_cast<double>(count) / static_cast<double>(failures.front().second)});
  }
  return BarPlot("Failed connections by reason", bars);
}

}  // namespace millrace::apps

#include "apps/result/hgrm.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

namespace millrace::apps {
namespace {

constexpr double kNsPerMs = 1e6;
constexpr double kLinesPerHalving = 5;

std::string Row(double value_ms, double percent, uint64_t count) {
  std::array<char, 128> line;
  if (percent >= 100) {
    std::snprintf(line.data(), line.size(), "%12.6f %2.12f %10llu\n", value_ms, 1.0,
                  static_cast<unsigned long long>(count));
  } else {
    std::snprintf(line.data(), line.size(), "%12.6f %2.12f %10llu %14.2f\n", value_ms,
                  percent / 100, static_cast<unsigned long long>(count), 100 / (100 - percent));
  }
  return line.data();
}

// The next percentile to report: half of the lines lie in each half of what is left to 100.
double NextPercent(double percent) {
  const double halvings = std::floor(std::log2(100 / (100 - percent))) + 1;
  return percent + 100 / (kLinesPerHalving * std::exp2(halvings));
}

std::string Rows(const Histogram& histogram) {
  std::string text;
  uint64_t seen = 0;
  double percent = 0;
  histogram.ForEach([&](uint64_t highest, uint64_t count) {
    seen += count;
    const double value_ms = static_cast<double>(std::min(highest, histogram.max())) / kNsPerMs;
    const double reached = 100 * static_cast<double>(seen) / static_cast<double>(histogram.count());
    if (seen == histogram.count()) {
      if (reached >= percent) text += Row(value_ms, percent, seen);
      text += Row(value_ms, 100, seen);
      return;
    }
    while (reached >= percent) {
      text += Row(value_ms, percent, seen);
      const double next = NextPercent(percent);
      if (!(next > percent)) break;  // as near to 100 as numbers come
      percent = next;
    }
  });
  return text;
}

// Of the counters' upper ends: what the recorded values were is known no better.
double StandardDeviationMs(const Histogram& histogram) {
  double squares = 0;
  histogram.ForEach([&](uint64_t highest, uint64_t count) {
    const double off = static_cast<double>(std::min(highest, histogram.max())) - histogram.mean();
    squares += off * off * static_cast<double>(count);
  });
  if (histogram.count() == 0) return 0;
  return std::sqrt(squares / static_cast<double>(histogram.count())) / kNsPerMs;
}

}  // namespace

std::string HgrmText(const Histogram& histogram) {
  std::array<char, 256> line;
  std::snprintf(line.data(), line.size(), "%12s %14s %10s %14s\n\n", "Value", "Percentile",
                "TotalCount", "1/(1-Percentile)");
  std::string text = line.data() + Rows(histogram);
  std::snprintf(line.data(), line.size(),
                "#[Mean    = %12.6f, StdDeviation   = %12.6f]\n"
                "#[Max     = %12.6f, Total count    = %12llu]\n",
                histogram.mean() / kNsPerMs, StandardDeviationMs(histogram),
                static_cast<double>(histogram.max()) / kNsPerMs,
                static_cast<unsigned long long>(histogram.count()));
  return text + line.data();
}

}  // namespace millrace::apps

#include "apps/result/resolution.h"

#include <algorithm>
#include <cmath>

namespace millrace::apps {
namespace {

// Of what is as likely anywhere in an interval: its standard deviation.
double EvenlyWithin(double width) { return std::max(width, 0.0) / std::sqrt(12.0); }

}  // namespace

double ErrorOfSearch(const Goal& goal) { return EvenlyWithin(goal.above_per_s - goal.rate_per_s); }

double ErrorOfRate(const Result& result) {
  const double seconds = result.window.seconds();
  return seconds > 0 ? 1 / seconds : 0;
}

double ErrorOfFailedShare(const Result& result) {
  return 1 / static_cast<double>(std::max<uint64_t>(result.counts.due, 1));
}

double ErrorOfQuantile(const Histogram& histogram, double quantile) {
  const auto value = static_cast<double>(histogram.ValueAtQuantile(quantile));
  return EvenlyWithin(std::max(1.0, value * std::pow(10, -histogram.digits())));
}

}  // namespace millrace::apps

// common/quantiles.h - a distribution of times given by its percentiles: "p50:0,p99:2ms".
//
// Between two percentiles that are given, and up from the least (p0, which is 0 unless given),
// times grow linearly; above the highest they stay as it is. Threading: constant once made.
#ifndef MILLRACE_APPS_COMMON_QUANTILES_H_
#define MILLRACE_APPS_COMMON_QUANTILES_H_

#include <optional>
#include <string_view>
#include <vector>

#include "millrace/base/time.h"

namespace millrace::apps {

class Quantiles {
 public:
  // All zero.
  Quantiles() = default;
  // A single time stands for "always"; percentiles and times must both rise. nullopt for anything
  // else.
  static std::optional<Quantiles> Parse(std::string_view text);

  // The time that a part `quantile` (0 to 1) does not exceed.
  Duration At(double quantile) const;
  bool IsZero() const { return points_.empty(); }

 private:
  struct Point {
    double quantile;
    Duration time;
  };
  std::vector<Point> points_;  // rising
};

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_COMMON_QUANTILES_H_

#include "apps/common/quantiles.h"

#include <charconv>
#include <cmath>

#include "apps/common/units.h"

namespace millrace::apps {

std::optional<Quantiles> Quantiles::Parse(std::string_view text) {
  Quantiles parsed;
  if (const std::optional<Duration> always = ParseDuration(text)) {
    parsed.points_.push_back({0, *always});
    return parsed;
  }
  while (!text.empty()) {
    const size_t comma = text.find(',');
    const std::string_view part = text.substr(0, comma);
    text = comma == std::string_view::npos ? std::string_view() : text.substr(comma + 1);
    const size_t colon = part.find(':');
    if (!part.starts_with('p') || colon == std::string_view::npos) return std::nullopt;
    double percent = 0;
    const auto number = std::from_chars(part.data() + 1, part.data() + colon, percent);
    const std::optional<Duration> time = ParseDuration(part.substr(colon + 1));
    if (number.ec != std::errc() || number.ptr != part.data() + colon || !time ||
        !(percent >= 0 && percent <= 100)) {
      return std::nullopt;
    }
    const Point point{percent / 100, *time};
    if (!parsed.points_.empty() && (point.quantile <= parsed.points_.back().quantile ||
                                    point.time < parsed.points_.back().time)) {
      return std::nullopt;
    }
    parsed.points_.push_back(point);
  }
  if (parsed.points_.empty()) return std::nullopt;
  return parsed;
}

Duration Quantiles::At(double quantile) const {
  Point before{0, Duration()};
  for (const Point& point : points_) {
    if (quantile < point.quantile) {
      const double part = (quantile - before.quantile) / (point.quantile - before.quantile);
      return before.time + Duration::Nanoseconds(std::llround(
                               part * static_cast<double>((point.time - before.time).ns())));
    }
    before = point;
  }
  return before.time;
}

}  // namespace millrace::apps

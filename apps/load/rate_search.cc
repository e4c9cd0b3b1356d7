#include "apps/load/rate_search.h"

#include <algorithm>
#include <cmath>

namespace millrace::apps {

// First, geometric mean, final.
Duration RateSearch::LengthOf(int phase, double rate_per_s) const {
  const auto first = static_cast<double>(options_.first_length.ns());
  const auto final = static_cast<double>(options_.final_length.ns());
  if (phase == kPhases - 1 || final <= first) return options_.final_length;
  const double part = static_cast<double>(phase) / (kPhases - 1);
  const double enough = options_.starts_min / rate_per_s * 1e9;
  const double length = std::max(first * std::pow(final / first, part), enough);
  return Duration::Nanoseconds(std::llround(std::min(length, final)));
}

// Twice as wide in each phase before the last.
double RateSearch::WidthOf(int phase) const {
  return options_.width * static_cast<double>(1 << (kPhases - 1 - phase));
}

std::optional<double> RateSearch::GeneratorLimit() const {
  std::optional<double> limit;
  for (const Tried& t : tried_) {
    if (!t.is_void || (limit && *limit <= t.trial.rate_per_s)) continue;
    const auto voids = std::count_if(tried_.begin(), tried_.end(), [&](const Tried& other) {
      return other.is_void && other.trial.rate_per_s == t.trial.rate_per_s;
    });
    if (voids >= 2) limit = t.trial.rate_per_s;
  }
  return limit;
}

std::optional<double> RateSearch::Upper(size_t goal) const {
  std::optional<double> upper = GeneratorLimit();
  for (const Tried& t : tried_) {
    if (upper && t.trial.rate_per_s >= *upper) continue;
    if (Failures(goal, t.trial.rate_per_s) >= 2) upper = t.trial.rate_per_s;
  }
  return upper;
}

size_t RateSearch::Failures(size_t goal, double rate_per_s) const {
  return static_cast<size_t>(std::count_if(tried_.begin(), tried_.end(), [&](const Tried& t) {
    return t.trial.rate_per_s == rate_per_s && !t.is_void && !t.passed[goal];
  }));
}

std::optional<double> RateSearch::Lower(size_t goal, std::optional<double> upper,
                                        std::optional<int> phase) const {
  std::optional<double> lower;
  for (const auto& [trial, is_void, passed] : tried_) {
    if (is_void || !passed[goal]) continue;
    if (phase && trial.length < LengthOf(*phase, trial.rate_per_s)) continue;
    if (upper && trial.rate_per_s >= *upper) continue;
    if (!lower || trial.rate_per_s > *lower) lower = trial.rate_per_s;
  }
  return lower;
}

// The rate to try in this phase, or nullopt when it is through.
std::optional<double> RateSearch::NextRate(size_t goal, int phase) const {
  const std::optional<double> upper = Upper(goal);
  const std::optional<double> lower = Lower(goal, upper, phase);
  // What passed a shorter trial comes first, if it is better than what passed this length.
  const std::optional<double> shorter = Lower(goal, upper, std::nullopt);
  if (shorter && (!lower || *shorter > *lower)) return shorter;
  if (!lower) {
    if (!upper) return std::min(options_.first_per_s, options_.highest_per_s);
    if (*upper <= kLowest) return std::nullopt;
    return std::max(kLowest, *upper / kStep);
  }
  if (!upper) {
    if (*lower >= options_.highest_per_s) return std::nullopt;
    return std::min(*lower * kStep, options_.highest_per_s);
  }
  const double ratio = *upper / *lower;
  if (ratio <= 1 + WidthOf(phase)) return std::nullopt;
  return *lower * std::sqrt(ratio);
}

std::optional<RateSearch::Trial> RateSearch::NextOf(size_t goal) const {
  for (int phase = 0; phase < kPhases; ++phase) {
    if (const auto rate = NextRate(goal, phase)) return Trial{*rate, LengthOf(phase, *rate)};
  }
  return std::nullopt;
}

// Once more: whatever disturbed the generator, or the target, may be over.
bool RateSearch::IsInDoubt(const Tried& last) const {
  const double rate_per_s = last.trial.rate_per_s;
  if (last.is_void) {
    const std::optional<double> limit = GeneratorLimit();
    return !limit || *limit > rate_per_s;
  }
  for (size_t goal = 0; goal < goals_; ++goal) {
    const std::optional<double> upper = Upper(goal);
    const bool matters = !upper || rate_per_s < *upper;
    if (matters && !last.passed[goal] && Failures(goal, rate_per_s) == 1) return true;
  }
  return false;
}

std::optional<RateSearch::Trial> RateSearch::Next() const {
  if (tried_.size() >= options_.trials_max) return std::nullopt;
  if (!tried_.empty() && IsInDoubt(tried_.back())) return tried_.back().trial;
  for (size_t goal = 0; goal < goals_; ++goal) {
    if (const std::optional<Trial> next = NextOf(goal)) return next;
  }
  return std::nullopt;
}

void RateSearch::OnTrial(const Trial& trial, const std::vector<bool>& passed) {
  tried_.push_back({.trial = trial, .passed = passed});
}

void RateSearch::OnVoid(const Trial& trial) { tried_.push_back({.trial = trial, .is_void = true}); }

RateSearch::Bounds RateSearch::BoundsOf(size_t goal) const {
  const std::optional<double> upper = Upper(goal);
  const std::optional<double> generator = GeneratorLimit();
  Bounds bounds;
  bounds.lower_per_s = Lower(goal, upper, kPhases - 1).value_or(0);
  bounds.upper_per_s = upper.value_or(0);
  bounds.limit = !upper                              ? Limit::kRange
                 : generator && *generator <= *upper ? Limit::kGenerator
                                                     : Limit::kTarget;
  return bounds;
}

}  // namespace millrace::apps

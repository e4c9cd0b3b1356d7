// load/rate_search.h - the highest rate at which each of several goals is met: which trial next?
//
// After MLRsearch (draft-ietf-bmwg-mlrsearch): one search for all goals, every trial counts for
// each of them, short trials first. For each goal a lower bound (a rate that passed) and an upper
// bound (one that failed) close in: they are found by steps of a factor of four, then halved (in
// the logarithm) until they are `width` apart; then the same with longer trials and narrower
// bounds. A lower bound counts only after a trial of the final length. What failed twice is an
// upper bound, however short the trials (the draft's exceed ratio of a half: one failure may be the
// machine's); no rate above the lowest of them is believed. A trial is as long as starts_min takes,
// up to the final length: what a handful of connections shows is chance.
//
// A trial is void when the generator was the limit. A rate with two void trials is an upper bound
// of all goals, and the generator's, not the target's.
// Pure: no clock, no I/O. Deterministic.
#ifndef MILLRACE_APPS_LOAD_RATE_SEARCH_H_
#define MILLRACE_APPS_LOAD_RATE_SEARCH_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "millrace/base/time.h"

namespace millrace::apps {

struct RateSearchOptions {
  double first_per_s = 1'000;
  double highest_per_s = 1e8;  // no trial is above
  double width = 0.005;        // relative distance of the bounds at the end
  Duration first_length = Duration::Seconds(1), final_length = Duration::Seconds(10);
  double starts_min = 500;  // of a trial that is shorter than final_length
  uint32_t trials_max = 200;
};

class RateSearch {
 public:
  struct Trial {
    double rate_per_s = 0;
    Duration length;
  };
  enum class Limit : uint8_t { kTarget, kGenerator, kRange };
  struct Bounds {
    double lower_per_s = 0;  // passed at the final length; 0: nothing did
    double upper_per_s = 0;  // 0: none was found
    Limit limit = Limit::kTarget;
  };

  RateSearch(const RateSearchOptions& options, size_t goals) : options_(options), goals_(goals) {}

  // The next trial, or nullopt when all goals are settled, or trials_max were made.
  std::optional<Trial> Next() const;
  // What came of it; passed[i] is for goal i.
  void OnTrial(const Trial& trial, const std::vector<bool>& passed);
  void OnVoid(const Trial& trial);

  Bounds BoundsOf(size_t goal) const;
  size_t trials() const { return tried_.size(); }

 private:
  static constexpr double kStep = 4;    // while there is no bound on the other side
  static constexpr double kLowest = 1;  // per second: below it nothing is tried
  static constexpr int kPhases = 3;     // lengths of trials
  struct Tried {
    Trial trial;
    bool is_void = false;
    std::vector<bool> passed;
  };

  // Of a trial at this rate.
  Duration LengthOf(int phase, double rate_per_s) const;
  double WidthOf(int phase) const;
  std::optional<double> Upper(size_t goal) const;
  std::optional<double> GeneratorLimit() const;
  // Trials at this rate that did not meet the goal.
  size_t Failures(size_t goal, double rate_per_s) const;
  // The highest rate below `upper` that passed a trial of a phase, or of any.
  std::optional<double> Lower(size_t goal, std::optional<double> upper,
                              std::optional<int> phase) const;
  // Whether the last trial has to be made again.
  bool IsInDoubt(const Tried& last) const;
  std::optional<Trial> NextOf(size_t goal) const;
  std::optional<double> NextRate(size_t goal, int phase) const;

  RateSearchOptions options_;
  size_t goals_;
  std::vector<Tried> tried_;
};

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_LOAD_RATE_SEARCH_H_

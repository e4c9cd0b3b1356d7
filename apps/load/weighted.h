// load/weighted.h - choices by weight, spread evenly: after each round of the sum of the weights
// every choice was made exactly as often as its weight says, and as regularly as can be.
//
// Smooth weighted round robin. Cost: a pass over the choices; one step when all weigh the same (a
// pass over 4,096 takes 4 us, which would be the most of a start).
#ifndef MILLRACE_APPS_LOAD_WEIGHTED_H_
#define MILLRACE_APPS_LOAD_WEIGHTED_H_

#include <cstddef>
#include <cstdint>
#include <vector>

namespace millrace::apps {

class WeightedChoice {
 public:
  // `begin` turns the cycle: ranks that begin at different places do not all choose the same.
  template <class Items>
  explicit WeightedChoice(const Items& items, uint32_t begin = 0) {
    for (const auto& item : items) {
      choices_.push_back({item.weight, 0});
      sum_ += item.weight;
      if (choices_.front().weight != item.weight) equal_ = false;
    }
    if (equal_) {
      next_ = begin % choices_.size();
      return;
    }
    for (uint64_t i = 0; i < begin % sum_; ++i) Next();
  }

  // The index of the next choice. REQUIRES: there is one.
  size_t Next() {
    if (equal_) {
      const size_t chosen = next_++;
      if (next_ == choices_.size()) next_ = 0;
      return chosen;
    }
    size_t best = 0;
    for (size_t i = 0; i < choices_.size(); ++i) {
      choices_[i].credit += choices_[i].weight;
      if (choices_[i].credit > choices_[best].credit) best = i;
    }
    choices_[best].credit -= sum_;
    return best;
  }

 private:
  struct Choice {
    int64_t weight, credit;
  };
  std::vector<Choice> choices_;
  int64_t sum_ = 0;
  bool equal_ = true;
  size_t next_ = 0;  // when they are
};

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_LOAD_WEIGHTED_H_

// load/weighted.h - choices by weight, spread evenly: after each round of the sum of the weights
// every choice was made exactly as often as its weight says, and as regularly as can be.
//
// Smooth weighted round robin. Cost: a pass over the choices; nothing when there is one.
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
    }
    for (uint64_t i = 0; i < begin % sum_; ++i) Next();
  }

  // The index of the next choice. REQUIRES: there is one.
  size_t Next() {
    if (choices_.size() == 1) return 0;
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
};

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_LOAD_WEIGHTED_H_

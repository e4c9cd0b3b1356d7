// The engine against the reference model: every short sequence, and random long ones.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <string>
#include <vector>

#include "model/alphabet.h"

namespace millrace::model {
namespace {

// MILLRACE_MODEL_DEPTH and MILLRACE_MODEL_RANDOM make longer runs of what every run samples.
size_t FromEnvironment(const char* name, size_t otherwise) {
  const char* const text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

// Counts differences and keeps the first few.
class Findings {
 public:
  void Add(const std::string& difference) {
    if (difference.empty()) return;
    if (++count_ <= 10) texts_ += "\n  " + difference;
  }
  size_t count() const { return count_; }
  const std::string& texts() const { return texts_; }

 private:
  size_t count_ = 0;
  std::string texts_;
};

// Calls visit with each sequence of `length` symbols of kCore.
template <class Visit>
void ForEachSequence(size_t length, Visit&& visit) {
  std::vector<Symbol> sequence(length, kCore[0]);
  std::vector<size_t> digits(length, 0);
  for (;;) {
    for (size_t i = 0; i < length; ++i) sequence[i] = kCore[digits[i]];
    visit(sequence);
    size_t i = length;
    while (i > 0 && ++digits[i - 1] == std::size(kCore)) digits[--i] = 0;
    if (i == 0) return;
  }
}

std::string CompareRandom(uint64_t seed, const Decisions& decisions) {
  Opening opening;
  uint32_t peer_isn;
  const std::vector<Symbol> sequence = RandomSequence(seed, &opening, &peer_isn);
  const std::string difference = Compare(opening, decisions, sequence, peer_isn);
  return difference.empty() ? "" : "seed " + std::to_string(seed) + ": " + difference;
}

TEST(Model, AgreesOnEverySequenceOfThreeSteps) {
  const size_t depth = FromEnvironment("MILLRACE_MODEL_DEPTH", 3);
  Findings findings;
  for (const Opening opening : {Opening::kPassive, Opening::kActive}) {
    ForEachSequence(depth, [&](const std::vector<Symbol>& sequence) {
      findings.Add(Compare(opening, kShipped, sequence));
    });
  }
  EXPECT_EQ(findings.count(), 0u) << findings.texts();
}

TEST(Model, AgreesOnRandomSequences) {
  const size_t runs = FromEnvironment("MILLRACE_MODEL_RANDOM", 2000);
  Findings findings;
  for (size_t seed = 0; seed < runs; ++seed) findings.Add(CompareRandom(seed, kShipped));
  EXPECT_EQ(findings.count(), 0u) << findings.texts();
}

// A decision that explains nothing has to go: each makes a difference that is seen.
TEST(Model, EveryDecisionIsNeeded) {
  static constexpr bool Decisions::*kAll[] = {&Decisions::rst_ignored_in_time_wait,
                                              &Decisions::syn_challenged_in_syn_received,
                                              &Decisions::syn_fin_dropped_in_listen,
                                              &Decisions::text_on_syn_dropped,
                                              &Decisions::syn_reopens_time_wait,
                                              &Decisions::old_ack_challenged,
                                              &Decisions::syn_again_answered_by_syn_ack,
                                              &Decisions::crossing_syn_ack_taken,
                                              &Decisions::second_fin_ignored,
                                              &Decisions::reset_told_when_closing,
                                              &Decisions::time_wait_answers_what_has_length,
                                              &Decisions::abort_reset_has_ack,
                                              &Decisions::no_flags_dropped,
                                              &Decisions::window_of_syn_forgotten};
  static_assert(std::size(kAll) == sizeof(Decisions) / sizeof(bool));
  for (size_t i = 0; i < std::size(kAll); ++i) {
    Decisions without = kShipped;
    without.*kAll[i] = false;
    std::string difference;
    for (uint64_t seed = 0; seed < 20'000 && difference.empty(); ++seed) {
      difference = CompareRandom(seed, without);
    }
    EXPECT_NE(difference, "") << "decision " << i << " of Decisions makes no difference";
  }
}

}  // namespace
}  // namespace millrace::model

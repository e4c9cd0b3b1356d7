// differential/rules.h - the differences between Linux (6.18) and Millrace that are meant.
#ifndef MILLRACE_TESTS_DIFFERENTIAL_RULES_H_
#define MILLRACE_TESTS_DIFFERENTIAL_RULES_H_

#include <vector>

#include "model/lockstep.h"

namespace millrace::differential {

// A step, mostly one whose replies differ.
struct Difference {
  model::State before, after;  // Millrace's
  bool differs;                // the replies do
  bool window_was_closed;      // by some segment of the sequence
  bool fin_ahead;              // so did a FIN ahead of RCV.NXT
  bool active;                 // Millrace opened
  const model::Symbol& symbol;
  const model::Segment& segment;                // what arrived; nothing for a call
  uint32_t rcv_nxt, snd_una, snd_nxt, rcv_wnd;  // Millrace's, before
  const std::vector<model::Segment>& kernel;    // what each sent
  const std::vector<model::Segment>& millrace;
};

struct Rule {
  const char* name;
  const char* why;
  // Whether both are still in the same state, so that the sequence can go on.
  bool goes_on;
  // Whether it also holds where the replies are the same and only the states differ from then on.
  bool silent;
  bool (*explains)(const Difference&);
};

// The first rule that explains it; null when none does.
const Rule* Explain(const Difference& difference);

}  // namespace millrace::differential

#endif  // MILLRACE_TESTS_DIFFERENTIAL_RULES_H_

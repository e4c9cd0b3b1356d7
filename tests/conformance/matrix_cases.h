// conformance/matrix_cases.h - every state against every kind of segment, as matrix.tsv prints it.
#ifndef MILLRACE_TESTS_CONFORMANCE_MATRIX_CASES_H_
#define MILLRACE_TESTS_CONFORMANCE_MATRIX_CASES_H_

#include <string>
#include <vector>

#include "model/lockstep.h"

namespace millrace::conformance {

// How to come to a state, and what the table calls it.
struct Place {
  const char* name;
  model::Opening opening;
  std::vector<model::Symbol> steps;
  uint16_t window = model::Lockstep::kWindow;  // RCV.WND in the beginning ...
  bool closes_window = false;                  // ... and whether it is zero by now
};

struct Case {
  const Place* place;
  model::Symbol segment;
};

// All of the matrix, in the order of the table.
std::vector<Case> AllCases();

// One line of the table: state, RCV.WND, control bits, SEQ, ACK, window, text, then what the engine
// did: answer, next state, what was taken and told; last what the main text of RFC 9293 asks for
// where that differs by a decision. `difference` is what the engine did otherwise than the model.
std::string Row(const Case& c, std::string* difference);

}  // namespace millrace::conformance

#endif  // MILLRACE_TESTS_CONFORMANCE_MATRIX_CASES_H_

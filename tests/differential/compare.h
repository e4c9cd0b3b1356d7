// differential/compare.h - one sequence of segments and calls, given to the kernel and to Millrace.
#ifndef MILLRACE_TESTS_DIFFERENTIAL_COMPARE_H_
#define MILLRACE_TESTS_DIFFERENTIAL_COMPARE_H_

#include <cstdint>
#include <map>
#include <span>
#include <string>

#include "differential/kernel_host.h"
#include "model/lockstep.h"

namespace millrace::differential {

struct Outcome {
  // Empty: the replies were the same to the end, or up to an explained difference that leaves the
  // two in different states.
  std::string difference;
  // How often each rule of rules.cc explained a difference.
  std::map<std::string, size_t> explained;
  size_t steps = 0;  // that were compared
};

Outcome Compare(KernelHost& host, model::Opening opening, std::span<const model::Symbol> sequence,
                uint32_t index, uint32_t peer_isn);

}  // namespace millrace::differential

#endif  // MILLRACE_TESTS_DIFFERENTIAL_COMPARE_H_

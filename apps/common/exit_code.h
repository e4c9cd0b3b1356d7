// apps/common/exit_code.h - how the program ends, and the one line that says why.
#ifndef MILLRACE_APPS_COMMON_EXIT_CODE_H_
#define MILLRACE_APPS_COMMON_EXIT_CODE_H_

#include <cstdio>
#include <string>

#include "absl/status/status.h"

namespace millrace::apps {

enum ExitCode : int {
  kPass = 0,
  kInternal = 1,
  kUsage = 2,        // command line or configuration
  kEnvironment = 3,  // NIC, permission, memory, cores
  kFailed = 4,       // it ran, but the objective was not reached
  kInvalid = 5,      // it ran, but the generator was the limit
  kRegression = 6,   // worse than what it was compared with
  kInterrupted = 130,
};

// Prints "millrace: <message>" and returns the code that belongs to the status. A message of DPDK
// does not stay alone: behind it stands who knows more.
inline ExitCode Report(const absl::Status& status) {
  std::fprintf(stderr, "millrace: %s\n", std::string(status.message()).c_str());
  if (status.message().find("DPDK") != absl::string_view::npos) {
    std::fprintf(stderr, "millrace: `millrace doctor` says what this machine can do\n");
  }
  switch (status.code()) {
    case absl::StatusCode::kInvalidArgument:
      return kUsage;
    case absl::StatusCode::kInternal:
    case absl::StatusCode::kUnknown:
      return kInternal;
    default:
      return kEnvironment;
  }
}

inline ExitCode ReportUsage(const std::string& message) {
  return Report(absl::InvalidArgumentError(message));
}

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_COMMON_EXIT_CODE_H_

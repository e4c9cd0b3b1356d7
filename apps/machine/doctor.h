// machine/doctor.h - what a machine can do, what it cannot, and the command that mends that.
#ifndef MILLRACE_APPS_MACHINE_DOCTOR_H_
#define MILLRACE_APPS_MACHINE_DOCTOR_H_

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "apps/machine/facts.h"

namespace millrace::apps {

enum class Level : uint8_t {
  kOk,
  kInfo,  // good to know
  kWarn,  // something cannot be used, or slows things down
  kFail,  // nothing runs
};

struct Finding {
  Level level = Level::kOk;
  std::string subject;  // "huge pages"
  std::string text;
  std::string remedy;  // a command, or "" when there is nothing to do
};

std::vector<Finding> Diagnose(const MachineFacts& facts);

// A line each, the remedy behind "->" on a line of its own.
std::string DoctorText(const std::vector<Finding>& findings);
nlohmann::ordered_json DoctorJson(const std::vector<Finding>& findings);
bool AnyFails(const std::vector<Finding>& findings);

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_MACHINE_DOCTOR_H_

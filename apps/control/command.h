// control/command.h - what can be asked of a running `serve`, a line each.
#ifndef MILLRACE_APPS_CONTROL_COMMAND_H_
#define MILLRACE_APPS_CONTROL_COMMAND_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "millrace/base/time.h"

namespace millrace::apps {

enum class ControlVerb : uint8_t {
  kHelp,
  kCount,
  kList,
  kListeners,
  kListen,
  kClose,
  kDrain,
  kReload,
};

struct ControlCommand {
  static constexpr uint32_t kRowsMax = 10'000;

  ControlVerb verb = ControlVerb::kHelp;
  uint32_t rows = 100;            // list: connections at most
  uint16_t port = 0;              // listen, close
  std::string service;            // listen: "" for the first that there is
  uint32_t backlog = 0;           // listen: of all workers together; 0: as large as their pools
  std::optional<Duration> grace;  // drain: none for --grace
};

// kInvalidArgument with what is wrong.
absl::StatusOr<ControlCommand> ParseControlCommand(std::string_view line);

// A line per command.
std::string ControlHelp();

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_CONTROL_COMMAND_H_

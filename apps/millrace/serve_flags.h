// millrace/serve_flags.h - the flags of `serve`, and what they come to.
#ifndef MILLRACE_APPS_MILLRACE_SERVE_FLAGS_H_
#define MILLRACE_APPS_MILLRACE_SERVE_FLAGS_H_

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "apps/common/setup.h"
#include "apps/serve/serve_app.h"

namespace millrace::apps {

struct ServeFlags {
  DeviceFlags device;
  TcpFlags tcp;
  bool http = false, echo = false, discard = false, chargen = false;
  std::string respond, delay, error;
  int64_t close_after = -1;  // not given
  Duration idle_timeout = HttpOptions().idle_timeout;
  std::string ports;
  double rate_cap_per_s = 0;
  uint64_t seed = 1;
  uint32_t connections = 65'536;
  std::string stats;
  std::string control;  // path of the control socket; "": none
  Duration duration;    // 0: until a signal
  Duration grace = Duration::Seconds(1);

  void AddTo(CLI::App& app);
  // Of AddTo: where services listen, how many they serve and for how long, what is told of it.
  void AddLimitsTo(CLI::App& app);
};

// Options of the services, and where they listen.
absl::StatusOr<ServeOptions> OptionsOf(const ServeFlags& flags, std::vector<Listening>* services);

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_MILLRACE_SERVE_FLAGS_H_

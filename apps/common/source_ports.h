// common/source_ports.h - which local ports connections are opened from, as --src-port says.
#ifndef MILLRACE_APPS_COMMON_SOURCE_PORTS_H_
#define MILLRACE_APPS_COMMON_SOURCE_PORTS_H_

#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

namespace millrace::apps {

struct SourcePortChoice {
  bool sequential = false;                             // else as RFC 6056 has it
  std::optional<std::pair<uint16_t, uint16_t>> range;  // else that of whoever opens
};
// "random", "hash-local", "sequential", "1024-65535"; nullopt for anything else.
std::optional<SourcePortChoice> ParseSourcePorts(std::string_view text);

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_COMMON_SOURCE_PORTS_H_

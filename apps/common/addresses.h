// apps/common/addresses.h - what --ip, --gw and --src (or --addresses) say, as an engine wants it.
#ifndef MILLRACE_APPS_COMMON_ADDRESSES_H_
#define MILLRACE_APPS_COMMON_ADDRESSES_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "apps/common/setup.h"
#include "millrace/stack/engine_config.h"

namespace millrace::apps {

// IPv4 addresses in a row, and the ports to open from.
struct OwnAddresses {
  uint32_t first = 0, last = 0;
  uint16_t port_min = 1024, port_max = 65535;
  bool ports_given = false;
};
// "10.1.16.0/20:1024-65535", "10.1.16.0-10.1.16.127"; the ports may be missing.
absl::StatusOr<OwnAddresses> ParseOwnAddresses(const std::string& text);

// What is wrong with such a list, in which prefixes of IPv6 may stand too; "" for nothing.
std::string WrongOwnAddresses(const std::string& list);

// Sets addresses, gateways and source ports, or says for the user what is wrong with the flags.
absl::Status SetAddresses(const DeviceFlags& flags, stack::EngineConfig* config);

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_COMMON_ADDRESSES_H_

// apps/common/addresses.h - what --ip, --gw and --src (or --addresses) say, as an engine wants it.
#ifndef MILLRACE_APPS_COMMON_ADDRESSES_H_
#define MILLRACE_APPS_COMMON_ADDRESSES_H_

#include "absl/status/status.h"
#include "apps/common/setup.h"
#include "millrace/stack/engine_config.h"

namespace millrace::apps {

// Sets addresses, gateways and source ports, or says for the user what is wrong with the flags.
absl::Status SetAddresses(const DeviceFlags& flags, stack::EngineConfig* config);

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_COMMON_ADDRESSES_H_

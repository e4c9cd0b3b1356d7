// bench/common/loopback.h - configurations of a client and a server engine that are joined by rings
// in one process, with the addresses of apps/common/ring_network.h.
#ifndef MILLRACE_BENCH_COMMON_LOOPBACK_H_
#define MILLRACE_BENCH_COMMON_LOOPBACK_H_

#include <cstdint>

#include "absl/status/status.h"
#include "apps/common/ring_network.h"
#include "bench/common/load_client.h"

namespace millrace::bench {

struct LoopbackOptions {
  LoadPlan plan;
  apps::RingNetwork network;
  tcp::Config tcp;
  Region::Pages pages = Region::Pages::kPreferHuge;
  uint32_t time_waits = 0;  // of the side that closes first; 0: what the run can need
};

inline constexpr uint32_t kLoopbackPacketsPerPort = 16'383;  // for sizing EAL's memory
Endpoint LoopbackTarget(const apps::RingNetwork& network = {});
stack::EngineConfig LoopbackClientConfig(const LoopbackOptions& options);
stack::EngineConfig LoopbackServerConfig(const LoopbackOptions& options);
// Listens on the target and makes the client's addresses known.
absl::Status PrepareLoopbackServer(stack::Engine& server, const apps::RingNetwork& network,
                                   const MacAddress& client_mac);

}  // namespace millrace::bench

#endif  // MILLRACE_BENCH_COMMON_LOOPBACK_H_

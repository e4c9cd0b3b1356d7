// apps/common/loopback.h - a client and a server engine joined by rings in one process.
//
// The server is 198.18.0.1:80, the client has the 512 addresses of 198.18.128.0/23 (RFC 2544's
// range for benchmarks). The client finds the server by ARP; the server knows the client's
// addresses. Threading: made and destroyed by one thread; client and server may be polled by
// different workers, or by the same one in turn.
#ifndef MILLRACE_APPS_COMMON_LOOPBACK_H_
#define MILLRACE_APPS_COMMON_LOOPBACK_H_

#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "apps/common/hosted_stack.h"
#include "apps/common/load_client.h"
#include "apps/common/pattern.h"
#include "millrace/dpdk/ring_pair.h"

namespace millrace::apps {

struct LoopbackOptions {
  LoadPlan plan;  // `target` is set by Create
  tcp::Config tcp;
  Region::Pages pages = Region::Pages::kPreferHuge;
  LayerOptions layers;      // on the client's port; the VLAN is that of both
  uint32_t time_waits = 0;  // of the side that closes first; 0: TimeWaitsFor
};

// The two ends one by one, for those who join them by something else than rings.
inline const Endpoint kLoopbackTarget = {IpAddress::V4(0xC612'0001), 80};
stack::EngineConfig LoopbackClientConfig(const LoopbackOptions& options);
stack::EngineConfig LoopbackServerConfig(const LoopbackOptions& options);
// Listens on the target and makes the client's addresses known.
absl::Status PrepareLoopbackServer(stack::Engine& server, const MacAddress& client_mac);

// TIME-WAIT entries that a run can need at 2 M connections/s, bounded by a quarter of the memory.
uint32_t TimeWaitsFor(const LoadPlan& plan, Duration time_wait);

class Loopback {
 public:
  // Packets of both ports together, for sizing EAL's memory.
  static constexpr uint32_t kPacketsPerPort = 16'383;

  // REQUIRES: Eal has started.
  static absl::StatusOr<std::unique_ptr<Loopback>> Create(const LoopbackOptions& options,
                                                          Instant now);

  HostedStack<LoadClient>& client() { return *client_; }
  HostedStack<ResponseServer>& server() { return *server_; }
  const LoadResult& result() const { return client_app_.result(); }
  uint32_t still_open() const { return client_app_.open(); }
  LiveLoad& live() { return live_; }
  const LoadPlan& plan() const { return plan_; }
  uint32_t time_waits() const { return closer().config().limits.time_wait; }
  // The engine of the side that closes first.
  stack::Engine& closer() const {
    return plan_.client_closes ? client_->engine() : server_->engine();
  }

 private:
  explicit Loopback(const LoadPlan& plan);

  LoadPlan plan_;
  Pattern pattern_;
  LiveLoad live_;
  LoadClient client_app_;
  ResponseServer server_app_;
  std::unique_ptr<dpdk::RingPair> rings_;
  std::unique_ptr<HostedStack<LoadClient>> client_;
  std::unique_ptr<HostedStack<ResponseServer>> server_;
};

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_COMMON_LOOPBACK_H_

// bench/scale/crowd.h - client and server engine on one core, with many connections that stand idle
// or many in TIME-WAIT beside the plain exchange that is measured.
//
// All of them are made by the engines themselves, by handshakes and closes over joined rings. Time
// is the engine's argument here and advances with what is closed: by the length of TIME-WAIT
// divided by how many are wanted, for each. So after as many closes that many stay, and from then
// on one expires for each that comes, whatever the speed of the machine. What is measured is the
// time of the processor.
#ifndef MILLRACE_BENCH_SCALE_CROWD_H_
#define MILLRACE_BENCH_SCALE_CROWD_H_

#include <cstdint>
#include <memory>
#include <span>

#include "absl/status/statusor.h"
#include "apps/common/pattern.h"
#include "bench/common/load_client.h"
#include "bench/common/loopback.h"
#include "millrace/dpdk/ring_pair.h"
#include "millrace/stack/stack.h"

namespace millrace::bench {

struct CrowdPlan {
  uint64_t established = 0;  // idle, at both ends
  uint64_t time_waits = 0;   // at the server, which closes first
  tcp::Config tcp;
  Region::Pages pages = Region::Pages::kPreferHuge;
};

// Opens the idle connections, then exchanges for ever. A run of exchanges to one destination uses
// every source once at most, so that none meets its own TIME-WAIT: the next run goes to the next
// port.
class CrowdClient {
 public:
  CrowdClient(const CrowdPlan& plan, uint32_t concurrency);

  void OnOpen(stack::Socket socket);
  size_t OnReceive(stack::Socket socket, std::span<const std::byte> data) {
    return load_->OnReceive(socket, data);
  }
  void OnPeerClosed(stack::Socket socket) { load_->OnPeerClosed(socket); }
  void OnWritable(stack::Socket) {}
  void OnClose(stack::Socket socket, tcp::CloseReason reason);
  void OnPoll(stack::Engine& engine, Instant now);

  bool idle_stand() const { return idle_open_ == idle_wanted_; }
  uint64_t closed() const { return closed_before_ + load_->counts().ok; }
  uint64_t failed() const { return failed_; }

  static constexpr uint16_t kPorts = 4;

 private:
  static constexpr uint64_t kIdle = uint64_t{1} << 63;  // in user_data
  static constexpr uint64_t kPerPort = 25'000'000;      // of 32.9 M sources

  void OpenIdle(stack::Engine& engine);
  void NextRun();

  uint64_t idle_wanted_, idle_opened_ = 0, idle_open_ = 0;
  uint64_t closed_before_ = 0, failed_ = 0;
  uint16_t run_ = 0;
  LoadPlan load_plan_;
  apps::Pattern pattern_;
  std::unique_ptr<LoadClient> load_;
};

class Crowd {
 public:
  // REQUIRES: Eal has started.
  static absl::StatusOr<std::unique_ptr<Crowd>> Create(const CrowdPlan& plan);

  // Polls both ends once.
  void Turn();
  // Lets engine time pass until no timer is left that opening the idle ones had armed: a wheel pops
  // those late, for nothing, and an idle connection is one that has been idle for a while.
  void Settle();
  // All idle connections stand and all TIME-WAITs are there.
  bool ready() const {
    return client_app_.idle_stand() && client_app_.closed() >= plan_.time_waits;
  }
  uint64_t closed() const { return client_app_.closed(); }
  uint64_t failed() const { return client_app_.failed(); }
  stack::Engine& client() { return client_->engine(); }
  stack::Engine& server() { return server_->engine(); }

 private:
  explicit Crowd(const CrowdPlan& plan);

  using ClientStack = stack::Stack<dpdk::DpdkPort, CrowdClient>;
  using ServerStack = stack::Stack<dpdk::DpdkPort, ResponseServer>;

  CrowdPlan plan_;
  LoadPlan load_plan_;
  apps::Pattern pattern_;
  Duration per_close_;
  Instant now_ = Instant::FromNanoseconds(1'000'000'000);
  uint64_t closed_seen_ = 0;
  CrowdClient client_app_;
  ResponseServer server_app_;
  std::unique_ptr<dpdk::RingPair> rings_;
  std::unique_ptr<ClientStack> client_;
  std::unique_ptr<ServerStack> server_;
};

}  // namespace millrace::bench

#endif  // MILLRACE_BENCH_SCALE_CROWD_H_

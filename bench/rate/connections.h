// bench/rate/connections.h - the plain exchange as a work of bench/rate, with idle connections
// beside it when asked for.
#ifndef MILLRACE_BENCH_RATE_CONNECTIONS_H_
#define MILLRACE_BENCH_RATE_CONNECTIONS_H_

#include <cstdint>
#include <span>

#include "apps/common/pattern.h"
#include "bench/common/load_client.h"
#include "bench/rate/plan.h"

namespace millrace::bench {

class ConnectionsClient {
 public:
  explicit ConnectionsClient(const Plan& plan)
      : idle_wanted_(plan.idle),
        target_(plan.exchange.plan.target),
        load_(plan.exchange.plan, pattern_) {}

  void OnOpen(stack::Socket socket) {
    if (!IsIdle(socket)) return load_.OnOpen(socket);
    ++idle_open_;
  }
  size_t OnReceive(stack::Socket socket, std::span<const std::byte> data) {
    return load_.OnReceive(socket, data);
  }
  void OnPeerClosed(stack::Socket socket) { load_.OnPeerClosed(socket); }
  void OnWritable(stack::Socket) {}
  void OnClose(stack::Socket socket, tcp::CloseReason reason) {
    if (!IsIdle(socket)) return load_.OnClose(socket, reason);
    ++idle_failed_;
  }
  void OnPoll(stack::Engine& engine, Instant now) {
    if (idle_open_ < idle_wanted_) return OpenIdle(engine);
    load_.OnPoll(engine, now);
  }

  // The idle connections stand; what is counted begins.
  bool ready() const { return idle_open_ >= idle_wanted_; }
  bool done() const { return load_.done() || idle_failed_ > 0; }
  void AddTo(EndReport& report) const {
    const LoadCounts& counts = load_.counts();
    report.units = counts.ok_in_window;
    report.all_units = counts.ok;
    report.seconds = counts.window.seconds();
    report.failed = counts.failed + load_.open() + idle_failed_;
  }

 private:
  static constexpr uint64_t kIdle = uint64_t{1} << 63;  // in user_data
  static constexpr uint64_t kUnderWayMax = 64;

  static bool IsIdle(const stack::Socket& socket) { return (socket.user_data() & kIdle) != 0; }
  // One alone until the first is open, because of ARP; then as many at a time as are under way in
  // the exchange itself.
  void OpenIdle(stack::Engine& engine) {
    const uint64_t room = idle_open_ == 0 ? 1 : kUnderWayMax;
    while (idle_opened_ < idle_wanted_ && idle_opened_ - idle_open_ < room) {
      if (engine.Connect(target_, kIdle, nullptr) != stack::ConnectResult::kOk) return;
      ++idle_opened_;
    }
  }

  uint64_t idle_wanted_, idle_opened_ = 0, idle_open_ = 0, idle_failed_ = 0;
  Endpoint target_;
  apps::Pattern pattern_;
  LoadClient load_;
};

class ConnectionsServer {
 public:
  explicit ConnectionsServer(const Plan& plan) : server_(Sane(plan), pattern_) {}

  void OnOpen(stack::Socket) {}
  size_t OnReceive(stack::Socket socket, std::span<const std::byte> data) {
    return server_.OnReceive(socket, data);
  }
  void OnPeerClosed(stack::Socket socket) { socket.Close(); }
  void OnWritable(stack::Socket) {}
  void OnClose(stack::Socket, tcp::CloseReason) {}
  void OnPoll(stack::Engine&, Instant) {}
  bool done() const { return false; }
  void AddTo(EndReport&) const {}

 private:
  // Transactions: the server answers and leaves the connection open.
  static LoadPlan Sane(const Plan& plan) {
    LoadPlan load = plan.exchange.plan;
    if (plan.work == Work::kTransactions) load.client_closes = true;
    return load;
  }

  apps::Pattern pattern_;
  ResponseServer server_;
};

}  // namespace millrace::bench

#endif  // MILLRACE_BENCH_RATE_CONNECTIONS_H_

// bench/rate/transactions.h - request and response, one at a time on each of many connections that
// stay: how often, and how long a round trip takes.
//
// Instants are those of polls: a round trip is exact to the length of a poll on either side.
#ifndef MILLRACE_BENCH_RATE_TRANSACTIONS_H_
#define MILLRACE_BENCH_RATE_TRANSACTIONS_H_

#include <cstdint>
#include <span>
#include <vector>

#include "apps/common/pattern.h"
#include "bench/rate/plan.h"
#include "millrace/base/histogram.h"
#include "millrace/stack/engine.h"
#include "millrace/stack/socket.h"

namespace millrace::bench {

class TransactionsClient {
 public:
  explicit TransactionsClient(const Plan& plan)
      : plan_(plan.exchange.plan), flows_(plan_.concurrency) {}

  // All begin together, when the last of them is open.
  void OnOpen(stack::Socket) { ++open_; }
  size_t OnReceive(stack::Socket socket, std::span<const std::byte> data) {
    Flow& flow = flows_[socket.user_data()];
    flow.received += static_cast<uint32_t>(data.size());
    if (flow.received < plan_.response_bytes) return data.size();
    ++all_;
    if (ending_) {
      socket.Close();
      return data.size();
    }
    round_trip_ns_.Record(static_cast<uint64_t>((now_ - flow.sent).ns()));
    Ask(socket);
    return data.size();
  }
  void OnPeerClosed(stack::Socket socket) { socket.Close(); }
  void OnWritable(stack::Socket) {}
  void OnClose(stack::Socket, tcp::CloseReason reason) {
    ++closed_;
    if (reason != tcp::CloseReason::kNormal) ++failed_;
  }
  void OnPoll(stack::Engine& engine, Instant now) {
    now_ = now;
    if (!started_) return Open(engine);
    if (!ending_ && now - start_ >= plan_.duration) {
      ending_ = true;
      window_ = now - start_;
    }
  }

  bool ready() const { return started_; }
  bool done() const { return closed_ > 0 && closed_ == opened_; }
  void AddTo(EndReport& report) const {
    report.units = round_trip_ns_.count();
    report.all_units = all_;
    report.seconds = window_.seconds();
    report.failed = failed_;
    report.p50_ns = round_trip_ns_.ValueAtQuantile(0.5);
    report.p99_ns = round_trip_ns_.ValueAtQuantile(0.99);
  }

 private:
  struct Flow {
    Instant sent;
    uint32_t received = 0;
  };

  void Ask(stack::Socket socket) {
    flows_[socket.user_data()] = {.sent = now_};
    if (!socket.SendStatic(pattern_.Piece(0, plan_.request_bytes))) socket.Abort();
  }
  // One alone until the first is open, because of ARP.
  void Open(stack::Engine& engine) {
    const uint32_t room = open_ == 0 ? 1 : plan_.concurrency;
    while (opened_ < room) {
      stack::Socket socket;
      if (engine.Connect(plan_.target, opened_, &socket) != stack::ConnectResult::kOk) return;
      sockets_.push_back(socket);
      ++opened_;
    }
    if (open_ < plan_.concurrency) return;
    started_ = true;
    start_ = now_;
    for (const stack::Socket& socket : sockets_) Ask(socket);
  }

  LoadPlan plan_;
  apps::Pattern pattern_;
  std::vector<Flow> flows_;
  std::vector<stack::Socket> sockets_;
  uint32_t opened_ = 0, open_ = 0, closed_ = 0;
  uint64_t all_ = 0, failed_ = 0;
  bool started_ = false, ending_ = false;
  Instant now_, start_;
  Duration window_;
  Histogram round_trip_ns_;
};

}  // namespace millrace::bench

#endif  // MILLRACE_BENCH_RATE_TRANSACTIONS_H_

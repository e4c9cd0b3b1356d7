// bench/rate/bulk.h - octets in one direction, from memory that is never copied into the send
// buffer, to a server that looks at none of them.
#ifndef MILLRACE_BENCH_RATE_BULK_H_
#define MILLRACE_BENCH_RATE_BULK_H_

#include <cstdint>
#include <span>

#include "apps/common/pattern.h"
#include "apps/serve/body_sender.h"
#include "bench/rate/plan.h"
#include "millrace/stack/engine.h"
#include "millrace/stack/socket.h"

namespace millrace::bench {

class BulkClient {
 public:
  explicit BulkClient(const Plan& plan) : plan_(plan.exchange.plan) {}

  void OnOpen(stack::Socket socket) {
    if (open_++ == 0) start_ = now_;
    Fill(socket);
  }
  size_t OnReceive(stack::Socket, std::span<const std::byte> data) { return data.size(); }
  void OnPeerClosed(stack::Socket socket) { socket.Close(); }
  void OnWritable(stack::Socket socket) { Fill(socket); }
  void OnClose(stack::Socket, tcp::CloseReason reason) {
    ++closed_;
    if (reason != tcp::CloseReason::kNormal) ++failed_;
  }
  void OnPoll(stack::Engine& engine, Instant now) {
    now_ = now;
    if (open_ > 0 && !ending_ && now - start_ >= plan_.duration) ending_ = true;
    const uint32_t room = open_ == 0 ? 1 : plan_.concurrency;
    while (opened_ < room) {
      if (engine.Connect(plan_.target, 0, nullptr) != stack::ConnectResult::kOk) return;
      ++opened_;
    }
  }

  bool ready() const { return open_ > 0; }
  bool done() const { return closed_ > 0 && closed_ == opened_; }
  // What arrived in which time is the server's to say.
  void AddTo(EndReport& report) const { report.failed = failed_; }

 private:
  // Pieces of 64 KiB: the queue of what waits is as long as the send buffer, and each piece lies
  // in one place. OnWritable comes when there is room again.
  void Fill(stack::Socket socket) {
    static constexpr uint64_t kPieceBytes = 65'536;
    if (ending_) return socket.Close();
    while (socket.SendStatic(pattern_.Piece(0, kPieceBytes))) {
    }
  }

  LoadPlan plan_;
  apps::Pattern pattern_;
  uint32_t opened_ = 0, open_ = 0, closed_ = 0;
  uint64_t failed_ = 0;
  bool ending_ = false;
  Instant now_, start_;
};

class BulkServer {
 public:
  explicit BulkServer(const Plan&) {}

  void OnOpen(stack::Socket) {}
  size_t OnReceive(stack::Socket, std::span<const std::byte> data) {
    if (bytes_ == 0) first_ = now_;
    bytes_ += data.size();
    last_ = now_;
    return data.size();
  }
  void OnPeerClosed(stack::Socket socket) { socket.Close(); }
  void OnWritable(stack::Socket) {}
  void OnClose(stack::Socket, tcp::CloseReason) {}
  void OnPoll(stack::Engine&, Instant now) { now_ = now; }

  bool done() const { return false; }
  void AddTo(EndReport& report) const {
    report.units = report.all_units = bytes_;
    report.seconds = (last_ - first_).seconds();
  }

 private:
  uint64_t bytes_ = 0;
  Instant now_, first_, last_;
};

}  // namespace millrace::bench

#endif  // MILLRACE_BENCH_RATE_BULK_H_

// bench/common/load_client.h - the plain exchange's ends: a client that opens connections, sends a
// request on each, takes the response and closes, and the server that answers.
//
// Leaner than the generator of `millrace load` (apps/load/load_app.h), so that what bench/ measures
// is the engine: they count, and keep nothing for a connection but its octets, in the engine's
// user_data. `concurrency` connections are always under way.
// Threading: one worker.
#ifndef MILLRACE_BENCH_COMMON_LOAD_CLIENT_H_
#define MILLRACE_BENCH_COMMON_LOAD_CLIENT_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "apps/common/pattern.h"
#include "millrace/base/time.h"
#include "millrace/stack/engine.h"
#include "millrace/stack/socket.h"

namespace millrace::bench {

struct LoadPlan {
  Endpoint target;
  uint32_t concurrency = 64;  // connections under way at most
  uint64_t count = 0;         // connections to open; 0: no limit but `duration`
  Duration duration;          // 0: no limit but `count`
  uint32_t request_bytes = 1, response_bytes = 1;  // 1 to Pattern::kBlockBytes - kPeriod
  bool client_closes = false;  // else the server does, and the response carries its FIN
};

struct LoadCounts {
  uint64_t opened = 0, ok = 0;
  uint64_t failed = 0;        // also those whose response was short
  uint64_t ok_in_window = 0;  // completed before `window` was over
  Duration window;            // from the first connection that opened to the last start
};

class LoadClient {
 public:
  // `pattern` outlives the client.
  LoadClient(const LoadPlan& plan, const apps::Pattern& pattern) : plan_(plan), pattern_(pattern) {}

  void OnOpen(stack::Socket socket) {
    if (!reached_) Reached();
    if (!socket.SendStatic(pattern_.Piece(0, plan_.request_bytes))) socket.Abort();
  }
  size_t OnReceive(stack::Socket socket, std::span<const std::byte> data) {
    const uint64_t received = socket.user_data() + data.size();
    socket.set_user_data(received);
    if (plan_.client_closes && received >= plan_.response_bytes) socket.Close();
    return data.size();
  }
  void OnPeerClosed(stack::Socket socket) { socket.Close(); }
  void OnWritable(stack::Socket) {}
  void OnClose(stack::Socket socket, tcp::CloseReason reason) {
    --open_;
    if (reason == tcp::CloseReason::kNormal && socket.user_data() == plan_.response_bytes) {
      ++counts_.ok;
    } else {
      ++counts_.failed;
    }
  }
  void OnPoll(stack::Engine& engine, Instant now);

  const LoadCounts& counts() const { return counts_; }
  uint32_t open() const { return open_; }
  // Nothing more will be opened and nothing is open.
  bool done() const { return window_over_ && open_ == 0; }

 private:
  static constexpr int kOpensPerPollMax = 64;

  void Reached();
  void OpenSome(stack::Engine& engine);

  LoadPlan plan_;
  const apps::Pattern& pattern_;
  LoadCounts counts_;
  uint32_t open_ = 0;
  bool started_ = false, reached_ = false, window_over_ = false;
  Instant now_, start_;
};

// The other end: takes `request_bytes`, answers `response_bytes`, and closes if it is its turn.
class ResponseServer {
 public:
  ResponseServer(const LoadPlan& plan, const apps::Pattern& pattern)
      : plan_(plan), pattern_(pattern) {}

  void OnOpen(stack::Socket) {}
  size_t OnReceive(stack::Socket socket, std::span<const std::byte> data) {
    // user_data counts the octets of the request.
    const uint64_t received = socket.user_data() + data.size();
    if (received < plan_.request_bytes) {
      socket.set_user_data(received);
      return data.size();
    }
    if (!socket.SendStatic(pattern_.Piece(0, plan_.response_bytes))) {
      socket.Abort();
    } else if (!plan_.client_closes) {
      socket.Close();
    } else {
      socket.set_user_data(0);
    }
    return data.size();
  }
  void OnPeerClosed(stack::Socket socket) { socket.Close(); }
  void OnWritable(stack::Socket) {}
  void OnClose(stack::Socket, tcp::CloseReason) {}
  void OnPoll(stack::Engine&, Instant) {}

 private:
  LoadPlan plan_;
  const apps::Pattern& pattern_;
};

static_assert(stack::App<LoadClient>);
static_assert(stack::App<ResponseServer>);

}  // namespace millrace::bench

#endif  // MILLRACE_BENCH_COMMON_LOAD_CLIENT_H_

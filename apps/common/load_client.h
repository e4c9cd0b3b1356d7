// apps/common/load_client.h - opens connections, sends a request on each, takes the response,
// closes, and measures: the client of bench/rate, bench/scale and bench/stages.
//
// Leaner than the generator of `millrace load` (apps/load/load_app.h), so that what bench/ measures
// is the engine: no phases with deadlines, no schedule, no reasons for failures. `get` keeps its
// figures in the same LiveLoad and LoadResult.
// Closed loop: `concurrency` connections are always under way. Open loop (`rate_per_s`): they start
// evenly spaced, and every latency counts from the instant a connection was meant to start, so a
// slow server cannot hide behind a waiting client.
// Instants are those of polls: all that one poll does happens at once.
// Threading: one worker; `live` may be read from anywhere, the rest after the worker was joined.
#ifndef MILLRACE_APPS_COMMON_LOAD_CLIENT_H_
#define MILLRACE_APPS_COMMON_LOAD_CLIENT_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "apps/common/pattern.h"
#include "millrace/base/histogram.h"
#include "millrace/base/time.h"
#include "millrace/stack/engine.h"
#include "millrace/stack/socket.h"

namespace millrace::apps {

struct LoadPlan {
  Endpoint target;
  uint32_t concurrency = 64;  // connections under way at most
  double rate_per_s = 0;      // 0: closed loop
  uint64_t count = 0;         // connections to open; 0: no limit but `duration`
  Duration duration;          // 0: no limit but `count`
  uint32_t request_bytes = 1, response_bytes = 1;  // 1 to Pattern::kBlockBytes - kPeriod
  bool client_closes = false;  // else the server does, and the response carries its FIN
};

// Published about once a millisecond, relaxed.
struct LiveLoad {
  std::atomic<uint64_t> ok{0}, failed{0}, open{0}, retransmits{0};
  std::atomic<bool> done{false};  // nothing more will be opened and nothing is open
  std::atomic<bool> stop{false};  // set by others: open no more
};

struct LoadResult {
  uint64_t opened = 0, ok = 0;
  std::array<uint64_t, 6> failed{};  // by tcp::CloseReason; kNormal: the response was short
  uint64_t not_opened = 0;           // Connect refused: tried again
  stack::ConnectResult last_refusal = stack::ConnectResult::kOk;
  uint64_t ok_in_window = 0;  // completed before `window` was over
  Duration window;            // from the first connection that opened to the last start
  Histogram connect_ns, first_byte_ns, close_ns, total_ns;

  // Together with what another worker has measured at the same time.
  void Add(const LoadResult& other);
  uint64_t failed_total() const {
    uint64_t sum = 0;
    for (const uint64_t n : failed) sum += n;
    return sum;
  }
  double rate_per_s() const {
    return window.ns() == 0 ? 0 : static_cast<double>(ok_in_window) / window.seconds();
  }
};

class LoadClient {
 public:
  // `pattern` and `live` outlive the client.
  LoadClient(const LoadPlan& plan, const Pattern& pattern, LiveLoad& live);

  void OnOpen(stack::Socket socket);
  size_t OnReceive(stack::Socket socket, std::span<const std::byte> data);
  void OnPeerClosed(stack::Socket socket);
  void OnWritable(stack::Socket) {}
  void OnClose(stack::Socket socket, tcp::CloseReason reason);
  void OnPoll(stack::Engine& engine, Instant now);

  const LoadResult& result() const { return result_; }
  uint32_t open() const { return plan_.concurrency - static_cast<uint32_t>(free_.size()); }

 private:
  static constexpr int kOpensPerPollMax = 64;

  struct Flow {
    Instant intended, opened, closing;
    uint32_t received = 0;
  };

  Flow& Of(const stack::Socket& socket) { return flows_[socket.user_data()]; }
  void OpenSome(stack::Engine& engine);
  void EndWindow();
  void Publish(const stack::Engine& engine);

  LoadPlan plan_;
  const Pattern& pattern_;
  LiveLoad& live_;
  LoadResult result_;
  std::vector<Flow> flows_;
  std::vector<uint32_t> free_;
  Duration interval_;  // open loop
  Instant now_, start_, next_open_, next_publish_;
  bool started_ = false, reached_ = false, window_over_ = false;
};

// The other end: takes `request_bytes`, answers `response_bytes`, and closes if it is its turn.
class ResponseServer {
 public:
  ResponseServer(const LoadPlan& plan, const Pattern& pattern) : plan_(plan), pattern_(pattern) {}

  void OnOpen(stack::Socket) {}
  size_t OnReceive(stack::Socket socket, std::span<const std::byte> data) {
    // user_data counts the octets of the request, so that nothing is kept here.
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
  const Pattern& pattern_;
};

static_assert(stack::App<LoadClient>);
static_assert(stack::App<ResponseServer>);

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_COMMON_LOAD_CLIENT_H_

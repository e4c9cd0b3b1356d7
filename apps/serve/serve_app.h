// serve/serve_app.h - the application of `millrace serve`: several services on one engine.
//
// The service of a connection is the user_data of its listener. Threading: one worker.
#ifndef MILLRACE_APPS_SERVE_SERVE_APP_H_
#define MILLRACE_APPS_SERVE_SERVE_APP_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "apps/common/pattern.h"
#include "apps/serve/disturbance.h"
#include "apps/serve/exchange_service.h"
#include "apps/serve/http_service.h"
#include "apps/serve/stream_services.h"
#include "millrace/base/spsc_ring.h"
#include "millrace/base/token_bucket.h"
#include "millrace/stack/engine.h"
#include "millrace/stack/socket.h"

namespace millrace::apps {

enum class Service : uint8_t { kHttp, kEcho, kDiscard, kExchange };

struct ServeOptions {
  ExchangeOptions exchange;
  HttpOptions http;
  DisturbanceOptions disturbance;  // of HTTP and exchanges
  uint64_t rate_cap_per_s = 0;     // connections beyond it are reset; 0: none is
};

struct ServeCounters {
  uint64_t accepted = 0, ended_not_normally = 0, over_rate_cap = 0;
};

class ServeApp {
 public:
  // `pattern` outlives the application.
  ServeApp(const ServeOptions& options, const Pattern& pattern);

  void OnOpen(stack::Socket socket);
  size_t OnReceive(stack::Socket socket, std::span<const std::byte> data);
  void OnPeerClosed(stack::Socket socket);
  void OnWritable(stack::Socket socket);
  void OnClose(stack::Socket socket, tcp::CloseReason reason);
  void OnPoll(stack::Engine& engine, Instant now);

  // From one other thread: the next poll takes over rate cap, delays and errors; answers that wait
  // already are as they were drawn. False while two changes have not been taken yet.
  bool Change(const ServeOptions& options) { return changes_.Push({&options, 1}) == 1; }
  // Whether Change will take the next one. By the same thread: nobody else takes the room away.
  bool CanChange() const { return changes_.size() < changes_.capacity(); }

  const ServeCounters& counters() const { return counters_; }
  const HttpService& http() const { return http_; }
  const EchoService& echo() const { return echo_; }
  const DiscardService& discard() const { return discard_; }
  const ExchangeService& exchange() const { return exchange_; }
  // When OnPoll has something to do without any event. For simulation: a worker polls anyway.
  Instant NextDeadline() const { return std::min(http_.NextDeadline(), exchange_.NextDeadline()); }

 private:
  static constexpr uint64_t kCapBurst = 16;  // connections that may come at once

  static Service Of(const stack::Socket& socket) {
    return static_cast<Service>(socket.user_data());
  }

  void TakeChange();

  HttpService http_;
  EchoService echo_;
  DiscardService discard_;
  ExchangeService exchange_;
  bool capped_;
  TokenBucket cap_;
  SpscRing<ServeOptions> changes_{2};
  Instant now_;
  ServeCounters counters_;
};

static_assert(stack::App<ServeApp>);

// Where a service listens: a port of every address of both families.
struct Listening {
  Service service;
  const char* name;
  uint16_t port;
};

// Listens on all of `services`, at every address that the engine owns.
absl::Status ListenOn(stack::Engine& engine, const std::vector<Listening>& services);

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_SERVE_SERVE_APP_H_

// apps/serve/http_service.h - a small HTTP/1 server whose paths are sizes: /1, /1k, /100m.
//
// Persistent connections and pipelining: requests are answered in order, and the next one is not
// read while a body waits for room (the peer's window closes). Bounded per connection: a head of
// kHeadBytesMax, one body; connections themselves are bounded by the engine. A connection whose
// peer shows no life for HttpOptions::idle_timeout (no request, no octet of a request's body, no
// acknowledgment of something new) is aborted, at most two seconds later.
// Body octet i is Pattern::At(i). Answers may be delayed and spoilt on purpose
// (serve/disturbance.h). Threading: one worker.
#ifndef MILLRACE_APPS_SERVE_HTTP_SERVICE_H_
#define MILLRACE_APPS_SERVE_HTTP_SERVICE_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "apps/common/http_request.h"
#include "apps/common/pattern.h"
#include "apps/serve/body_sender.h"
#include "apps/serve/delay_line.h"
#include "apps/serve/disturbance.h"
#include "millrace/base/time.h"
#include "millrace/stack/socket.h"

namespace millrace::apps {

struct HttpCounters {
  uint64_t requests = 0;
  uint64_t responses_2xx = 0, responses_4xx = 0, responses_5xx = 0;
  uint64_t idle_aborted = 0;
  uint64_t errors = 0;  // put in on purpose
};

// What a path asks for: the octets of "/1k", or nullopt when it is no size. The bound is 1 TiB.
std::optional<uint64_t> BodySizeOf(std::string_view path);

struct HttpOptions {
  uint32_t close_after = 0;  // requests, then the answer says that the connection is closed
  Duration idle_timeout = Duration::Seconds(60);  // 0: never
};

class HttpService {
 public:
  HttpService(const Pattern& pattern, const DisturbanceOptions& disturbance,
              const HttpOptions& options)
      : pattern_(pattern), disturbance_(disturbance), options_(options) {}

  // What is asked from now on is answered so.
  void Disturb(const DisturbanceOptions& options) { disturbance_ = Disturbance(options); }
  void OnOpen(stack::Socket socket);
  size_t OnReceive(stack::Socket socket, std::span<const std::byte> data);
  void OnPeerClosed(stack::Socket socket);
  void OnWritable(stack::Socket socket);
  void OnClose(stack::Socket socket);
  void OnPoll(stack::Engine& engine, Instant now);

  const HttpCounters& counters() const { return counters_; }
  Instant NextDeadline() const;

 private:
  static constexpr size_t kSweptPerPoll = 128;

  // What a request is answered with.
  struct Answer {
    int status = 200;
    uint64_t generated = 0;  // octets of Pattern
    std::string_view text;   // or this
    bool head_only = false;
    bool close = false;
  };
  struct Connection {
    stack::ConnectionId id;  // generation 0: not in use
    std::string head;        // the incomplete one, when it came in pieces
    std::string pending;     // of a response head that the engine had no room for
    uint64_t skip = 0;       // octets of a request's body still to come, ignored
    BodySender body;
    Instant last_life;
    uint32_t requests = 0;
    uint32_t unacknowledged = 0;  // octets, when EndIdle last looked
    bool sending = false;         // there may be some that are not acknowledged
    bool close_after = false;     // this response is the last
    bool draining = false;        // our side is closed or reset; what still comes is ignored
    bool starved = false;         // in starved_
    bool waiting = false;         // `delayed` is to be sent when its time has come
    Answer delayed;

    bool Busy() const { return waiting || !pending.empty() || !body.done(); }
  };

  Connection& Of(const stack::Socket& socket) { return connections_[socket.id().index]; }
  // For who is in delayed_.
  bool Waits(stack::ConnectionId id) const { return connections_[id.index].id == id; }
  size_t TakeRequest(const stack::Socket& socket, Connection& c, std::string_view data);
  void Handle(const stack::Socket& socket, Connection& c, const HttpRequest& request);
  void Respond(const stack::Socket& socket, Connection& c, const Answer& answer);
  // Answers in the way that was drawn. False: as usual, by the caller.
  bool Spoil(const stack::Socket& socket, Connection& c, const Answer& answer, Fate fate);
  void AnswerOrDelay(const stack::Socket& socket, Connection& c, const Answer& answer);
  void AnswerDelayed(stack::Engine& engine);
  void Continue(const stack::Socket& socket, Connection& c);
  void EndIdle(stack::Engine& engine);

  const Pattern& pattern_;
  Disturbance disturbance_;
  HttpOptions options_;
  DelayLine delayed_;
  HttpCounters counters_;
  std::vector<Connection> connections_;       // by index of the engine
  std::vector<stack::ConnectionId> starved_;  // wait for room although nothing of theirs is unsent
  Instant now_, next_sweep_, next_retry_;
  size_t swept_ = 0;  // of connections_, by the search for idle ones that is under way
  bool sweeping_ = false;
};

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_SERVE_HTTP_SERVICE_H_

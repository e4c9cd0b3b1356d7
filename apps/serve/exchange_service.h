// serve/exchange_service.h - so many octets in, so many out: the counterpart of raw TCP load.
//
// Also chargen (RFC 864: `request_bytes` 0 and a response without end) and a server that takes N
// octets and closes. Octet i of a response is Pattern::At(i). A request that comes while the last
// one waits for its answer is not read (the peer's window closes).
// Memory: 40 octets per connection. Threading: one worker.
#ifndef MILLRACE_APPS_SERVE_EXCHANGE_SERVICE_H_
#define MILLRACE_APPS_SERVE_EXCHANGE_SERVICE_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "apps/common/pattern.h"
#include "apps/serve/body_sender.h"
#include "apps/serve/delay_line.h"
#include "apps/serve/disturbance.h"
#include "millrace/stack/engine.h"
#include "millrace/stack/socket.h"

namespace millrace::apps {

struct ExchangeOptions {
  static constexpr uint64_t kForever = uint64_t{1} << 50;

  uint64_t request_bytes = 1;   // 0: the response goes out at once, and what comes in is ignored
  uint64_t response_bytes = 1;  // kForever: as long as the peer takes it
  uint32_t close_after = 0;     // responses, then our FIN; 0: the peer closes first
};

class ExchangeService {
 public:
  // `pattern` outlives the service.
  ExchangeService(const ExchangeOptions& options, const DisturbanceOptions& disturbance,
                  const Pattern& pattern)
      : options_(options), disturbance_(disturbance), pattern_(pattern) {}

  // What is asked from now on is answered so.
  void Disturb(const DisturbanceOptions& options) { disturbance_ = Disturbance(options); }
  void OnOpen(stack::Socket socket);
  size_t OnReceive(stack::Socket socket, std::span<const std::byte> data);
  void OnPeerClosed(stack::Socket socket);
  void OnWritable(stack::Socket socket);
  void OnClose(stack::Socket socket);
  void OnPoll(stack::Engine& engine, Instant now);

  uint64_t answered() const { return answered_; }
  uint64_t errors() const { return errors_; }  // put in on purpose
  Instant NextDeadline() const { return delayed_.NextDue(); }

 private:
  struct Connection {
    stack::ConnectionId id;  // generation 0: not in use
    uint32_t answered = 0;
    bool waiting = false;      // for its delay
    bool peer_closed = false;  // the peer sends no more
    bool ending = false;       // our FIN follows what is queued, or the RST is out
    uint64_t received = 0;     // octets of the request
    BodySender body;
  };

  Connection& Of(const stack::Socket& socket) { return connections_[socket.id().index]; }
  // Whether no request is read any more. What is left unread would make a reset of our FIN.
  bool NeedsNoMore(const Connection& c) const;
  // For who is in delayed_.
  bool Waits(stack::ConnectionId id) const { return connections_[id.index].id == id; }
  void OnRequest(const stack::Socket& socket, Connection& c);
  void Answer(const stack::Socket& socket, Connection& c, Fate fate);
  void Continue(const stack::Socket& socket, Connection& c);

  ExchangeOptions options_;
  Disturbance disturbance_;
  const Pattern& pattern_;
  std::vector<Connection> connections_;  // by index of the engine
  DelayLine delayed_;
  std::vector<stack::ConnectionId> starved_;  // wait for room although nothing of theirs is unsent
  Instant now_, next_retry_;
  uint64_t answered_ = 0, errors_ = 0;
};

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_SERVE_EXCHANGE_SERVICE_H_

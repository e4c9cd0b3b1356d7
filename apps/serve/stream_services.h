// apps/serve/stream_services.h - echo (RFC 862) and discard (RFC 863) over TCP.
//
// Echo takes no more than it could send on: a peer that does not read stops being read.
// Nothing is kept per connection. Threading: one worker.
#ifndef MILLRACE_APPS_SERVE_STREAM_SERVICES_H_
#define MILLRACE_APPS_SERVE_STREAM_SERVICES_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "millrace/base/time.h"
#include "millrace/stack/engine.h"
#include "millrace/stack/socket.h"

namespace millrace::apps {

class EchoService {
 public:
  size_t OnReceive(stack::Socket socket, std::span<const std::byte> data) {
    const size_t sent = socket.Send(data);
    bytes_ += sent;
    // Without anything unacknowledged no OnWritable would come: the engine's memory is full.
    if (sent < data.size() && socket.unsent_bytes() == 0) starved_.push_back(socket.id());
    return sent;
  }
  void OnPeerClosed(stack::Socket socket) { socket.Close(); }
  void OnWritable(stack::Socket socket) { socket.Resume(); }
  void OnPoll(stack::Engine& engine, Instant now) {
    if (starved_.empty() || now < next_retry_) return;
    next_retry_ = now + Duration::Milliseconds(1);
    for (const stack::ConnectionId id : std::exchange(starved_, {})) {
      stack::Socket(&engine, id).Resume();
    }
  }
  uint64_t bytes() const { return bytes_; }

 private:
  uint64_t bytes_ = 0;
  std::vector<stack::ConnectionId> starved_;
  Instant next_retry_;
};

class DiscardService {
 public:
  size_t OnReceive(stack::Socket, std::span<const std::byte> data) {
    bytes_ += data.size();
    return data.size();
  }
  void OnPeerClosed(stack::Socket socket) { socket.Close(); }
  uint64_t bytes() const { return bytes_; }

 private:
  uint64_t bytes_ = 0;
};

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_SERVE_STREAM_SERVICES_H_

// ranks/line_network.h - lines of text over the kernel's TCP, for few connections that matter
// little: the control of a load, never the load.
//
// Everything happens inside Poll, in the calling thread. Bounds: a line has at most LineMax octets,
// and a peer that does not read has 64 lines waiting at most; what goes beyond is OnGone.
#ifndef MILLRACE_APPS_RANKS_LINE_NETWORK_H_
#define MILLRACE_APPS_RANKS_LINE_NETWORK_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "millrace/base/time.h"

namespace millrace::apps {

// "bench-1:7070", "[2001:db8::1]:7070".
struct HostPort {
  std::string host, port;
};
absl::StatusOr<HostPort> ParseHostPort(const std::string& text);

// What is told of connections. A peer is a number that is not used again.
class LineHandler {
 public:
  virtual ~LineHandler() = default;
  virtual void OnConnected(uint64_t peer) = 0;
  virtual void OnLine(uint64_t peer, std::string_view line) = 0;
  // Not after a Close.
  virtual void OnGone(uint64_t peer, const std::string& why) = 0;
  virtual size_t LineMax(uint64_t peer) const = 0;
};

class LineNetwork {
 public:
  // `handler` outlives this.
  explicit LineNetwork(LineHandler& handler);
  ~LineNetwork();
  LineNetwork(const LineNetwork&) = delete;
  LineNetwork& operator=(const LineNetwork&) = delete;

  // Accepts at the address, or, if the host is a name, at all of this machine: `most` connections
  // at a time, others are closed at once.
  absl::Status Listen(const HostPort& at, size_t most);
  // Tries until OnConnected, five times a second.
  void Connect(const HostPort& to);
  // Why the last try failed; "" before.
  const std::string& connect_error() const;

  void Send(uint64_t peer, std::string lines);
  // Closes when everything is sent; at once when there is nothing to send.
  void Close(uint64_t peer);
  // Does what there is to do, and waits at most `wait` when there is nothing.
  void Poll(Duration wait);
  // Takes no more connections, sends what there is to send, and waits until the peers have closed,
  // at most `wait`.
  void Finish(Duration wait);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_RANKS_LINE_NETWORK_H_

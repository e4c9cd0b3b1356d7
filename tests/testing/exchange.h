// testing/exchange.h - the plain exchange as two applications: open, one octet there, one octet
// back with the FIN, close. Six packets: SYN, SYN-ACK, ACK with request, response with FIN, FIN
// with ACK, ACK.
#ifndef MILLRACE_TESTING_EXCHANGE_H_
#define MILLRACE_TESTING_EXCHANGE_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "millrace/stack/engine.h"
#include "millrace/stack/socket.h"

namespace millrace::testing {

inline constexpr std::byte kOneOctet[1] = {};

// Answers the first octet and closes.
class ExchangeServer {
 public:
  void OnOpen(stack::Socket) { ++opened; }
  size_t OnReceive(stack::Socket socket, std::span<const std::byte> data) {
    if (!socket.SendStatic(kOneOctet)) ++failed;
    socket.Close();
    return data.size();
  }
  void OnPeerClosed(stack::Socket socket) { socket.Close(); }
  void OnWritable(stack::Socket) {}
  void OnClose(stack::Socket, tcp::CloseReason reason) {
    ++closed;
    if (reason != tcp::CloseReason::kNormal) ++failed;
  }
  void OnPoll(stack::Engine&, Instant) {}

  uint64_t opened = 0, closed = 0, failed = 0;
};

// Opens `total` connections, at most `concurrency` at a time.
class ExchangeClient {
 public:
  ExchangeClient(const Endpoint& server, uint64_t total, uint64_t concurrency)
      : server_(server), total_(total), concurrency_(concurrency) {}

  void OnOpen(stack::Socket socket) {
    if (!socket.SendStatic(kOneOctet)) ++failed;
  }
  size_t OnReceive(stack::Socket, std::span<const std::byte> data) {
    received += data.size();
    return data.size();
  }
  void OnPeerClosed(stack::Socket socket) { socket.Close(); }
  void OnWritable(stack::Socket) {}
  void OnClose(stack::Socket, tcp::CloseReason reason) {
    ++closed;
    if (reason != tcp::CloseReason::kNormal) ++failed;
  }
  void OnPoll(stack::Engine& engine, Instant) {
    while (opened < total_ && opened - closed < concurrency_) {
      if (engine.Connect(server_, 0, nullptr) != stack::ConnectResult::kOk) {
        ++refused;  // tried again in the next poll
        return;
      }
      ++opened;
    }
  }
  bool done() const { return closed == total_; }

  uint64_t opened = 0, closed = 0, failed = 0, refused = 0, received = 0;

 private:
  Endpoint server_;
  uint64_t total_, concurrency_;
};

}  // namespace millrace::testing

#endif  // MILLRACE_TESTING_EXCHANGE_H_

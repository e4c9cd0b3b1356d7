// stack/socket.h - a connection as the application sees it, and what an application is.
//
// An application is a class with the calls of the App concept, one instance per worker. They
// are called inside Stack::Poll, run to completion, and may use any socket and the engine freely.
// A Socket is a value: it names a connection by index and generation, so one kept too long is
// recognised and does nothing (IsOpen() is false).
#ifndef MILLRACE_STACK_SOCKET_H_
#define MILLRACE_STACK_SOCKET_H_

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>

#include "millrace/base/ip_address.h"
#include "millrace/base/time.h"
#include "millrace/tcp/config.h"
#include "millrace/tcp/soft_error.h"
#include "millrace/tcp/state.h"
#include "millrace/tcp/tcb.h"

namespace millrace::stack {

class Engine;

struct ConnectionId {
  uint32_t index = 0;
  uint32_t generation = 0;  // 0 is never in use

  // Made of one word, so that it is also stored as one: compared at once behind two narrow stores
  // it waits for them (5 % of the time of the whole exchange).
  static constexpr ConnectionId Of(uint32_t index, uint32_t generation) {
    return std::bit_cast<ConnectionId>(uint64_t{generation} << 32 | index);
  }
  constexpr bool operator==(const ConnectionId& other) const {
    return std::bit_cast<uint64_t>(*this) == std::bit_cast<uint64_t>(other);  // at once
  }
};

class Socket {
 public:
  Socket() = default;
  Socket(Engine* engine, ConnectionId id) : engine_(engine), id_(id) {}

  ConnectionId id() const { return id_; }
  Engine& engine() const { return *engine_; }
  bool IsOpen() const;  // false once OnClose was called, and for a default-made one

  // Copies what fits into the send buffer and returns how many octets did. When that is less than
  // all, OnWritable follows. 0 after Shutdown or Close.
  size_t Send(std::span<const std::byte> data) const { return Send(engine_, id_, data); }
  // Takes `data` without a copy: it must stay as it is until OnClose. All or nothing.
  [[nodiscard]] bool SendStatic(std::span<const std::byte> data) const {
    return SendStatic(engine_, id_, data);
  }
  // Half-close: FIN after what was sent; OnReceive goes on for as long as the peer sends.
  void Shutdown() const { Shutdown(engine_, id_); }
  // Full close: FIN after what was sent; nothing more is received. With received data that was not
  // consumed it is a reset (RFC 9293 3.6.1). OnClose follows.
  void Close() const { Close(engine_, id_); }
  // RST now; OnClose follows with kAborted.
  void Abort() const { Abort(engine_, id_); }
  // OnReceive again, for data that an earlier call did not consume.
  void Resume() const;
  // The other way to receive, for applications that ask (POSIX sockets) instead of being told:
  // OnReceive returns 0 and the octets stay with the engine, within the receive window. Receive
  // copies what is ready, at most all of `out`, and is done with it; Peek leaves it there. Both
  // return how many octets; after OnClose 0. Cost: a copy.
  size_t Receive(std::span<std::byte> out) const;
  size_t Peek(std::span<std::byte> out) const;
  uint32_t ready_bytes() const;  // received in order, not consumed
  // Nagle off or on (MUST-17). On is the default.
  void SetNoDelay(bool no_delay) const;
  // RFC 9293 3.9.1.2 (MAY-15): whether PSH follows the last octet of what Send takes. On is the
  // default; off for what will go on soon, as with MSG_MORE.
  void SetPush(bool push) const;
  // While corked only full segments go out, but for the override time-out (RFC 9293 3.8.6.2.1) and
  // the end of the stream. Off is the default; taking it off sends what waits.
  void SetCork(bool cork) const;
  // Keepalive, user timeout, CLOSE-WAIT. False for a stale socket or without memory.
  [[nodiscard]] bool SetLiveness(const tcp::Liveness& wanted) const;

  // The Diffserv field of what is sent from now on, 0 to 63 (MUST-48); before the first poll behind
  // Connect also of the SYN. False for a stale socket or without memory.
  [[nodiscard]] bool SetDiffserv(uint8_t dscp) const;
  // What ICMP last said of a segment in flight (SHLD-25), or that R1 was reached (SHLD-9), and
  // forgets it. Such an error ends nothing: the connection goes on until it is answered or times
  // out.
  tcp::SoftError TakeSoftError() const;

  // Urgent data (MUST-33): how many octets the application has still to read up to the peer's
  // urgent pointer, also those that have not arrived; 0: none. They come in line, by OnReceive.
  uint32_t urgent_bytes() const;

  uint64_t user_data() const;
  void set_user_data(uint64_t value) const;
  bool passive() const;  // accepted by a listener (MUST-11)
  Endpoint local() const;
  Endpoint remote() const;
  tcp::State state() const;       // CLOSED for a stale socket
  uint32_t unsent_bytes() const;  // in the send buffer, acknowledged octets not counted

 private:
  // The frequent calls, with the socket in registers: in memory it was stored as two words, and its
  // next copy, as one, waited for them (6 % of the time of an exchange on an open connection).
  static size_t Send(Engine* engine, ConnectionId id, std::span<const std::byte> data);
  static bool SendStatic(Engine* engine, ConnectionId id, std::span<const std::byte> data);
  static void Shutdown(Engine* engine, ConnectionId id);
  static void Close(Engine* engine, ConnectionId id);
  static void Abort(Engine* engine, ConnectionId id);

  Engine* engine_ = nullptr;
  ConnectionId id_;
};

// One more call is made if the class has it: OnUrgent(socket), when the peer's urgent pointer has
// moved (RFC 9293 3.8.5, MUST-32); Socket::urgent_bytes says how far.
template <class A>
concept App = requires(A app, Socket socket, std::span<const std::byte> data,
                       tcp::CloseReason reason, Engine& engine, Instant now) {
  // ESTABLISHED.
  { app.OnOpen(socket) } -> std::same_as<void>;
  // Data in order. Returns how many octets are done with; the rest is kept and offered again after
  // Socket::Resume. The span is valid during the call only.
  { app.OnReceive(socket, data) } -> std::same_as<size_t>;
  // The peer's FIN, after all of its data was consumed.
  { app.OnPeerClosed(socket) } -> std::same_as<void>;
  // Room in the send buffer, after a Send that was cut short.
  { app.OnWritable(socket) } -> std::same_as<void>;
  // The connection is over; the last call for it. Also for an active open that failed.
  { app.OnClose(socket, reason) } -> std::same_as<void>;
  // Once per poll, before anything is sent: the place to open connections from.
  { app.OnPoll(engine, now) } -> std::same_as<void>;
};

}  // namespace millrace::stack

#endif  // MILLRACE_STACK_SOCKET_H_

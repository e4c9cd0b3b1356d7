// packetdrill/machine.h - the engine under test in virtual time: stack, port, application, clock.
//
// Time stands still unless it is moved: by AdvanceTo, which fires the timers on the way in order,
// by AdvanceToPacket, which jumps from timer to timer, and by a microsecond at each reading, so
// that a caller that spins on the clock gets on.
// Threading: under the lock of Blocking.
#ifndef MILLRACE_PACKETDRILL_MACHINE_H_
#define MILLRACE_PACKETDRILL_MACHINE_H_

#include <cstddef>
#include <functional>
#include <optional>
#include <span>

#include "millrace/stack/stack.h"
#include "packetdrill/packet_port.h"
#include "packetdrill/settings.h"

namespace millrace::packetdrill {

// The engine's application: it passes events on and takes nothing; octets wait in the engine.
struct EventSink {
  std::function<void(stack::Socket)> on_open, on_readable, on_peer_closed, on_writable;
  std::function<void(stack::Socket, tcp::CloseReason)> on_close;

  void OnOpen(stack::Socket socket) { on_open(socket); }
  size_t OnReceive(stack::Socket socket, std::span<const std::byte>) {
    on_readable(socket);
    return 0;
  }
  void OnPeerClosed(stack::Socket socket) { on_peer_closed(socket); }
  void OnWritable(stack::Socket socket) { on_writable(socket); }
  void OnClose(stack::Socket socket, tcp::CloseReason reason) { on_close(socket, reason); }
  void OnPoll(stack::Engine&, Instant) {}
};

class Machine {
 public:
  // The engine is made at the first use of it: scripts set sysctls before their first socket.
  // `after_poll` is called after every poll, `deadline` says when else it wants to be called.
  Machine(const Settings& settings, EventSink sink);
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;

  void SetAfterPoll(std::function<void()> after_poll) { after_poll_ = std::move(after_poll); }
  void SetExtraDeadline(std::function<Instant()> deadline) { deadline_ = std::move(deadline); }

  Instant now() const { return now_; }
  stack::Engine& engine();
  tcp::Tcb* Find(const stack::Socket& socket);  // null when the connection is gone

  // Runs the engine until it has nothing to do at this instant.
  void Poll();
  void AdvanceTo(Instant target);
  void Inject(std::span<const std::byte> packet);
  // The oldest packet that was sent; waits for one for at most `patience`.
  std::optional<SentPacket> NextPacket(Duration patience);
  bool HasSentPacket() const { return port_.has_value() && port_->HasSent(); }

 private:
  void Make();
  Instant NextDeadline() const;

  const Settings settings_;
  EventSink sink_;
  // Not 0: an engine may take 0 for "never".
  Instant now_ = Instant::FromNanoseconds(int64_t{1000} * 1'000'000'000);
  std::optional<PacketPort> port_;
  std::optional<stack::Stack<sim::SimPort, EventSink>> stack_;
  std::function<void()> after_poll_;
  std::function<Instant()> deadline_;
};

}  // namespace millrace::packetdrill

#endif  // MILLRACE_PACKETDRILL_MACHINE_H_

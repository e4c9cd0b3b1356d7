// events.cc - what the engine tells, and what moves it: packets and time.

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "millrace/tcp/tcb.h"
#include "packetdrill/posix.h"

namespace millrace::packetdrill {
namespace {

int ErrorOf(tcp::CloseReason reason, tcp::State state) {
  switch (reason) {
    case tcp::CloseReason::kNormal:
      return 0;
    case tcp::CloseReason::kRefused:
      return ECONNREFUSED;
    case tcp::CloseReason::kReset:
      return state == tcp::State::kCloseWait ? EPIPE : ECONNRESET;
    case tcp::CloseReason::kTimedOut:
      return ETIMEDOUT;
    case tcp::CloseReason::kAborted:
      return ECONNABORTED;
    case tcp::CloseReason::kUnreachable:
      return EHOSTUNREACH;
  }
  return EIO;
}

}  // namespace

Posix::Call::Call(Posix& posix) : lock_(posix.blocking_.Enter()) {
  (posix.blocking_.IsMainThread() ? posix.main_lock_ : posix.second_lock_) = &lock_;
}

Posix::Posix(const Settings& settings) : settings_(settings), machine_(settings, MakeSink()) {
  machine_.SetAfterPoll([this] { AfterPoll(); });
  machine_.SetExtraDeadline([this] { return blocking_.deadline(); });
}

EventSink Posix::MakeSink() {
  EventSink sink;
  sink.on_open = [this](stack::Socket s) { OnOpen(s); };
  sink.on_readable = [this](stack::Socket s) {
    if (TcpSocket* socket = SocketOf(s)) {
      ++socket->in_edges;
      socket->last_data = machine_.now();
      CopyUnread(*socket);
    }
  };
  sink.on_peer_closed = [](stack::Socket) {};  // the block itself is asked: PeerClosed
  sink.on_writable = [](stack::Socket) {};     // Send is never asked for more than has room
  sink.on_close = [this](stack::Socket s, tcp::CloseReason reason) { OnClose(s, reason); };
  return sink;
}

TcpSocket* Posix::SocketOf(stack::Socket socket) const {
  return reinterpret_cast<TcpSocket*>(socket.user_data());
}

void Posix::OnOpen(stack::Socket s) {
  TcpSocket* socket = SocketOf(s);
  if (socket == nullptr) return;
  if (s.passive()) {
    TcpSocket& listener = *socket;
    if (listener.fd < 0) return s.Abort();  // closed while the handshake went on
    socket = &Make(listener.domain);
    socket->kind = TcpSocket::Kind::kConnection;
    socket->options = listener.options;
    socket->socket = s;
    s.set_user_data(reinterpret_cast<uintptr_t>(socket));
    listener.pending.push_back(socket);
    ++listener.in_edges;
  }
  if (const tcp::Tcb* tcb = machine_.Find(s)) {
    // A passive one is told of before it is ESTABLISHED when its SYN had a good cookie.
    const bool taken = s.passive() ? tcb->Has(tcp::kFastOpen) && tcb->rcv_nxt > tcb->irs + 1
                                   : tcb->snd_una > tcb->iss + 1 && tcb->snd_una == tcb->snd_nxt;
    socket->syn_data = taken;
    if (taken && !s.passive()) socket->syn_octets = tcb->snd_una.Since(tcb->iss + 1);
  }
  socket->local = s.local();
  socket->remote = s.remote();
  socket->opened = true;
  socket->last_data = machine_.now();
  socket->times.since = machine_.now();
  ++socket->out_edges;
  s.SetNoDelay(socket->options.no_delay);
  s.SetCork(socket->options.cork);
  ApplyLiveness(*socket);
}

void Posix::OnClose(stack::Socket s, tcp::CloseReason reason) {
  TcpSocket* socket = SocketOf(s);
  if (socket == nullptr || socket->kind == TcpSocket::Kind::kListener) return;
  const bool peer_closed = PeerClosed(*socket);
  socket->times.Enter(SendTimes::Limit::kIdle, machine_.now());
  socket->over = true;
  if (reason != tcp::CloseReason::kReset) socket->unread.clear();
  if (reason == tcp::CloseReason::kReset && peer_closed) {
    socket->error = ErrorOf(reason, tcp::State::kCloseWait);
  } else {
    socket->error = ErrorOf(reason, tcp::State::kEstablished);
  }
  ++socket->in_edges;
  ++socket->out_edges;
}

void Posix::AfterPoll() {
  for (const auto& socket : sockets_) SampleTimes(*socket);
  if (blocking_.IsMainThread()) blocking_.HandOver(*main_lock_, machine_.now());
}

void Posix::SampleTimes(TcpSocket& socket) {
  using Limit = SendTimes::Limit;
  if (socket.kind != TcpSocket::Kind::kConnection || socket.over) return;
  const tcp::Tcb* tcb = machine_.Find(socket.socket);
  if (tcb == nullptr || !tcp::IsSynchronized(tcb->state)) return;
  const uint32_t queued = tcb->send.size_bytes();
  const uint32_t not_sent = NotSent(socket);
  Limit limit = Limit::kIdle;
  if (queued > 0) {
    limit = Limit::kBusy;
    const uint32_t usable = tcb->snd_wnd > tcb->flight() ? tcb->snd_wnd - tcb->flight() : 0;
    if (not_sent > 0 && usable < std::min<uint32_t>(not_sent, tcb->snd_mss)) {
      limit = Limit::kWindow;
    } else if (not_sent == 0 && socket.no_space && tcb->flight() < tcb->congestion.cwnd) {
      limit = Limit::kSendBuffer;
    }
  }
  socket.times.Enter(limit, machine_.now());
  // Linux tells of room when a third of the buffer is free again, and only who found none before.
  if (socket.no_space && IsWritable(socket)) {
    socket.no_space = false;
    ++socket.out_edges;
  }
}

bool Posix::WaitUntil(const std::function<bool()>& ready, Instant deadline) {
  if (ready()) return true;
  if (!blocking_.IsMainThread()) {
    blocking_.Sleep(*second_lock_, ready, deadline);
    return ready();
  }
  // Nobody else moves the time while the main thread waits.
  constexpr Duration kPatience = Duration::Seconds(300), kStep = Duration::Milliseconds(1);
  const Instant end = std::min(deadline, machine_.now() + kPatience);
  while (!ready() && machine_.now() < end) {
    machine_.AdvanceTo(std::min(end, machine_.now() + kStep));
  }
  return ready();
}

Instant Posix::DeadlineAfter(int timeout_ms) const {
  if (timeout_ms < 0) return Instant::Never();
  return machine_.now() + Duration::Milliseconds(timeout_ms);
}

int Posix::PacketIn(std::span<const std::byte> packet) {
  const Call call(*this);
  machine_.Inject(packet);
  // MSG_MORE holds until something arrives, unless Nagle's rule holds on.
  for (const auto& socket : sockets_) {
    if (socket->more && !socket->over) Flush(*socket);
  }
  machine_.Poll();
  return 0;
}

int Posix::PacketOut(std::span<std::byte> room, size_t* size, long long* time_us) {
  // Longer than any back-off: what has not come then will not come.
  constexpr Duration kPatience = Duration::Seconds(300);
  const Call call(*this);
  const std::optional<SentPacket> packet = machine_.NextPacket(kPatience);
  *size = 0;
  *time_us = machine_.now().ns() / 1'000;
  if (!packet.has_value()) return 0;
  *time_us = packet->time.ns() / 1'000;
  *size = std::min(room.size(), packet->octets.size());
  std::memcpy(room.data(), packet->octets.data(), *size);
  return 0;
}

int Posix::SleepUs(useconds_t duration_us) {
  blocking_.LetReturnedCallFinish();
  const Call call(*this);
  machine_.AdvanceTo(machine_.now() + Duration::Microseconds(duration_us));
  return 0;
}

int Posix::TimeOfDay(timeval* now) {
  const Call call(*this);
  const int64_t us = machine_.now().ns() / 1'000;
  now->tv_sec = us / 1'000'000;
  now->tv_usec = us % 1'000'000;
  // The second thread moves the time too, while it waits for its turn to make a call.
  if (!blocking_.CallReturned()) machine_.AdvanceTo(machine_.now() + Duration::Microseconds(1));
  return 0;
}

}  // namespace millrace::packetdrill

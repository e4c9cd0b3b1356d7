// transfer.cc - reading and writing.

#include <netinet/in.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "packetdrill/posix.h"

namespace millrace::packetdrill {
namespace {

size_t TotalOf(std::span<const iovec> pieces) {
  size_t total = 0;
  for (const iovec& piece : pieces) total += piece.iov_len;
  return total;
}

void Scatter(std::span<const std::byte> data, std::span<const iovec> pieces) {
  for (const iovec& piece : pieces) {
    const size_t part = std::min(piece.iov_len, data.size());
    if (part > 0) std::memcpy(piece.iov_base, data.data(), part);
    data = data.subspan(part);
  }
}

constexpr int kTcpCmInq = 36;  // TCP_CM_INQ of linux/tcp.h

}  // namespace

bool HasNull(std::span<const iovec> pieces) {
  return std::any_of(pieces.begin(), pieces.end(), [](const iovec& piece) {
    return piece.iov_base == nullptr && piece.iov_len > 0;
  });
}

std::vector<std::byte> Gather(std::span<const iovec> pieces) {
  std::vector<std::byte> all;
  all.reserve(TotalOf(pieces));
  for (const iovec& piece : pieces) {
    const auto* data = static_cast<const std::byte*>(piece.iov_base);
    all.insert(all.end(), data, data + piece.iov_len);
  }
  return all;
}

// The peer's FIN is here, maybe behind data that was not read.
bool Posix::PeerClosed(const TcpSocket& socket) {
  const tcp::Tcb* tcb = machine_.Find(socket.socket);
  return tcb != nullptr && tcb->Has(tcp::kFinReceived);
}

bool Posix::AtEnd(const TcpSocket& socket) {
  return socket.over || socket.shut_read || PeerClosed(socket);
}

size_t Posix::Unread(const TcpSocket& socket) {
  return socket.over ? socket.unread.size() : socket.socket.ready_bytes();
}

void Posix::CopyUnread(TcpSocket& socket) {
  socket.unread.resize(socket.socket.ready_bytes());
  socket.unread.resize(socket.socket.Peek(socket.unread));
}

size_t Posix::TakeUnread(TcpSocket& socket, std::span<std::byte> out, bool peek) {
  if (!socket.over) {
    if (peek) return socket.socket.Peek(out);
    const size_t taken = socket.socket.Receive(out);
    CopyUnread(socket);
    machine_.Poll();
    return taken;
  }
  const auto begin = socket.unread.begin();
  const auto end = begin + static_cast<ptrdiff_t>(std::min(out.size(), socket.unread.size()));
  std::copy(begin, end, out.begin());
  const auto taken = static_cast<size_t>(end - begin);
  if (!peek) socket.unread.erase(begin, end);
  return taken;
}

ssize_t Posix::ReceiveInto(TcpSocket& socket, std::span<std::byte> out, int flags) {
  if (socket.kind != TcpSocket::Kind::kConnection && !socket.deferred) return Fail(ENOTCONN);
  if (!socket.opened && !socket.over && socket.nonblocking) return Fail(EAGAIN);
  const size_t wanted = (flags & MSG_WAITALL) != 0 ? out.size() : 1;
  const bool may_wait = !socket.nonblocking && (flags & MSG_DONTWAIT) == 0;
  const auto ready = [&] { return Unread(socket) >= wanted || socket.error != 0 || AtEnd(socket); };
  if (!ready() && may_wait) WaitUntil(ready, Instant::Never());
  if (Unread(socket) > 0) {
    if (out.data() == nullptr) return Fail(EFAULT);
    return static_cast<ssize_t>(TakeUnread(socket, out, (flags & MSG_PEEK) != 0));
  }
  if (socket.error != 0) return Fail(TakeError(socket));
  return AtEnd(socket) ? 0 : Fail(EAGAIN);
}

ssize_t Posix::Receive(int fd, std::span<const iovec> pieces, int flags) {
  const Call call(*this);
  TcpSocket* socket = Find(fd);
  if (socket == nullptr) return Fail(EBADF);
  if ((flags & MSG_ERRQUEUE) != 0) return Fail(EAGAIN);
  if (HasNull(pieces)) return ReceiveInto(*socket, {}, flags);
  std::vector<std::byte> data(TotalOf(pieces));
  const ssize_t length = ReceiveInto(*socket, data, flags);
  if (length > 0) Scatter(std::span(data).first(static_cast<size_t>(length)), pieces);
  return length;
}

ssize_t Posix::ReceiveMessage(int fd, msghdr* message, int flags) {
  const ssize_t length = Receive(fd, {message->msg_iov, message->msg_iovlen}, flags);
  if (length < 0) return length;
  const Call call(*this);
  const TcpSocket* socket = Find(fd);
  message->msg_flags = 0;
  if (socket == nullptr || !socket->options.queue_length ||
      message->msg_controllen < CMSG_SPACE(sizeof(int))) {
    message->msg_controllen = 0;
    return length;
  }
  // One more when the FIN waits behind the data, so that the caller knows to read again.
  const int left = static_cast<int>(socket->socket.ready_bytes()) +
                   (socket->socket.ready_bytes() == 0 && PeerClosed(*socket) ? 1 : 0);
  cmsghdr* const header = CMSG_FIRSTHDR(message);
  header->cmsg_level = IPPROTO_TCP;
  header->cmsg_type = kTcpCmInq;
  header->cmsg_len = CMSG_LEN(sizeof left);
  std::memcpy(CMSG_DATA(header), &left, sizeof left);
  message->msg_controllen = CMSG_SPACE(sizeof left);
  return length;
}

uint32_t Posix::NotSent(const TcpSocket& socket) {
  const tcp::Tcb* tcb = machine_.Find(socket.socket);
  if (tcb == nullptr || tcb->data_end() <= tcb->snd_nxt) return 0;
  return tcb->data_end().Since(tcb->snd_nxt);
}

// Linux queues packets of up to half the peer's largest window. It begins one while less than the
// limit is queued, and the last one is filled up in any case.
uint32_t Posix::SendRoom(const TcpSocket& socket) {
  const tcp::Tcb* tcb = machine_.Find(socket.socket);
  if (tcb == nullptr) return 0;
  const uint32_t mss = tcb->snd_mss;
  const uint32_t packet = std::max(std::min(tcb->snd_wnd_max / 2, 65'000u) / mss, 1u) * mss;
  const uint32_t begun = NotSent(socket) % packet;
  if (begun != 0) return packet - begun;
  if (socket.socket.unsent_bytes() >= socket.options.send_buffer) return 0;
  return NotSent(socket) >= NotSentLow(socket) ? 0 : packet;
}

uint32_t Posix::NotSentLow(const TcpSocket& socket) const {
  return socket.options.notsent_low.value_or(settings_.ToSocketDefaults().notsent_low);
}

// As sk_stream_is_writeable of Linux: a third of the buffer is free, and the part that was not
// sent is below half of TCP_NOTSENT_LOWAT.
bool Posix::IsWritable(const TcpSocket& socket) {
  const uint64_t queued = socket.socket.unsent_bytes();
  const bool has_room = queued + queued / 2 <= socket.options.send_buffer;
  return has_room && uint64_t{NotSent(socket)} * 2 < NotSentLow(socket);
}

int Posix::WriteError(TcpSocket& socket) {
  if (socket.error != 0) return TakeError(socket);
  const bool usable = socket.kind == TcpSocket::Kind::kConnection && !socket.over;
  return !usable || socket.shut_write ? EPIPE : 0;
}

// Sends what a cork or MSG_MORE has held back; the cork stays for what comes later.
void Posix::Flush(TcpSocket& socket) {
  socket.more = false;
  socket.socket.SetCork(false);
  machine_.Poll();
  socket.socket.SetCork(socket.options.cork);
}

ssize_t Posix::Send(int fd, std::span<const iovec> pieces, int flags,
                    const std::optional<Endpoint>& to) {
  const Call call(*this);
  TcpSocket* const socket = Find(fd);
  if (socket == nullptr) return Fail(EBADF);
  if (socket->deferred) return SendOnSyn(*socket, socket->remote, pieces, flags);
  if ((flags & MSG_FASTOPEN) != 0 && socket->kind == TcpSocket::Kind::kFresh) {
    return to.has_value() ? SendOnSyn(*socket, *to, pieces, flags) : Fail(EOPNOTSUPP);
  }
  const bool may_wait = !socket->nonblocking && (flags & MSG_DONTWAIT) == 0;
  const auto settled = [&] { return socket->opened || socket->over || socket->error != 0; };
  // It stands for a connect() too, and is told what that would be told.
  if ((flags & MSG_FASTOPEN) != 0 && socket->kind == TcpSocket::Kind::kConnection) {
    if (!settled()) return Fail(EALREADY);
    if (socket->open_told) return Fail(EISCONN);
    socket->open_told = socket->opened;
  }
  if (socket->kind == TcpSocket::Kind::kConnection && !settled()) {
    if (!may_wait) return Fail(EAGAIN);
    WaitUntil(settled, Instant::Never());
  }
  if (const int error = WriteError(*socket); error != 0) return Fail(error);
  if (HasNull(pieces)) return Fail(EFAULT);
  return SendData(*socket, Gather(pieces), flags);
}

ssize_t Posix::SendData(TcpSocket& socket, std::span<const std::byte> data, int flags) {
  const bool may_wait = !socket.nonblocking && (flags & MSG_DONTWAIT) == 0;
  socket.more = (flags & MSG_MORE) != 0;
  socket.socket.SetCork(socket.options.cork || socket.more);
  socket.socket.SetPush(!socket.more);
  size_t sent = 0;
  int error = 0;
  while (sent < data.size()) {
    error = WriteError(socket);
    if (error != 0) break;
    const size_t part = std::min<size_t>(data.size() - sent, SendRoom(socket));
    if (part > 0) {
      const size_t taken = socket.socket.Send(data.subspan(sent, part));
      sent += taken;
      machine_.Poll();
      if (taken == 0) break;
      continue;
    }
    socket.no_space = true;
    if (!may_wait) break;
    const auto can_go_on = [&] { return IsWritable(socket) || socket.over; };
    if (!WaitUntil(can_go_on, Instant::Never())) break;
  }
  if (sent > 0 || data.empty()) return static_cast<ssize_t>(sent);
  return Fail(error != 0 ? error : EAGAIN);
}

}  // namespace millrace::packetdrill

// readiness.cc - poll and epoll.

#include <sys/eventfd.h>

#include <algorithm>
#include <cerrno>

#include "packetdrill/posix.h"

namespace millrace::packetdrill {

static_assert(EPOLLIN == POLLIN && EPOLLOUT == POLLOUT && EPOLLHUP == POLLHUP);

// As tcp_poll of Linux.
uint32_t Posix::ReadyEvents(TcpSocket& socket) {
  constexpr uint32_t kIn = EPOLLIN | EPOLLRDNORM, kOut = EPOLLOUT | EPOLLWRNORM;
  if (socket.kind == TcpSocket::Kind::kListener) return socket.pending.empty() ? 0 : kIn;
  if (socket.deferred) return kOut;  // the first write is to bring the SYN about
  if (socket.kind == TcpSocket::Kind::kFresh) return EPOLLOUT | EPOLLHUP;
  const bool no_more_in = socket.over || socket.shut_read || PeerClosed(socket);
  const bool no_more_out = socket.over || socket.shut_write;
  uint32_t events = 0;
  if (no_more_in && no_more_out) events |= EPOLLHUP;
  if (no_more_in) events |= kIn | EPOLLRDHUP;
  if (socket.error != 0) events |= EPOLLERR;
  if (!socket.opened && !socket.over) return events;
  if (Unread(socket) > 0) events |= kIn;
  if (no_more_out || IsWritable(socket)) {
    events |= kOut;
  } else {
    socket.no_space = true;
  }
  return events;
}

int Posix::Poll(std::span<pollfd> entries, int timeout_ms) {
  const Call call(*this);
  const auto collect = [&] {
    int count = 0;
    for (pollfd& entry : entries) {
      entry.revents = 0;
      if (entry.fd < 0) continue;
      TcpSocket* socket = Find(entry.fd);
      const auto always = static_cast<short>(POLLERR | POLLHUP);
      entry.revents = socket == nullptr
                          ? static_cast<short>(POLLNVAL)
                          : static_cast<short>(ReadyEvents(*socket) &
                                               static_cast<uint32_t>(entry.events | always));
      if (entry.revents != 0) ++count;
    }
    return count;
  };
  if (timeout_ms != 0) WaitUntil([&] { return collect() > 0; }, DeadlineAfter(timeout_ms));
  return collect();
}

int Posix::EpollCreate() {
  const Call call(*this);
  const int fd = eventfd(0, 0);
  if (fd >= 0) epolls_[fd] = Epoll();
  return fd;
}

int Posix::EpollControl(int epoll_fd, int operation, int fd, const epoll_event* event) {
  const Call call(*this);
  const auto epoll = epolls_.find(epoll_fd);
  TcpSocket* socket = Find(fd);
  if (epoll == epolls_.end() || socket == nullptr) return Fail(EBADF);
  auto& entries = epoll->second.entries;
  const bool known = entries.count(fd) > 0;
  if (operation == EPOLL_CTL_DEL) {
    if (!known) return Fail(ENOENT);
    entries.erase(fd);
    return 0;
  }
  if (event == nullptr) return Fail(EFAULT);
  if (operation == EPOLL_CTL_ADD && known) return Fail(EEXIST);
  if (operation == EPOLL_CTL_MOD && !known) return Fail(ENOENT);
  if (operation != EPOLL_CTL_ADD && operation != EPOLL_CTL_MOD) return Fail(EINVAL);
  entries[fd] = EpollEntry{.wanted = *event,
                           .socket = socket,
                           .in_seen = socket->in_edges,
                           .out_seen = socket->out_edges};
  return 0;
}

int Posix::CollectEvents(Epoll& epoll, std::span<epoll_event> events) {
  int count = 0;
  for (auto& [fd, entry] : epoll.entries) {
    if (static_cast<size_t>(count) == events.size()) break;
    const uint32_t wanted = entry.wanted.events;
    TcpSocket& socket = *entry.socket;
    const bool edge =
        entry.fresh || entry.in_seen != socket.in_edges || entry.out_seen != socket.out_edges;
    if (wanted == 0 || ((wanted & EPOLLET) != 0 && !edge)) continue;
    const uint32_t ready = ReadyEvents(socket) & (wanted | EPOLLERR | EPOLLHUP);
    if (ready == 0) continue;
    entry.fresh = false;
    entry.in_seen = socket.in_edges;
    entry.out_seen = socket.out_edges;
    events[static_cast<size_t>(count)].events = ready;
    events[static_cast<size_t>(count)].data = entry.wanted.data;
    ++count;
    if ((wanted & EPOLLONESHOT) != 0) entry.wanted.events = 0;
  }
  return count;
}

int Posix::EpollWait(int epoll_fd, std::span<epoll_event> events, int timeout_ms) {
  const Call call(*this);
  const auto epoll = epolls_.find(epoll_fd);
  if (epoll == epolls_.end()) return Fail(EBADF);
  if (events.empty()) return Fail(EINVAL);
  int count = CollectEvents(epoll->second, events);
  if (count == 0 && timeout_ms != 0) {
    WaitUntil([&] { return (count = CollectEvents(epoll->second, events)) > 0; },
              DeadlineAfter(timeout_ms));
  }
  return count;
}

}  // namespace millrace::packetdrill

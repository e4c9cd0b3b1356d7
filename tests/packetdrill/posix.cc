// posix.cc - opening and closing.

#include "packetdrill/posix.h"

#include <arpa/inet.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace millrace::packetdrill {

int Fail(int error) {
  errno = error;
  return -1;
}

std::optional<Endpoint> FromSockaddr(const sockaddr* address, socklen_t length) {
  if (address == nullptr || length < sizeof(sa_family_t)) return std::nullopt;
  if (address->sa_family == AF_INET && length >= sizeof(sockaddr_in)) {
    sockaddr_in in{};
    std::memcpy(&in, address, sizeof in);
    return Endpoint{IpAddress::V4(ntohl(in.sin_addr.s_addr)), ntohs(in.sin_port)};
  }
  if (address->sa_family == AF_INET6 && length >= sizeof(sockaddr_in6)) {
    sockaddr_in6 in{};
    std::memcpy(&in, address, sizeof in);
    uint64_t halves[2];
    std::memcpy(halves, &in.sin6_addr, sizeof halves);
    return Endpoint{IpAddress::V6(be64toh(halves[0]), be64toh(halves[1])), ntohs(in.sin6_port)};
  }
  return std::nullopt;
}

void ToSockaddr(const Endpoint& endpoint, int domain, sockaddr* address, socklen_t* length) {
  if (address == nullptr || length == nullptr) return;
  sockaddr_storage storage{};
  socklen_t size = 0;
  if (domain == AF_INET) {
    sockaddr_in in{};
    in.sin_family = AF_INET;
    in.sin_port = htons(endpoint.port);
    in.sin_addr.s_addr = htonl(endpoint.address.v4());
    std::memcpy(&storage, &in, size = sizeof in);
  } else {
    sockaddr_in6 in{};
    in.sin6_family = AF_INET6;
    in.sin6_port = htons(endpoint.port);
    const uint64_t halves[2] = {htobe64(endpoint.address.high()), htobe64(endpoint.address.low())};
    std::memcpy(&in.sin6_addr, halves, sizeof halves);
    std::memcpy(&storage, &in, size = sizeof in);
  }
  std::memcpy(address, &storage, std::min(*length, size));
  *length = size;
}

TcpSocket* Posix::Find(int fd) {
  const auto found = by_fd_.find(fd);
  return found == by_fd_.end() ? nullptr : found->second;
}

TcpSocket& Posix::Make(int domain) {
  sockets_.push_back(std::make_unique<TcpSocket>());
  TcpSocket& socket = *sockets_.back();
  socket.domain = domain;
  const SocketDefaults defaults = settings_.ToSocketDefaults();
  socket.options.send_buffer = defaults.send_buffer;
  socket.options.receive_buffer = defaults.receive_buffer;
  return socket;
}

int Posix::GiveDescriptor(TcpSocket& socket) {
  const int fd = eventfd(0, 0);
  if (fd < 0) return -1;
  socket.fd = fd;
  by_fd_[fd] = &socket;
  return fd;
}

int Posix::Socket(int domain, int type, int protocol) {
  const Call call(*this);
  if (domain != AF_INET && domain != AF_INET6) return Fail(EAFNOSUPPORT);
  if ((type & ~(SOCK_NONBLOCK | SOCK_CLOEXEC)) != SOCK_STREAM) return Fail(ESOCKTNOSUPPORT);
  if (protocol != 0 && protocol != IPPROTO_TCP) return Fail(EPROTONOSUPPORT);
  TcpSocket& socket = Make(domain);
  socket.nonblocking = (type & SOCK_NONBLOCK) != 0;
  return GiveDescriptor(socket);
}

int Posix::Bind(int fd, const sockaddr* address, socklen_t length) {
  const Call call(*this);
  TcpSocket* socket = Find(fd);
  if (socket == nullptr) return Fail(EBADF);
  const auto local = FromSockaddr(address, length);
  if (!local.has_value() || socket->bound) return Fail(EINVAL);
  for (const auto& [other_fd, other] : by_fd_) {
    const bool taken =
        other->bound && other->local == *local && other->kind != TcpSocket::Kind::kConnection;
    if (taken) return Fail(EADDRINUSE);
  }
  socket->bound = true;
  socket->local = *local;
  return 0;
}

// An unspecified IPv6 address stands for all addresses of the family that the object has.
Endpoint Posix::ListenEndpoint(const TcpSocket& socket) const {
  const bool any = socket.local.address == IpAddress() && settings_.local.IsV4();
  return {any ? IpAddress::V4(0) : socket.local.address, socket.local.port};
}

int Posix::Listen(int fd, int backlog) {
  const Call call(*this);
  TcpSocket* socket = Find(fd);
  if (socket == nullptr) return Fail(EBADF);
  if (socket->kind == TcpSocket::Kind::kConnection || !socket->bound) return Fail(EINVAL);
  socket->backlog = backlog;
  if (socket->kind == TcpSocket::Kind::kListener) return 0;
  Configure(*socket);
  switch (machine_.engine().Listen(ListenEndpoint(*socket),
                                   static_cast<uint32_t>(std::max(backlog, 1)),
                                   reinterpret_cast<uintptr_t>(socket))) {
    case stack::ListenResult::kOk:
      socket->kind = TcpSocket::Kind::kListener;
      return 0;
    case stack::ListenResult::kInUse:
      return Fail(EADDRINUSE);
    case stack::ListenResult::kNotOurs:
      return Fail(EADDRNOTAVAIL);
    case stack::ListenResult::kUnsupported:
      return Fail(EAFNOSUPPORT);
  }
  return Fail(EIO);
}

int Posix::Accept(int fd, sockaddr* address, socklen_t* length) {
  const Call call(*this);
  TcpSocket* listener = Find(fd);
  if (listener == nullptr) return Fail(EBADF);
  if (listener->kind != TcpSocket::Kind::kListener) return Fail(EINVAL);
  if (listener->pending.empty()) {
    if (listener->nonblocking) return Fail(EAGAIN);
    WaitUntil([listener] { return !listener->pending.empty(); }, Instant::Never());
    if (listener->pending.empty()) return Fail(EAGAIN);
  }
  TcpSocket& accepted = *listener->pending.front();
  listener->pending.pop_front();
  ToSockaddr(accepted.remote, accepted.domain, address, length);
  return GiveDescriptor(accepted);
}

void Posix::Configure(const TcpSocket& socket, bool fast_open) {
  tcp::Config config = settings_.ToTcpConfig();
  const uint16_t mss = socket.options.mss;
  // The engine counts the shorter IP header, and takes off the difference itself.
  const int longer_header = config.mss - settings_.Mss();
  if (mss != 0) config.mss = static_cast<uint16_t>(std::min(settings_.Mss(), mss) + longer_header);
  config.fast_open_client = fast_open;
  // The engine has one number for all that open: scripts open one at a time.
  const auto retries = socket.options.others.find({IPPROTO_TCP, TCP_SYNCNT});
  if (retries != socket.options.others.end()) {
    config.syn_retransmits_max = static_cast<uint8_t>(retries->second);
  }
  const Settings::FastOpen allowed = settings_.ToFastOpen();
  config.fast_open_client_cookieless = allowed.client_cookieless;
  config.fast_open_server_cookieless = allowed.server_cookieless;
  // The engine has them for all listeners: scripts have one.
  FastOpenKeys keys = allowed.keys;
  for (const auto& other : sockets_) {
    const bool listens = other->kind == TcpSocket::Kind::kListener && other->fd >= 0;
    if (!listens && other.get() != &socket) continue;
    config.fast_open_server |=
        allowed.server && (allowed.every_listener || other->options.fast_open_listen);
    if (!other->options.fast_open_keys.empty()) keys = other->options.fast_open_keys;
  }
  stack::Engine& engine = machine_.engine();
  engine.SetFastOpenKeys(keys);
  if (engine.SetTcpConfig(config)) return;
  // tcp_rmem was changed beside open connections: it counts when they are gone.
  const tcp::Config& now = engine.env().config;
  config.receive_buffer_bytes = now.receive_buffer_bytes;
  config.receive_buffer_max_bytes = now.receive_buffer_max_bytes;
  config.window_scaling = now.window_scaling;
  (void)engine.SetTcpConfig(config);
}

int Posix::StartConnect(TcpSocket& socket, const Endpoint& remote, bool fast_open) {
  Configure(socket, fast_open);
  const auto user_data = reinterpret_cast<uintptr_t>(&socket);
  stack::Engine& engine = machine_.engine();
  Endpoint local = socket.local;
  if (socket.bound && (local.address == IpAddress() || local.address == IpAddress::V4(0))) {
    local.address = settings_.local;
  }
  const stack::ConnectResult result =
      socket.bound && local.port != 0 ? engine.ConnectFrom(local, remote, user_data, &socket.socket)
                                      : engine.Connect(remote, user_data, &socket.socket);
  switch (result) {
    case stack::ConnectResult::kOk:
      break;
    case stack::ConnectResult::kNoPorts:
      return EADDRNOTAVAIL;
    case stack::ConnectResult::kNoMemory:
      return ENOBUFS;
    case stack::ConnectResult::kNoRoute:
      return ENETUNREACH;
    case stack::ConnectResult::kBadAddress:
      return EINVAL;
    case stack::ConnectResult::kUnsupported:
      return EAFNOSUPPORT;
  }
  socket.kind = TcpSocket::Kind::kConnection;
  socket.remote = remote;
  return 0;
}

int Posix::Connect(int fd, const sockaddr* address, socklen_t length) {
  const Call call(*this);
  TcpSocket* socket = Find(fd);
  if (socket == nullptr) return Fail(EBADF);
  const auto remote = FromSockaddr(address, length);
  if (!remote.has_value()) return Fail(EINVAL);
  if (socket->kind == TcpSocket::Kind::kListener || socket->open_told) return Fail(EISCONN);
  if (socket->deferred) return Fail(EISCONN);
  if (socket->kind == TcpSocket::Kind::kFresh && Defers(*socket, *remote)) return 0;
  const bool started = socket->kind == TcpSocket::Kind::kFresh;
  if (started) {
    const int error = StartConnect(*socket, *remote, socket->options.fast_open_connect);
    if (error != 0) return Fail(error);
    machine_.Poll();
  }
  const int error = AwaitConnect(*socket, started);
  return error == 0 ? 0 : Fail(error);
}

int Posix::AwaitConnect(TcpSocket& socket, bool started) {
  const auto settled = [&socket] { return socket.opened || socket.over; };
  if (!settled() && socket.nonblocking) return started ? EINPROGRESS : EALREADY;
  WaitUntil(settled, Instant::Never());
  if (socket.opened && socket.error == 0) {
    socket.open_told = true;
    return 0;
  }
  // The socket may be used for another attempt.
  const int error = TakeError(socket);
  if (socket.over) {
    socket.kind = TcpSocket::Kind::kFresh;
    socket.over = socket.opened = false;
  }
  return error != 0 ? error : ECONNABORTED;
}

void Posix::Drop(TcpSocket& socket) {
  socket.socket.set_user_data(0);
  if (socket.options.close_linger.l_onoff != 0 && socket.options.close_linger.l_linger == 0) {
    socket.socket.Abort();
  } else {
    socket.socket.Close();
  }
  machine_.Poll();
}

int Posix::Close(int fd) {
  const Call call(*this);
  for (auto& [epoll_fd, epoll] : epolls_) epoll.entries.erase(fd);
  TcpSocket* socket = Find(fd);
  if (socket == nullptr) {
    epolls_.erase(fd);
    return ::close(fd);
  }
  by_fd_.erase(fd);
  socket->fd = -1;
  if (socket->kind == TcpSocket::Kind::kListener) {
    machine_.engine().CloseListener(ListenEndpoint(*socket));
    for (TcpSocket* pending : socket->pending) pending->socket.Abort();
    machine_.Poll();
  } else if (socket->kind == TcpSocket::Kind::kConnection && !socket->over) {
    Drop(*socket);
    const linger& wait = socket->options.close_linger;
    if (wait.l_onoff != 0 && wait.l_linger > 0 && !socket->nonblocking) {
      const auto finished = [this, socket] {
        const tcp::Tcb* tcb = machine_.Find(socket->socket);
        return tcb == nullptr || tcb->Has(tcp::kFinAcked);
      };
      WaitUntil(finished, DeadlineAfter(wait.l_linger * 1000));
    }
  }
  return ::close(fd);
}

int Posix::Shutdown(int fd, int how) {
  const Call call(*this);
  TcpSocket* socket = Find(fd);
  if (socket == nullptr) return Fail(EBADF);
  if (how != SHUT_RD && how != SHUT_WR && how != SHUT_RDWR) return Fail(EINVAL);
  if (socket->kind != TcpSocket::Kind::kConnection || !socket->opened || socket->over) {
    return Fail(ENOTCONN);
  }
  if (how != SHUT_WR) socket->shut_read = true;
  if (how != SHUT_RD) {
    socket->shut_write = true;
    socket->socket.Shutdown();
  }
  ++socket->in_edges;
  ++socket->out_edges;
  machine_.Poll();
  return 0;
}

int Posix::TakeError(TcpSocket& socket) { return std::exchange(socket.error, 0); }

}  // namespace millrace::packetdrill

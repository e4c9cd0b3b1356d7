// kernel/kernel_open.cc - how a connection begins, or why it does not.

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "apps/kernel/kernel_address.h"
#include "apps/kernel/kernel_engine.h"

namespace millrace::apps {
namespace {

template <class T>
bool Set(int fd, int level, int name, const T& value) {
  return setsockopt(fd, level, name, &value, sizeof value) == 0;
}

uint64_t KeyOf(stack::ConnectionId id) { return uint64_t{id.generation} << 32 | id.index; }

}  // namespace

int KernelEngine::SetOptions(int fd, bool v4) const {
  const KernelSocketOptions& wanted = socket_options_;
  bool set = Set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  if (const std::string& name = wanted.congestion; !name.empty()) {
    const auto length = static_cast<socklen_t>(name.size());
    set = set && setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name.data(), length) == 0;
  }
  if (wanted.mss != 0) set = set && Set(fd, IPPROTO_TCP, TCP_MAXSEG, int{wanted.mss});
  if (wanted.ttl != 0) {
    set = set && (v4 ? Set(fd, IPPROTO_IP, IP_TTL, int{wanted.ttl})
                     : Set(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, int{wanted.ttl}));
  }
  if (wanted.dscp != 0) {
    set = set && (v4 ? Set(fd, IPPROTO_IP, IP_TOS, wanted.dscp << 2)
                     : Set(fd, IPPROTO_IPV6, IPV6_TCLASS, wanted.dscp << 2));
  }
  return set ? 0 : errno;
}

int KernelEngine::OpenSocket(const Endpoint& remote) {
  const bool v4 = remote.address.IsV4();
  const int fd = socket(v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -errno;
  const KernelAddress to(remote);
  int error = SetOptions(fd, v4);
  if (error == 0) error = sources_.Bind(fd, v4);
  if (error == 0 && connect(fd, to.get(), to.length()) != 0) error = errno;
  if (error == 0 || error == EINPROGRESS) return fd;
  close(fd);
  return -error;
}

stack::ConnectResult KernelEngine::ResultOf(int error) {
  switch (error) {
    case EADDRINUSE:
    case EADDRNOTAVAIL:
    case EAGAIN:
      ++counters_.ports_exhausted;
      return stack::ConnectResult::kNoPorts;
    case EMFILE:
    case ENFILE:
      ++counters_.descriptors_exhausted;
      return stack::ConnectResult::kNoMemory;
    case ENOMEM:
    case ENOBUFS:
      ++counters_.memory_exhausted;
      return stack::ConnectResult::kNoMemory;
    default:  // ENETUNREACH, EHOSTUNREACH, EACCES, EINVAL
      ++counters_.no_route;
      return stack::ConnectResult::kNoRoute;
  }
}

stack::ConnectResult KernelEngine::Connect(const Endpoint& remote, uint64_t user_data,
                                           KernelSocket* socket) {
  ++work_;
  if (free_.empty()) {
    ++counters_.connections_full;
    return stack::ConnectResult::kNoMemory;
  }
  int fd = OpenSocket(remote);
  for (int tries = sources_.tries(); tries > 1 && (fd == -EADDRINUSE || fd == -EADDRNOTAVAIL);
       --tries) {
    ++counters_.ports_tried;
    fd = OpenSocket(remote);
  }
  if (fd < 0) return ResultOf(-fd);
  const uint32_t index = free_.back();
  Connection& c = connections_[index];
  const stack::ConnectionId id{index, c.generation};
  epoll_event event{.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                    .data = {.u64 = KeyOf(id)}};
  if (epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) != 0) {
    const int error = errno;
    close(fd);
    return ResultOf(error);
  }
  free_.pop_back();
  c.fd = fd;
  c.used = true;
  c.v4 = remote.address.IsV4();
  c.user_data = user_data;
  ++counters_.active_opens;
  *socket = KernelSocket(this, id);
  return stack::ConnectResult::kOk;
}

}  // namespace millrace::apps

// options.cc - socket options, fcntl and ioctl.

#include <fcntl.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>

#include "packetdrill/posix.h"

namespace millrace::packetdrill {
namespace {

// Newer than the headers of Debian 12.
constexpr int kSoMeminfo = 55, kTcpCcInfo = 26;
// Linux takes no less than these (SOCK_MIN_SNDBUF, SOCK_MIN_RCVBUF).
constexpr uint32_t kSendBufferMin = 4608, kReceiveBufferMin = 2304;

int GiveOctets(const void* from, size_t size, void* value, socklen_t* length) {
  *length = static_cast<socklen_t>(std::min<size_t>(*length, size));
  std::memcpy(value, from, *length);
  return 0;
}

int GiveNumber(int number, void* value, socklen_t* length) {
  return GiveOctets(&number, sizeof number, value, length);
}

// What getsockopt says of an option that nobody has set.
int DefaultOf(int level, int name) {
  if (level == IPPROTO_IP && name == IP_TTL) return 64;
  if (level == SOL_SOCKET && name == SO_TYPE) return SOCK_STREAM;
  if (level == SOL_SOCKET && name == SO_PROTOCOL) return IPPROTO_TCP;
  if (level != IPPROTO_TCP) return 0;
  switch (name) {
    case TCP_KEEPIDLE:
      return 7200;
    case TCP_KEEPINTVL:
      return 75;
    case TCP_KEEPCNT:
      return 9;
    case TCP_SYNCNT:
      return 6;
    case TCP_LINGER2:
      return 60;
    default:
      return 0;
  }
}

bool IsLevel(int level) {
  return level == SOL_SOCKET || level == IPPROTO_TCP || level == IPPROTO_IP ||
         level == IPPROTO_IPV6;
}

}  // namespace

bool Posix::Owns(int fd) {
  const Call call(*this);
  return Find(fd) != nullptr;
}

uint16_t Posix::CurrentMss(const TcpSocket& socket) {
  const tcp::Tcb* tcb = machine_.Find(socket.socket);
  if (tcb != nullptr && tcp::IsSynchronized(tcb->state)) return tcb->snd_mss;
  return socket.options.mss != 0 ? socket.options.mss : settings_.ToTcpConfig().mss_default;
}

int Posix::GetTcpOption(TcpSocket& socket, int name, void* value, socklen_t* length) {
  switch (name) {
    case TCP_NODELAY:
      return GiveNumber(socket.options.no_delay ? 1 : 0, value, length);
    case TCP_CORK:
      return GiveNumber(socket.options.cork ? 1 : 0, value, length);
    case TCP_MAXSEG:
      return GiveNumber(CurrentMss(socket), value, length);
    case TCP_INQ:
      return GiveNumber(socket.options.queue_length ? 1 : 0, value, length);
    case TCP_NOTSENT_LOWAT:
      return GiveNumber(static_cast<int>(socket.options.notsent_low.value_or(0)), value, length);
    case TCP_INFO: {
      const std::vector<std::byte> info = TcpInfo(socket);
      return GiveOctets(info.data(), info.size(), value, length);
    }
    case kTcpCcInfo:
      *length = 0;  // as an algorithm without figures of its own
      return 0;
    case TCP_CONGESTION: {
      char text[16] = {};
      settings_.CongestionControl().copy(text, sizeof text - 1);
      return GiveOctets(text, sizeof text, value, length);
    }
    default:
      break;
  }
  const auto kept = socket.options.others.find({IPPROTO_TCP, name});
  const int number =
      kept == socket.options.others.end() ? DefaultOf(IPPROTO_TCP, name) : kept->second;
  return GiveNumber(number, value, length);
}

int Posix::GetOption(int fd, int level, int name, void* value, socklen_t* length) {
  const Call call(*this);
  TcpSocket* socket = Find(fd);
  if (socket == nullptr) return Fail(EBADF);
  if (value == nullptr || length == nullptr) return Fail(EFAULT);
  if (!IsLevel(level)) return Fail(ENOPROTOOPT);
  if (level == IPPROTO_TCP) return GetTcpOption(*socket, name, value, length);
  if (level == SOL_SOCKET) {
    switch (name) {
      case SO_ERROR:
        return GiveNumber(TakeError(*socket), value, length);
      case SO_SNDBUF:
        return GiveNumber(static_cast<int>(socket->options.send_buffer), value, length);
      case SO_RCVBUF:
        return GiveNumber(static_cast<int>(socket->options.receive_buffer), value, length);
      case SO_LINGER:
        return GiveOctets(&socket->options.close_linger, sizeof(linger), value, length);
      case SO_ACCEPTCONN:
        return GiveNumber(socket->kind == TcpSocket::Kind::kListener ? 1 : 0, value, length);
      case kSoMeminfo: {
        // receive queue, receive limit, send queue, send limit, forward, write queue, options,
        // backlog, drops
        const uint32_t memory[9] = {socket->socket.ready_bytes(),
                                    socket->options.receive_buffer,
                                    socket->socket.unsent_bytes(),
                                    socket->options.send_buffer,
                                    0,
                                    socket->socket.unsent_bytes(),
                                    0,
                                    0,
                                    0};
        return GiveOctets(memory, sizeof memory, value, length);
      }
      default:
        break;
    }
  }
  const auto kept = socket->options.others.find({level, name});
  const int number = kept == socket->options.others.end() ? DefaultOf(level, name) : kept->second;
  return GiveNumber(number, value, length);
}

int Posix::SetTcpOption(TcpSocket& socket, int name, int value) {
  switch (name) {
    case TCP_NODELAY:
      socket.options.no_delay = value != 0;
      socket.socket.SetNoDelay(value != 0);
      if (value != 0) Flush(socket);
      machine_.Poll();
      return 0;
    case TCP_CORK:
      socket.options.cork = value != 0;
      socket.socket.SetCork(value != 0);
      machine_.Poll();
      return 0;
    case TCP_MAXSEG:
      if (value < 88 || value > 32'767) return Fail(EINVAL);
      socket.options.mss = static_cast<uint16_t>(value);
      // A listener's SYN-ACKs carry it from now on.
      if (socket.kind == TcpSocket::Kind::kListener) Configure(socket);
      return 0;
    case TCP_INQ:
      if (value < 0 || value > 1) return Fail(EINVAL);
      socket.options.queue_length = value != 0;
      return 0;
    case TCP_NOTSENT_LOWAT:
      socket.options.notsent_low = static_cast<uint32_t>(value);
      return 0;
    case TCP_FASTOPEN:
    case TCP_FASTOPEN_CONNECT:
      return SetFastOpen(socket, name, value);
    case TCP_SYNCNT:
      if (value < 1 || value > 31) return Fail(EINVAL);
      socket.options.others[{IPPROTO_TCP, name}] = value;
      if (socket.kind == TcpSocket::Kind::kConnection && !socket.opened) Configure(socket);
      return 0;
    default:
      socket.options.others[{IPPROTO_TCP, name}] = value;
      ApplyLiveness(socket);
      return 0;
  }
}

void Posix::ApplyLiveness(const TcpSocket& socket) {
  const auto& others = socket.options.others;
  const auto value = [&](int level, int name) {
    const auto found = others.find({level, name});
    return found == others.end() ? DefaultOf(level, name) : found->second;
  };
  tcp::Liveness wanted;
  wanted.keepalive = value(SOL_SOCKET, SO_KEEPALIVE) != 0;
  wanted.keepalive_idle = Duration::Seconds(value(IPPROTO_TCP, TCP_KEEPIDLE));
  wanted.keepalive_interval = Duration::Seconds(value(IPPROTO_TCP, TCP_KEEPINTVL));
  wanted.keepalive_probes = static_cast<uint8_t>(value(IPPROTO_TCP, TCP_KEEPCNT));
  wanted.user_timeout = Duration::Milliseconds(value(IPPROTO_TCP, TCP_USER_TIMEOUT));
  if (wanted.Any() && !socket.socket.SetLiveness(wanted)) return;  // not open yet: OnOpen sets it
}

int Posix::SetOption(int fd, int level, int name, const void* value, socklen_t length) {
  const Call call(*this);
  TcpSocket* socket = Find(fd);
  if (socket == nullptr) return Fail(EBADF);
  if (value == nullptr) return Fail(EFAULT);
  if (!IsLevel(level)) return Fail(ENOPROTOOPT);
  if (level == SOL_SOCKET && name == SO_LINGER) {
    if (length < sizeof(linger)) return Fail(EINVAL);
    std::memcpy(&socket->options.close_linger, value, sizeof(linger));
    return 0;
  }
  if (level == IPPROTO_TCP && name == TCP_CONGESTION) {
    const std::string wanted(static_cast<const char*>(value),
                             strnlen(static_cast<const char*>(value), length));
    return wanted == settings_.CongestionControl() ? 0 : Fail(ENOENT);
  }
  if (level == IPPROTO_TCP && name == TCP_FASTOPEN_KEY) {
    return SetFastOpenKeys(*socket, {static_cast<const std::byte*>(value), length});
  }
  int number = 0;
  if (length >= sizeof number) {
    std::memcpy(&number, value, sizeof number);
  } else if (length > 0 && level == IPPROTO_IP) {
    number = *static_cast<const uint8_t*>(value);  // Linux takes one octet for IP_TOS and others
  } else {
    return Fail(EINVAL);
  }
  if (level == IPPROTO_TCP) return SetTcpOption(*socket, name, number);
  const auto doubled = static_cast<uint32_t>(std::clamp(number, 0, 1 << 29)) * 2;
  if (level == SOL_SOCKET && name == SO_SNDBUF) {
    socket->options.send_buffer = std::max(doubled, kSendBufferMin);
  } else if (level == SOL_SOCKET && name == SO_RCVBUF) {
    socket->options.receive_buffer = std::max(doubled, kReceiveBufferMin);
  } else {
    socket->options.others[{level, name}] = number;
    if (level == SOL_SOCKET && name == SO_KEEPALIVE) ApplyLiveness(*socket);
  }
  return 0;
}

int Posix::Fcntl(int fd, int command, int argument) {
  const Call call(*this);
  TcpSocket* socket = Find(fd);
  if (socket == nullptr) return Fail(EBADF);
  switch (command) {
    case F_GETFL:
      return O_RDWR | (socket->nonblocking ? O_NONBLOCK : 0);
    case F_SETFL:
      socket->nonblocking = (argument & O_NONBLOCK) != 0;
      return 0;
    case F_GETFD:
    case F_SETFD:
      return 0;
    default:
      return Fail(EINVAL);
  }
}

int Posix::Ioctl(int fd, unsigned long request, int* value) {
  const Call call(*this);
  TcpSocket* socket = Find(fd);
  if (socket == nullptr) return Fail(EBADF);
  if (value == nullptr) return Fail(EFAULT);
  if (request == FIONBIO) {
    socket->nonblocking = *value != 0;
    return 0;
  }
  if (socket->kind == TcpSocket::Kind::kListener) return Fail(EINVAL);
  switch (request) {
    case SIOCINQ:
      *value = static_cast<int>(socket->socket.ready_bytes());
      return 0;
    case SIOCOUTQ:
      *value = static_cast<int>(socket->socket.unsent_bytes());
      return 0;
    case SIOCOUTQNSD:
      *value = static_cast<int>(NotSent(*socket));
      return 0;
    default:
      return Fail(ENOTTY);
  }
}

}  // namespace millrace::packetdrill

// fast_open.cc - data on a SYN: TCP_FASTOPEN_CONNECT, MSG_FASTOPEN and TCP_FASTOPEN as Linux has
// them.

#include <linux/tcp.h>
#include <netinet/in.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "packetdrill/posix.h"

namespace millrace::packetdrill {

int Posix::SetFastOpen(TcpSocket& socket, int name, int value) {
  if (name == TCP_FASTOPEN) {
    socket.options.fast_open_listen = value > 0;  // how many may be pending is the engine's bound
    if (socket.kind == TcpSocket::Kind::kListener) Configure(socket);
    return 0;
  }
  if (value < 0 || value > 1) return Fail(EINVAL);
  if (!settings_.ToFastOpen().client) return Fail(EOPNOTSUPP);
  if (socket.kind != TcpSocket::Kind::kFresh) return Fail(EISCONN);
  socket.options.fast_open_connect = value != 0;
  return 0;
}

int Posix::SetFastOpenKeys(TcpSocket& socket, std::span<const std::byte> octets) {
  FastOpenKeys keys = FastOpenKeysOf(octets);
  if (keys.empty()) return Fail(EINVAL);
  socket.options.fast_open_keys = std::move(keys);
  if (socket.kind == TcpSocket::Kind::kListener) Configure(socket);
  return 0;
}

bool Posix::Defers(TcpSocket& socket, const Endpoint& remote) {
  if (!socket.options.fast_open_connect) return false;
  Configure(socket, true);
  if (machine_.engine().FastOpenRoom(settings_.local, remote.address) == 0) return false;
  socket.remote = remote;
  return socket.deferred = true;
}

// With a cookie, as much as the SYN has room for; the rest is written when the connection is open,
// which a socket that does not wait leaves to its user.
ssize_t Posix::SendOnSyn(TcpSocket& socket, const Endpoint& remote, std::span<const iovec> pieces,
                         int flags) {
  if (!settings_.ToFastOpen().client) return Fail(EOPNOTSUPP);
  if (HasNull(pieces)) return Fail(EFAULT);
  const std::vector<std::byte> data = Gather(pieces);
  socket.deferred = false;
  if (const int error = StartConnect(socket, remote, true); error != 0) return Fail(error);
  const uint32_t room = machine_.engine().FastOpenRoom(settings_.local, remote.address);
  const size_t on_syn = std::min<size_t>(data.size(), room);
  if (on_syn > 0) socket.socket.Send(std::span(data).first(on_syn));
  machine_.Poll();
  const bool may_wait = !socket.nonblocking && (flags & MSG_DONTWAIT) == 0;
  if (!may_wait) return on_syn > 0 ? static_cast<ssize_t>(on_syn) : Fail(EINPROGRESS);
  if (const int error = AwaitConnect(socket, true); error != 0) return Fail(error);
  const ssize_t rest = SendData(socket, std::span(data).subspan(on_syn), flags);
  return rest < 0 ? rest : static_cast<ssize_t>(on_syn) + rest;
}

}  // namespace millrace::packetdrill

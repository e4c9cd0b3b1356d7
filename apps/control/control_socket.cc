#include "apps/control/control_socket.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace millrace::apps {
namespace {

absl::Status Failed(const std::string& path, const std::string& what, int error) {
  return absl::FailedPreconditionError(path + ": " + what + ": " + std::strerror(error));
}

absl::StatusOr<sockaddr_un> AddressOf(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path) {
    return absl::InvalidArgumentError("\"" + path + "\": the path of a socket has 1 to " +
                                      std::to_string(sizeof address.sun_path - 1) + " characters");
  }
  path.copy(address.sun_path, path.size());
  return address;
}

bool Failed(int result) { return result != 0; }

// A descriptor, or what errno says.
struct Connected {
  int fd = -1;
  int error = 0;
};
Connected ConnectTo(const sockaddr_un& address) {
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return {-1, errno};
  if (!Failed(connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address))) {
    return {fd, 0};
  }
  const int error = errno;
  close(fd);
  return {-1, error};
}

// What is in the way goes only when it is a socket that a program of this kind left behind: every
// other failure to connect may be that of somebody's who is alive.
absl::Status MakeWay(const std::string& path, const sockaddr_un& address) {
  struct stat file {};
  if (Failed(lstat(path.c_str(), &file))) return absl::OkStatus();
  if (!S_ISSOCK(file.st_mode)) {
    return absl::FailedPreconditionError(path + " exists and is no socket");
  }
  const Connected other = ConnectTo(address);
  if (other.fd >= 0) {
    close(other.fd);
    return absl::FailedPreconditionError(path + " is served by another process");
  }
  if (other.error != ECONNREFUSED) return Failed(path, "is in the way", other.error);
  unlink(path.c_str());
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<int> ControlSocket::Connect(const std::string& path) {
  const absl::StatusOr<sockaddr_un> address = AddressOf(path);
  if (!address.ok()) return address.status();
  const Connected connected = ConnectTo(*address);
  if (connected.fd < 0) return Failed(path, "nobody can be asked there", connected.error);
  return connected.fd;
}

absl::StatusOr<std::unique_ptr<ControlSocket>> ControlSocket::Open(const std::string& path) {
  const absl::StatusOr<sockaddr_un> address = AddressOf(path);
  if (!address.ok()) return address.status();
  if (absl::Status way = MakeWay(path, *address); !way.ok()) return way;
  std::unique_ptr<ControlSocket> opened(new ControlSocket);
  opened->fd_ = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (opened->fd_ < 0) return Failed(path, "no socket", errno);
  const mode_t mask = umask(0077);
  const int bound =
      bind(opened->fd_, reinterpret_cast<const sockaddr*>(&*address), sizeof *address);
  const int error = errno;
  umask(mask);
  if (Failed(bound)) return Failed(path, "cannot be made", error);
  opened->path_ = path;
  struct stat file {};
  if (!Failed(lstat(path.c_str(), &file))) {
    opened->device_ = file.st_dev;
    opened->inode_ = file.st_ino;
  }
  if (Failed(listen(opened->fd_, kClientsMax))) return Failed(path, "cannot listen", errno);
  return opened;
}

ControlSocket::~ControlSocket() {
  for (const Client& client : clients_) close(client.fd);
  if (fd_ >= 0) close(fd_);
  // Another program may have put its own in the place of ours.
  struct stat file {};
  if (path_.empty() || Failed(lstat(path_.c_str(), &file))) return;
  if (file.st_dev == device_ && file.st_ino == inode_) unlink(path_.c_str());
}

std::vector<ControlSocket::Line> ControlSocket::Poll() {
  std::vector<Line> lines;
  Accept();
  for (Client& client : clients_) {
    Send(client);
    if (!client.waits && client.out.empty() && !client.broken) Receive(client, lines);
  }
  std::erase_if(clients_, [](const Client& client) {
    const bool over = client.broken || (client.at_end && !client.waits && client.out.empty());
    if (over) close(client.fd);
    return over;
  });
  return lines;
}

void ControlSocket::Accept() {
  while (clients_.size() < kClientsMax) {  // the others wait
    const int fd = accept4(fd_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return;
    clients_.push_back({.id = next_id_++, .fd = fd});
  }
}

void ControlSocket::Receive(Client& client, std::vector<Line>& lines) {
  std::array<char, kLineMax> octets{};
  // No more than what a line may still have: the rest of what is there waits in the kernel.
  while (!client.at_end && client.in.find('\n') == std::string::npos &&
         client.in.size() <= kLineMax) {
    const ssize_t count = recv(client.fd, octets.data(), octets.size(), 0);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) break;
    if (count < 0) client.broken = true;
    if (count <= 0) {
      client.at_end = true;
    } else {
      client.in.append(octets.data(), static_cast<size_t>(count));
    }
  }
  const size_t end = client.in.find('\n');
  if (std::min(end, client.in.size()) > kLineMax) {
    client.at_end = true;
    client.in.clear();
    Reply(client.id, R"({"ok":false,"error":"a line has at most 1024 characters"})");
    return;
  }
  if (end == std::string::npos && !(client.at_end && !client.in.empty())) return;
  client.waits = true;
  lines.push_back({client.id, client.in.substr(0, end)});
  client.in.erase(0, end == std::string::npos ? end : end + 1);
}

void ControlSocket::Reply(uint64_t client, std::string_view line) {
  for (Client& one : clients_) {
    if (one.id != client) continue;
    one.waits = false;
    one.out = std::string(line) + "\n";
    Send(one);
  }
}

void ControlSocket::Send(Client& client) {
  while (!client.out.empty() && !client.broken) {
    const ssize_t count = send(client.fd, client.out.data(), client.out.size(), MSG_NOSIGNAL);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (count < 0) client.broken = true;
    if (count > 0) client.out.erase(0, static_cast<size_t>(count));
  }
}

}  // namespace millrace::apps

// unit/kernel/local_server.h - a server of the kernel's sockets on loopback, in the test's thread:
// it does what a test says, and nothing by itself.
#ifndef MILLRACE_TESTS_UNIT_KERNEL_LOCAL_SERVER_H_
#define MILLRACE_TESTS_UNIT_KERNEL_LOCAL_SERVER_H_

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <string>
#include <utility>

#include "apps/kernel/kernel_address.h"
#include "millrace/base/check.h"

namespace millrace::testing {

// A descriptor that is closed with it.
class Fd {
 public:
  explicit Fd(int fd = -1) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Fd() { Close(); }
  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  void Close() {
    if (fd_ >= 0) close(std::exchange(fd_, -1));
  }
  // RST.
  void Reset() {
    const linger now{.l_onoff = 1, .l_linger = 0};
    setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    Close();
  }
  void Send(const std::string& text) const {
    MR_CHECK(send(fd_, text.data(), text.size(), MSG_NOSIGNAL) ==
             static_cast<ssize_t>(text.size()));
  }
  // What has come, at most 64 KiB; sets *end when the other side has said that this is all.
  std::string Read(bool* end = nullptr) const {
    std::string text(65'536, '\0');
    const ssize_t n = recv(fd_, text.data(), text.size(), MSG_DONTWAIT);
    if (end != nullptr) *end = n == 0;
    text.resize(n > 0 ? static_cast<size_t>(n) : 0);
    return text;
  }

 private:
  int fd_;
};

class LocalServer {
 public:
  explicit LocalServer(const IpAddress& address, bool listens = true, int backlog = 64)
      : socket_(socket(address.IsV4() ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, 0)) {
    const apps::KernelAddress any({address, 0});
    MR_CHECK(bind(socket_.get(), any.get(), any.length()) == 0);
    if (listens) MR_CHECK(listen(socket_.get(), backlog) == 0);
    sockaddr_in6 bound{};  // the port is at the same place for both families
    socklen_t length = sizeof bound;
    MR_CHECK(getsockname(socket_.get(), reinterpret_cast<sockaddr*>(&bound), &length) == 0);
    endpoint_ = {address, ntohs(bound.sin6_port)};
  }
  // Whether this machine has the address: a container may be without IPv6.
  static bool MayHave(const IpAddress& address) {
    const Fd fd(socket(address.IsV4() ? AF_INET : AF_INET6, SOCK_STREAM, 0));
    const apps::KernelAddress any({address, 0});
    return fd.valid() && bind(fd.get(), any.get(), any.length()) == 0;
  }
  const Endpoint& endpoint() const { return endpoint_; }
  // Not valid when none has come.
  Fd Accept() const { return Fd(accept4(socket_.get(), nullptr, nullptr, SOCK_NONBLOCK)); }

 private:
  Fd socket_;
  Endpoint endpoint_;
};

}  // namespace millrace::testing

#endif  // MILLRACE_TESTS_UNIT_KERNEL_LOCAL_SERVER_H_

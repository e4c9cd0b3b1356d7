#include "differential/kernel_host.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>

namespace millrace::differential {
namespace {

std::string Failed(const char* what) { return std::string(what) + ": " + std::strerror(errno); }

sockaddr_in Address(uint32_t address, uint16_t port) {
  sockaddr_in name{};
  name.sin_family = AF_INET;
  name.sin_addr.s_addr = htonl(address);
  name.sin_port = htons(port);
  return name;
}

template <class Name>
sockaddr* Generic(Name* name) {
  return reinterpret_cast<sockaddr*>(name);
}

// Answers are to come at once and to depend on the segment alone.
bool SetSysctls() {
  static constexpr std::pair<const char*, int> kSysctls[] = {
      {"tcp_timestamps", 0},
      {"tcp_sack", 0},
      {"tcp_window_scaling", 0},
      {"tcp_ecn", 0},
      {"tcp_syncookies", 0},
      {"tcp_invalid_ratelimit", 0},
      {"tcp_rfc1337", 1},
      {"tcp_fastopen", 0},
      {"tcp_max_tw_buckets", 4'000'000},
      {"tcp_max_syn_backlog", 65535},
      {"tcp_challenge_ack_limit", 2147483647}};
  for (const auto& [name, value] : kSysctls) {
    std::ofstream file(std::string("/proc/sys/net/ipv4/") + name);
    file << value << std::flush;
    if (!file) return false;
  }
  return true;
}

// Address, netmask and "up" of the device.
bool Configure(ifreq request) {
  const int control = socket(AF_INET, SOCK_DGRAM, 0);
  sockaddr_in address = Address(KernelHost::kAddress, 0);
  std::memcpy(&request.ifr_addr, &address, sizeof(address));
  bool ok = ioctl(control, SIOCSIFADDR, &request) == 0;
  address = Address(0xFFFF'0000, 0);
  std::memcpy(&request.ifr_netmask, &address, sizeof(address));
  ok = ok && ioctl(control, SIOCSIFNETMASK, &request) == 0;
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  ok = ok && ioctl(control, SIOCSIFFLAGS, &request) == 0;
  close(control);
  return ok;
}

}  // namespace

std::string KernelHost::Start() {
  if (unshare(CLONE_NEWNET) != 0) return Failed("a network namespace");
  tun_ = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (tun_ < 0) return Failed("/dev/net/tun");
  ifreq request{};
  std::strncpy(request.ifr_name, "diff0", IFNAMSIZ - 1);
  request.ifr_flags = IFF_TUN | IFF_NO_PI;
  if (ioctl(tun_, TUNSETIFF, &request) != 0) return Failed("a TUN device");
  if (!Configure(request)) return Failed("the address of the TUN device");
  if (!SetSysctls()) return "the kernel has not all of the settings";
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  sockaddr_in name = Address(kAddress, kListenPort);
  const int on = 1;
  setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  if (bind(listener_, Generic(&name), sizeof(name)) != 0) return Failed("bind");
  if (listen(listener_, 4096) != 0) return Failed("listen");
  return "";
}

KernelHost::~KernelHost() {
  if (listener_ >= 0) close(listener_);
  if (tun_ >= 0) close(tun_);
}

void KernelHost::Write(const std::vector<std::byte>& packet) {
  if (write(tun_, packet.data(), packet.size()) < 0) std::abort();
}

std::vector<std::byte> KernelHost::Read() {
  std::vector<std::byte> packet(2048);
  const ssize_t length = read(tun_, packet.data(), packet.size());
  packet.resize(length > 0 ? static_cast<size_t>(length) : 0);
  return packet;
}

}  // namespace millrace::differential

#include "apps/kernel/kernel_congestion.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <fstream>

#include "apps/common/setup.h"

namespace millrace::apps {
namespace {

// The line in a file of /proc/sys/net/ipv4, which counts for IPv6 too.
std::string Setting(const char* name) {
  std::ifstream file(std::string("/proc/sys/net/ipv4/") + name);
  std::string line;
  std::getline(file, line);
  return line;
}

// 0 or errno.
int Try(const std::string& name) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return errno;
  const auto length = static_cast<socklen_t>(name.size());
  const int error =
      setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name.data(), length) == 0 ? 0 : errno;
  close(fd);
  return error;
}

absl::Status Refused(tcp::CongestionKind kind, const std::string& why) {
  return absl::InvalidArgumentError(std::string("--congestion ") + ToString(kind) +
                                    ": with --dev kernel " + why);
}

}  // namespace

absl::StatusOr<std::string> KernelCongestion(tcp::CongestionKind kind) {
  const std::string offered = Setting("tcp_available_congestion_control");
  if (kind == tcp::CongestionKind::kNone) {
    return Refused(kind, "there is always one: " + offered);
  }
  const std::string name =
      kind == tcp::CongestionKind::kNewReno ? "reno" : std::string(ToString(kind));
  switch (const int error = Try(name)) {
    case 0:
      return name;
    case ENOENT:
      return Refused(
          kind, "there are " + offered + "; sudo modprobe tcp_" + name + " may bring this one");
    case EPERM: {
      const std::string allowed = Setting("tcp_allowed_congestion_control");
      return Refused(kind, "it is for root; others may have " + allowed +
                               ": sudo sysctl net.ipv4.tcp_allowed_congestion_control='" + allowed +
                               " " + name + "'");
    }
    default:
      return Refused(kind, std::string("the kernel says: ") + std::strerror(error));
  }
}

std::string DefaultKernelCongestion() { return Setting("tcp_congestion_control"); }

}  // namespace millrace::apps

#include "apps/kernel/kernel_sources.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <numeric>

#include "absl/strings/str_split.h"
#include "apps/common/addresses.h"
#include "apps/kernel/kernel_address.h"
#include "millrace/base/prng.h"

namespace millrace::apps {
namespace {

constexpr uint64_t kAddressesMax = 65'536;
constexpr int kTriesMax = 32;  // for a port that is free, where the kernel does not look for it

// The numbers in a file of /proc/sys; `values` keeps what is not there.
template <class... T>
void ReadSetting(const char* name, T&... values) {
  std::ifstream file(std::string("/proc/sys/net/ipv4/") + name);
  const auto read = [&file](auto& value) {
    if (int number = 0; file >> number) value = static_cast<std::decay_t<decltype(value)>>(number);
  };
  (read(values), ...);
}

absl::Status TooMany(const std::string& src) {
  return absl::InvalidArgumentError("--src " + src +
                                    ": with --dev kernel at most 65,536 addresses");
}

absl::Status AddV4(const std::string& part, const std::string& src, KernelSources* sources) {
  const absl::StatusOr<OwnAddresses> own = ParseOwnAddresses(part);
  if (!own.ok()) return own.status();
  const uint64_t count = uint64_t{own->last} - own->first + 1;
  if (count + sources->addresses.size() > kAddressesMax) return TooMany(src);
  for (uint64_t i = 0; i < count; ++i) {
    sources->addresses.push_back(IpAddress::V4(own->first + static_cast<uint32_t>(i)));
  }
  if (!own->ports_given) return absl::OkStatus();
  const std::pair ports(own->port_min, own->port_max);
  if (sources->ports && *sources->ports != ports) {
    return absl::InvalidArgumentError("--src " + src + ": all addresses have the same ports");
  }
  sources->ports = ports;
  return absl::OkStatus();
}

absl::Status AddV6(const IpPrefix& prefix, const std::string& src, KernelSources* sources) {
  const int host_bits = 128 - prefix.length_bits;
  if (host_bits > 16) return TooMany(src);
  const IpAddress first = prefix.Network();
  for (uint64_t i = 0; i < uint64_t{1} << host_bits; ++i) {
    sources->addresses.push_back(IpAddress::V6(first.high(), first.low() + i));
  }
  return absl::OkStatus();
}

}  // namespace

KernelPortSettings KernelPortSettings::Read() {
  KernelPortSettings settings;
  ReadSetting("ip_local_port_range", settings.port_min, settings.port_max);
  ReadSetting("tcp_tw_reuse", settings.time_wait_reuse);
  ReadSetting("tcp_timestamps", settings.timestamps);
  return settings;
}

Duration KernelPortSettings::TimeWaitTo(const IpAddress& remote) const {
  const bool loopback = remote.IsV4() ? remote.v4() >> 24 == 127 : remote == IpAddress::V6(0, 1);
  const bool reused = time_wait_reuse == 1 || (time_wait_reuse == 2 && loopback);
  return Duration::Seconds(reused && timestamps ? 1 : 60);
}

absl::StatusOr<KernelSources> KernelSources::Parse(const std::string& src,
                                                   const SourcePortChoice& choice, bool v4,
                                                   const KernelPortSettings& settings) {
  KernelSources sources;
  const std::vector<std::string> parts = absl::StrSplit(src, ',', absl::SkipEmpty());
  for (const std::string& part : parts) {
    const std::optional<IpPrefix> prefix = IpPrefix::Parse(part);
    const bool is_v6 = prefix && !prefix->address.IsV4();
    if (is_v6 == v4) {
      return absl::InvalidArgumentError("--src " + part + ": the targets are of the other family");
    }
    absl::Status added = is_v6 ? AddV6(*prefix, src, &sources) : AddV4(part, src, &sources);
    if (!added.ok()) return added;
  }
  std::sort(sources.addresses.begin(), sources.addresses.end());
  sources.addresses.erase(std::unique(sources.addresses.begin(), sources.addresses.end()),
                          sources.addresses.end());
  sources.sequential = choice.sequential;
  if (choice.range) sources.ports = choice.range;
  if (choice.sequential && !sources.ports) sources.ports = {settings.port_min, settings.port_max};
  return sources;
}

absl::Status KernelSources::Check() const {
  const uint16_t port = ports ? ports->first : uint16_t{0};
  for (const IpAddress& address : addresses) {
    const int fd = socket(address.IsV4() ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return absl::UnavailableError(std::string("no socket: ") + std::strerror(errno));
    const KernelAddress from({address, port});
    const int error = bind(fd, from.get(), from.length()) == 0 ? 0 : errno;
    close(fd);
    if (error == EADDRNOTAVAIL) {
      const std::string text = address.ToString();
      return absl::InvalidArgumentError("--src: " + text + " is no address of this machine; sudo " +
                                        "ip addr add " + text + "/" +
                                        (address.IsV4() ? "32" : "128") +
                                        " dev lo, or for a prefix: sudo ip route add local PREFIX "
                                        "dev lo");
    }
    if (error == EACCES) {
      return absl::InvalidArgumentError(
          "--src-port: port " + std::to_string(port) +
          " is for root alone: begin at 1024, or sudo sysctl net.ipv4.ip_unprivileged_port_start=" +
          std::to_string(port));
    }
  }
  return absl::OkStatus();
}

SourceWalk::SourceWalk(std::shared_ptr<const KernelSources> sources, uint32_t worker, uint32_t of,
                       uint64_t seed)
    : sources_(std::move(sources)) {
  const uint64_t addresses = std::max<uint64_t>(sources_->addresses.size(), 1);
  const uint64_t ports =
      sources_->ports ? sources_->ports->second - sources_->ports->first + 1u : 1;
  tuples_ = addresses * ports;
  first_ = at_ = worker % tuples_;
  step_ = of;
  tries_ = static_cast<int>(std::min<uint64_t>(kTriesMax, tuples_));
  if (sources_->sequential || tuples_ == 1) return;
  // All workers go through the same permutation, each through its own part.
  Prng random(seed);
  do {
    factor_ = 1 + random.Below(tuples_ - 1);
  } while (std::gcd(factor_, tuples_) != 1);
  offset_ = random.Below(tuples_);
}

Endpoint SourceWalk::Next(bool v4) {
  Endpoint source{v4 ? IpAddress::V4(0) : IpAddress(), 0};
  if (sources_ == nullptr) return source;
  const uint64_t tuple = (at_ * factor_ + offset_) % tuples_;
  at_ += step_;
  if (at_ >= tuples_) at_ = first_;
  const std::vector<IpAddress>& addresses = sources_->addresses;
  const uint64_t count = std::max<uint64_t>(addresses.size(), 1);
  if (!addresses.empty()) source.address = addresses[tuple % count];
  if (sources_->ports) {
    source.port = static_cast<uint16_t>(sources_->ports->first + tuple / count);
  }
  return source;
}

int SourceWalk::Bind(int fd, bool v4) {
  if (sources_ == nullptr || (sources_->addresses.empty() && !sources_->ports)) return 0;
  const KernelAddress from(Next(v4));
  const int on = 1;
  // A port in TIME-WAIT may be bound; connect() says whether the tuple is free. Without a port the
  // kernel chooses then, when it knows the whole tuple.
  if (sources_->ports) {
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  } else {
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
  }
  return bind(fd, from.get(), from.length()) == 0 ? 0 : errno;
}

}  // namespace millrace::apps

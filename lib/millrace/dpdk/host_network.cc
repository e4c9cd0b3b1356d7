// dpdk/host_network.cc - reads what CheckPortConfig must know of this machine.
#include <ifaddrs.h>
#include <linux/capability.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <net/route.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <system_error>
#include <vector>

#include "absl/strings/match.h"
#include "millrace/dpdk/port_config.h"

namespace millrace::dpdk {
namespace {

namespace fs = std::filesystem;

uint64_t EffectiveCapabilities() {
  std::ifstream file("/proc/self/status");
  for (std::string line; std::getline(file, line);) {
    if (absl::StartsWith(line, "CapEff:")) return std::strtoull(line.c_str() + 7, nullptr, 16);
  }
  return 0;
}

// Names of interfaces with an IPv4 or IPv6 default route.
std::vector<std::string> DefaultRouteInterfaces() {
  std::vector<std::string> names;
  std::string line;
  std::ifstream v4("/proc/self/net/route");
  while (std::getline(v4, line)) {  // Iface Destination Gateway Flags ... Mask
    std::istringstream fields(line);
    std::string name, destination, gateway, flags, ref, use, metric, mask;
    fields >> name >> destination >> gateway >> flags >> ref >> use >> metric >> mask;
    if (destination == "00000000" && mask == "00000000") names.push_back(name);
  }
  std::ifstream v6("/proc/self/net/ipv6_route");
  while (std::getline(v6, line)) {  // destination, length, source, length, hop, ..., flags, name
    std::istringstream fields(line);
    std::string word[10];
    for (std::string& each : word) fields >> each;
    const bool is_default = word[0] == std::string(32, '0') && word[1] == "00";
    if (is_default && word[9] != "lo") names.push_back(word[9]);
  }
  return names;
}

// Of an interface that has no such notion, 1. `request` names it.
uint16_t RxQueuesOf(int fd, ifreq request) {
  ethtool_channels channels{};
  channels.cmd = ETHTOOL_GCHANNELS;
  request.ifr_data = reinterpret_cast<char*>(&channels);
  if (ioctl(fd, SIOCETHTOOL, &request) != 0) return 1;
  return static_cast<uint16_t>(
      std::clamp(channels.rx_count + channels.combined_count, 1u, uint32_t{UINT16_MAX}));
}

std::vector<HostNetwork::Interface> ReadInterfaces() {
  std::vector<HostNetwork::Interface> interfaces;
  const std::vector<std::string> routed = DefaultRouteInterfaces();
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0) return interfaces;
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  for (const ifaddrs* each = list; each != nullptr; each = each->ifa_next) {
    const std::string name = each->ifa_name;
    auto found = std::find_if(interfaces.begin(), interfaces.end(),
                              [&](const auto& known) { return known.name == name; });
    if (found == interfaces.end()) {
      ifreq request{};
      std::strncpy(request.ifr_name, each->ifa_name, IFNAMSIZ - 1);
      int mtu = 1500;
      if (fd >= 0 && ioctl(fd, SIOCGIFMTU, &request) == 0) mtu = request.ifr_mtu;
      interfaces.push_back(
          {.name = name,
           .up = (each->ifa_flags & IFF_UP) != 0,
           .mtu = static_cast<uint16_t>(std::min(mtu, 65'535)),
           .rx_queues = fd >= 0 ? RxQueuesOf(fd, request) : uint16_t{1},
           .default_route = std::find(routed.begin(), routed.end(), name) != routed.end()});
      found = interfaces.end() - 1;
    }
    if (each->ifa_addr != nullptr && each->ifa_addr->sa_family == AF_INET) found->has_ipv4 = true;
  }
  if (fd >= 0) close(fd);
  freeifaddrs(list);
  return interfaces;
}

std::vector<HostNetwork::PciDevice> ReadEthernetDevices() {
  std::vector<HostNetwork::PciDevice> devices;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator("/sys/bus/pci/devices", error)) {
    std::string device_class;
    std::ifstream(entry.path() / "class") >> device_class;
    if (!absl::StartsWith(device_class, "0x02")) continue;  // network controllers
    HostNetwork::PciDevice device{.address = entry.path().filename().string()};
    device.driver = fs::read_symlink(entry.path() / "driver", error).filename().string();
    for (const auto& net : fs::directory_iterator(entry.path() / "net", error)) {
      device.interfaces.push_back(net.path().filename().string());
    }
    // virtio: the interface hangs below the bus of its own
    for (const auto& child : fs::directory_iterator(entry.path(), error)) {
      for (const auto& net : fs::directory_iterator(child.path() / "net", error)) {
        device.interfaces.push_back(net.path().filename().string());
      }
    }
    devices.push_back(std::move(device));
  }
  std::sort(devices.begin(), devices.end(),
            [](const auto& a, const auto& b) { return a.address < b.address; });
  return devices;
}

}  // namespace

HostNetwork ReadHostNetwork() {
  HostNetwork host;
  host.interfaces = ReadInterfaces();
  host.ethernet_devices = ReadEthernetDevices();
  const uint64_t capabilities = EffectiveCapabilities();
  host.cap_net_raw = (capabilities >> CAP_NET_RAW & 1) != 0;
  host.cap_net_admin = (capabilities >> CAP_NET_ADMIN & 1) != 0;
  host.cap_sys_admin = (capabilities >> CAP_SYS_ADMIN & 1) != 0;
  host.tun_device = access("/dev/net/tun", F_OK) == 0;
  return host;
}

}  // namespace millrace::dpdk

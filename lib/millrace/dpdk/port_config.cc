#include "millrace/dpdk/port_config.h"

#include <net/if.h>
#include <sys/un.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <string>
#include <system_error>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "millrace/dpdk/bond.h"

namespace millrace::dpdk {
namespace {

struct KindName {
  absl::string_view name;
  DeviceKind kind;
  absl::string_view target;  // what stands behind the colon; "" for nothing
};
constexpr KindName kKinds[] = {
    {"ring", DeviceKind::kRing, ""},        {"afpacket", DeviceKind::kAfPacket, "IFACE"},
    {"afxdp", DeviceKind::kAfXdp, "IFACE"}, {"tap", DeviceKind::kTap, "NAME"},
    {"memif", DeviceKind::kMemif, "PATH"},  {"pci", DeviceKind::kPci, "ADDRESS"},
    {"bond", DeviceKind::kBond, "DEV+DEV"}, {"vdev", DeviceKind::kVdev, "RAW"},
};
constexpr absl::string_view kForms =
    "ring, afpacket:IFACE, afxdp:IFACE, tap:NAME, memif:PATH, pci:ADDRESS, bond:DEV+DEV or "
    "vdev:RAW";

template <class... Parts>
absl::Status Wrong(const PortConfig& config, const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat(config.text, ": ", parts...));
}

template <class... Parts>
absl::Status Unavailable(const PortConfig& config, const Parts&... parts) {
  return absl::FailedPreconditionError(absl::StrCat(config.text, ": ", parts...));
}

bool ParsePolicy(absl::string_view value, bool receive, ChecksumPolicy& policy) {
  if (value == "auto") {
    policy = ChecksumPolicy::kAuto;
  } else if (value == "software") {
    policy = ChecksumPolicy::kSoftware;
  } else if (value == "device") {
    policy = ChecksumPolicy::kDevice;
  } else if (value == "trusted" && receive) {
    policy = ChecksumPolicy::kTrusted;
  } else {
    return false;
  }
  return true;
}

absl::Status ParseOption(absl::string_view option, PortConfig& config) {
  const std::pair<absl::string_view, absl::string_view> parts =
      absl::StrSplit(option, absl::MaxSplits('=', 1));
  const auto& [key, value] = parts;
  if (key == "mtu") {
    uint32_t mtu = 0;
    if (!absl::SimpleAtoi(value, &mtu) || mtu < 68 || mtu > 9216) {
      return Wrong(config, "mtu=", value, " is no number from 68 to 9216");
    }
    config.mtu = static_cast<uint16_t>(mtu);
  } else if (key == "queues") {
    uint32_t queues = 0;
    if (!absl::SimpleAtoi(value, &queues) || queues < 1 || queues > stack::Steering::kWorkersMax) {
      return Wrong(config, "queues=", value, " is no number from 1 to ",
                   stack::Steering::kWorkersMax);
    }
    config.queues = static_cast<uint16_t>(queues);
  } else if (key == "role" && config.kind == DeviceKind::kMemif) {
    if (value != "client" && value != "server") {
      return Wrong(config, "role=", value, " is neither client nor server");
    }
    config.memif_server = value == "server";
  } else if (key == "rx_checksum") {
    if (!ParsePolicy(value, true, config.rx_checksum)) {
      return Wrong(config, "rx_checksum=", value, " is none of auto, software, device, trusted");
    }
  } else if (key == "tx_checksum") {
    if (!ParsePolicy(value, false, config.tx_checksum)) {
      return Wrong(config, "tx_checksum=", value, " is none of auto, software, device");
    }
  } else if (key == "force") {
    if (value != "yes" && value != "no") return Wrong(config, "force takes yes or no");
    config.force = value == "yes";
  } else {
    return Wrong(config, "unknown option '", key, "'; there are mtu, queues, rx_checksum, ",
                 "tx_checksum, force", config.kind == DeviceKind::kMemif ? ", role" : "");
  }
  return absl::OkStatus();
}

absl::Status CheckInterfaceName(const PortConfig& config) {
  const std::string& name = config.target;
  if (name.size() >= IFNAMSIZ) {
    return Wrong(config, "'", name, "' is too long for an interface name; it may have ",
                 IFNAMSIZ - 1, " characters");
  }
  const bool strange = std::any_of(name.begin(), name.end(), [](char c) {
    return c == '/' || c == ':' || !absl::ascii_isgraph(static_cast<unsigned char>(c));
  });
  if (strange || name == "." || name == "..") {
    return Wrong(config, "'", name, "' cannot be an interface name");
  }
  return absl::OkStatus();
}

// Accepts "41:00.1" and "0000:41:00.1"; writes the long form.
absl::Status ParsePciAddress(PortConfig& config) {
  std::string address = absl::AsciiStrToLower(config.target);
  if (address.size() == 7) address = absl::StrCat("0000:", address);
  constexpr absl::string_view kPattern = "xxxx:xx:xx.f";
  bool good = address.size() == kPattern.size();
  for (size_t i = 0; good && i < kPattern.size(); ++i) {
    const auto c = static_cast<unsigned char>(address[i]);
    good = kPattern[i] == 'x'   ? absl::ascii_isxdigit(c)
           : kPattern[i] == 'f' ? c >= '0' && c <= '7'
                                : kPattern[i] == address[i];
  }
  if (!good) {
    return Wrong(config, "'", config.target, "' is no PCI address; write it as 0000:41:00.1 ",
                 "(lspci -D shows them)");
  }
  config.target = address;
  return absl::OkStatus();
}

absl::Status CheckTarget(PortConfig& config) {
  switch (config.kind) {
    case DeviceKind::kAfPacket:
    case DeviceKind::kAfXdp:
    case DeviceKind::kTap:
      return CheckInterfaceName(config);
    case DeviceKind::kPci:
      return ParsePciAddress(config);
    case DeviceKind::kMemif:
      if (config.target.size() >= sizeof(sockaddr_un::sun_path)) {
        return Wrong(config, "the path is too long for a socket; it may have ",
                     sizeof(sockaddr_un::sun_path) - 1, " characters");
      }
      return absl::OkStatus();
    case DeviceKind::kBond:
      return ParseBond(config);
    case DeviceKind::kVdev:
      if (!absl::StartsWith(config.target, "net_")) {
        return Wrong(config, "a network device of DPDK begins with net_, as in net_null0,size=64");
      }
      return absl::OkStatus();
    case DeviceKind::kRing:
      return absl::OkStatus();
  }
  return absl::OkStatus();
}

absl::Status CheckInterface(const PortConfig& config, const HostNetwork& host) {
  const HostNetwork::Interface* interface = host.Find(config.target);
  if (interface == nullptr) {
    std::vector<std::string> names;
    for (const auto& each : host.interfaces) names.push_back(each.name);
    return Unavailable(config, "no such interface; there ",
                       names.empty() ? std::string("is none")
                                     : absl::StrCat(names.size() == 1 ? "is " : "are ",
                                                    absl::StrJoin(names, ", ")));
  }
  if (interface->default_route && !config.force) {
    return Unavailable(config, "refused: ", config.target,
                       " carries the default route, and this machine could lose its connection; ",
                       "add ,force=yes if you mean it");
  }
  if (!interface->up) {
    return Unavailable(config, "the interface is down; bring it up with 'ip link set ",
                       config.target, " up'");
  }
  if (config.mtu > interface->mtu) {
    return Unavailable(config, "the interface has an MTU of ", interface->mtu,
                       "; raise it with 'ip link set ", config.target, " mtu ", config.mtu, "'");
  }
  return absl::OkStatus();
}

absl::Status CheckTap(const PortConfig& config, const HostNetwork& host) {
  if (!host.tun_device) {
    return Unavailable(config, "/dev/net/tun does not exist; load the module with 'modprobe tun'");
  }
  if (host.Find(config.target) != nullptr && !config.force) {
    return Unavailable(config, "an interface of that name exists; choose another name, or remove ",
                       "it with 'ip link del ", config.target, "'");
  }
  if (!host.cap_net_admin) {
    return Unavailable(config, "making an interface needs CAP_NET_ADMIN; run it as root");
  }
  return absl::OkStatus();
}

absl::Status CheckMemif(const PortConfig& config) {
  if (!config.memif_server) return absl::OkStatus();  // a client waits for its server
  const std::filesystem::path parent = std::filesystem::path(config.target).parent_path();
  std::error_code error;
  if (!parent.empty() && !std::filesystem::is_directory(parent, error)) {
    return Unavailable(config, "the directory ", parent.string(), " does not exist");
  }
  return absl::OkStatus();
}

absl::Status CheckPci(const PortConfig& config, const HostNetwork& host) {
  const auto& devices = host.ethernet_devices;
  const auto device = std::find_if(devices.begin(), devices.end(),
                                   [&](const auto& each) { return each.address == config.target; });
  if (device == devices.end()) {
    std::vector<std::string> addresses;
    for (const auto& each : devices) addresses.push_back(each.address);
    return Unavailable(config, "no network device with that address; there ",
                       addresses.empty() ? std::string("is none")
                                         : absl::StrCat("are ", absl::StrJoin(addresses, ", ")));
  }
  for (const std::string& name : device->interfaces) {
    const HostNetwork::Interface* interface = host.Find(name);
    if (interface != nullptr && interface->default_route && !config.force) {
      return Unavailable(config, "refused: it is ", name, ", which carries the default route; ",
                         "add ,force=yes if you mean it");
    }
  }
  const std::string& driver = device->driver;
  const bool usable = driver == "vfio-pci" || driver == "uio_pci_generic" || driver == "igb_uio" ||
                      absl::StartsWith(driver, "mlx");
  if (!usable) {
    return Unavailable(config, "the device is bound to ", driver.empty() ? "no driver" : driver,
                       "; bind it with 'dpdk-devbind.py -b vfio-pci ", config.target, "'");
  }
  return absl::OkStatus();
}

}  // namespace

DpdkPortOptions PortConfig::PortOptions() const {
  DpdkPortOptions options;
  options.mtu = mtu;
  options.rx_checksum = rx_checksum;
  options.tx_checksum = tx_checksum;
  return options;
}

const HostNetwork::Interface* HostNetwork::Find(absl::string_view name) const {
  for (const Interface& each : interfaces) {
    if (each.name == name) return &each;
  }
  return nullptr;
}

absl::StatusOr<PortConfig> ParsePortConfig(absl::string_view text) {
  PortConfig config;
  config.text = std::string(text);
  const absl::string_view name = text.substr(0, text.find_first_of(":,"));
  const auto kind = std::find_if(std::begin(kKinds), std::end(kKinds),
                                 [&](const KindName& each) { return each.name == name; });
  if (name == "kernel") {
    return absl::InvalidArgumentError(
        "kernel: this is a TCP of its own and does not load with Linux's; afpacket:IFACE or "
        "tap:NAME go over the kernel's interfaces, and the program wrk or h2load uses its TCP");
  }
  if (kind == std::end(kKinds)) {
    return absl::InvalidArgumentError(absl::StrCat("'", text, "' names no device; write ", kForms));
  }
  config.kind = kind->kind;
  absl::string_view rest = text.substr(name.size());
  const bool has_target = absl::StartsWith(rest, ":");
  if (has_target) rest.remove_prefix(1);
  if (config.kind == DeviceKind::kVdev) {  // its commas are DPDK's
    config.target = std::string(rest);
    rest = "";
  } else {
    config.target = std::string(rest.substr(0, rest.find(',')));
    rest.remove_prefix(config.target.size());
  }
  if (kind->target.empty() ? has_target : config.target.empty()) {
    return Wrong(config, "write it as ", name, kind->target.empty() ? "" : ":", kind->target);
  }
  if (absl::Status status = CheckTarget(config); !status.ok()) return status;
  if (!rest.empty()) {
    for (absl::string_view option : absl::StrSplit(rest.substr(1), ',')) {
      if (absl::Status status = ParseOption(option, config); !status.ok()) return status;
    }
  }
  return config;
}

absl::Status CheckPortConfig(const PortConfig& config, const HostNetwork& host) {
  switch (config.kind) {
    case DeviceKind::kRing:
    case DeviceKind::kVdev:
      return absl::OkStatus();
    case DeviceKind::kTap:
      return CheckTap(config, host);
    case DeviceKind::kMemif:
      return CheckMemif(config);
    case DeviceKind::kPci:
      return CheckPci(config, host);
    case DeviceKind::kBond:
      return CheckBond(config, host);
    case DeviceKind::kAfPacket:
    case DeviceKind::kAfXdp:
      break;
  }
  if (absl::Status status = CheckInterface(config, host); !status.ok()) return status;
  if (config.kind == DeviceKind::kAfXdp && !host.cap_sys_admin) {
    return Unavailable(config, "AF_XDP loads a BPF program, which needs CAP_SYS_ADMIN; run it as ",
                       "root, or use afpacket:", config.target);
  }
  if (!host.cap_net_raw || !host.cap_net_admin) {
    return Unavailable(config, "a packet socket needs CAP_NET_RAW and CAP_NET_ADMIN; run it as ",
                       "root, or allow the program: 'setcap cap_net_raw,cap_net_admin+ep PROGRAM'");
  }
  return absl::OkStatus();
}

std::string PortConfigWarning(const PortConfig& config, const HostNetwork& host) {
  if (config.kind != DeviceKind::kAfPacket) return "";
  const HostNetwork::Interface* interface = host.Find(config.target);
  if (interface == nullptr || !interface->has_ipv4) return "";
  // The kernel receives every frame too.
  return absl::StrCat(config.text, ": the kernel has an address on ", config.target,
                      " and will answer for it (with RST); use another address here, or remove "
                      "that one");
}

}  // namespace millrace::dpdk

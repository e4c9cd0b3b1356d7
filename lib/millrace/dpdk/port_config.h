// dpdk/port_config.h - `--dev`: from what the user writes to an open port.
//
//   ring                     two ports joined in the process (dpdk/ring_pair.h), the default
//   afpacket:IFACE           a kernel interface through a packet socket; CAP_NET_RAW, CAP_NET_ADMIN
//   afxdp:IFACE              a kernel interface through AF_XDP; root
//   tap:NAME                 a new kernel interface that leads here; CAP_NET_ADMIN
//   memif:PATH[,role=R]      shared memory with another process; R is client (default) or server
//   pci:ADDRESS              a NIC bound to vfio-pci (or mlx5)
//   bond:DEV+DEV             two or more of pci and tap as one port (dpdk/bond.h)
//   vdev:RAW                 a DPDK virtual device as DPDK writes it: vdev:net_null0,size=64
//
// Options behind the target, except for vdev: ,mtu=N ,rx_checksum=auto|software|device|trusted
// ,tx_checksum=auto|software|device ,force=yes (use an interface that carries the default route)
// ,queues=N (queue pairs; default: one per worker, as far as the device has them; a memif has one,
// and both its ends have to say the same and have as many workers; a bond has one; afxdp needs as
// many as the interface has, because frames of the others go to the kernel).
//
// rx_checksum=trusted. A Linux sender on the other end of a veth pair leaves the TCP checksum to
// the "hardware" (only the pseudo-header sum is in the frame), and afpacket and afxdp hand us the
// frame so: DPDK 22.11 does not pass on the kernel's note of it (TP_STATUS_CSUMNOTREADY). Either
// the sender stops that, `ethtool -K PEER tx off` (best: it also ends frames larger than the MTU),
// or this option makes us not look. tap needs neither: the kernel completes the sum for a tap.
//
// Everything is checked before DPDK sees it, so that a mistake gets one line that says what to do.
#ifndef MILLRACE_DPDK_PORT_CONFIG_H_
#define MILLRACE_DPDK_PORT_CONFIG_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "millrace/dpdk/bond_watch.h"
#include "millrace/dpdk/dpdk_port.h"
#include "millrace/dpdk/offload.h"

namespace millrace::dpdk {

enum class DeviceKind : uint8_t { kRing, kAfPacket, kAfXdp, kTap, kMemif, kPci, kBond, kVdev };

struct PortConfig {
  DeviceKind kind = DeviceKind::kRing;
  std::string text;     // as the user wrote it, for messages
  std::string target;   // interface, name, path, PCI address with domain, or raw vdev; "" for ring
  uint16_t mtu = 0;     // 0: the device's
  uint16_t queues = 0;  // pairs, at most; 0: see above
  bool memif_server = false;
  bool force = false;
  ChecksumPolicy rx_checksum = ChecksumPolicy::kAuto;
  ChecksumPolicy tx_checksum = ChecksumPolicy::kAuto;
  std::vector<PortConfig> members;  // of a bond

  // These settings, for DpdkPort. The rest of DpdkPortOptions keeps its defaults.
  DpdkPortOptions PortOptions() const;
  // What EAL has to be allowed: its own PCI device, or those that it bonds.
  std::vector<std::string> PciAddresses() const;
};

// What matters of the machine, so that the checks can be tested without one.
struct HostNetwork {
  struct Interface {
    std::string name;
    bool up = false;
    uint16_t mtu = 1500;
    uint16_t rx_queues = 1;
    bool has_ipv4 = false;
    bool default_route = false;
  };
  struct PciDevice {
    std::string address;                  // "0000:41:00.1"
    std::string driver;                   // "" when none is bound
    std::vector<std::string> interfaces;  // of the kernel, on this device
  };
  std::vector<Interface> interfaces;
  std::vector<PciDevice> ethernet_devices;
  bool cap_net_raw = false, cap_net_admin = false, cap_sys_admin = false;
  bool tun_device = false;  // /dev/net/tun exists

  const Interface* Find(absl::string_view name) const;
};
HostNetwork ReadHostNetwork();  // of the network namespace of the calling thread

// Syntax only.
absl::StatusOr<PortConfig> ParsePortConfig(absl::string_view text);
// Whether this machine and this user can have that port.
absl::Status CheckPortConfig(const PortConfig& config, const HostNetwork& host);
// A socket of AF_XDP hears one queue of an interface: whether so many workers hear all.
absl::Status CheckXdpQueues(const PortConfig& config, const HostNetwork& host, uint32_t workers);
// A thing that will probably go wrong although the port can be opened; "" when there is none.
std::string PortConfigWarning(const PortConfig& config, const HostNetwork& host);

// "net_af_packet0" and "iface=veth0,...". `index` makes the name unique in the process.
// REQUIRES: kind is none of kRing, kPci, kBond.
struct VdevName {
  std::string name, arguments;
};
VdevName VdevFor(const PortConfig& config, const HostNetwork& host, uint32_t index,
                 uint32_t queues = 1, uint32_t first_queue = 0);
// Octets that af_packet wants of a packet for this MTU: its frame size is a power of two.
uint32_t AfPacketFrameOctets(uint16_t mtu);

class OutputCapture;  // dpdk/eal.h

// A real device, with a port for each worker. Stops, closes and removes in that order.
class AttachedPort {
 public:
  // Checks the configuration and opens it. REQUIRES: Eal has started, with PciAddresses() among
  // EalOptions::pci_allowed; kind is not kRing; 1 <= workers <= Steering::kWorkersMax.
  // With several workers the device gets as many queue pairs as it has, and the key and table of a
  // steering drawn here if it can hash.
  // With a dispatcher, worker 0 has the only queue pair and hands every frame to the others.
  static absl::StatusOr<std::unique_ptr<AttachedPort>> Open(const PortConfig& config,
                                                            DpdkPortOptions options,
                                                            uint32_t workers = 1,
                                                            bool dispatcher = false);
  static absl::StatusOr<std::unique_ptr<AttachedPort>> Open(const PortConfig& config) {
    return Open(config, config.PortOptions());
  }
  ~AttachedPort();
  AttachedPort(const AttachedPort&) = delete;
  AttachedPort& operator=(const AttachedPort&) = delete;

  // Of a worker; of one beyond queues() see stack/steered_port.h.
  DpdkPort& port(uint32_t worker = 0) { return worker == 0 ? *port_ : *more_[worker - 1]; }
  uint32_t workers() const { return 1 + static_cast<uint32_t>(more_.size()); }
  uint32_t queues() const { return queues_; }
  // Null with one worker.
  const stack::Steering* steering() const { return steering_ ? &*steering_ : nullptr; }
  // Of all its ports together. REQUIRES: none is polled. Microseconds.
  DpdkPortCounters ReadCounters() const;

 private:
  AttachedPort() = default;
  absl::StatusOr<std::vector<std::string>> MakeDevices(const PortConfig& config,
                                                       const HostNetwork& host, uint32_t queues,
                                                       OutputCapture& capture);
  absl::Status Adapt(const PortConfig& config, const HostNetwork& host, uint16_t port_id,
                     DpdkPortOptions* options);
  absl::Status OpenPorts(const std::vector<uint16_t>& ids, const PortConfig& config,
                         DpdkPortOptions options, uint32_t workers, bool dispatcher);

  std::vector<std::string> vdev_names_;    // in the order in which they were made
  std::vector<std::string> bonded_;        // what stands below a bond
  std::shared_ptr<PacketPool> bond_pool_;  // which outlives those
  uint32_t queues_ = 1;
  std::optional<stack::Steering> steering_;
  std::unique_ptr<DpdkPort> port_;
  std::vector<std::unique_ptr<DpdkPort>> more_;  // ended before port_
  std::unique_ptr<BondWatch> bond_watch_;        // of a bond; ended first
};

}  // namespace millrace::dpdk

#endif  // MILLRACE_DPDK_PORT_CONFIG_H_

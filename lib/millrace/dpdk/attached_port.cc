// dpdk/attached_port.cc - makes a device of a PortConfig and opens a port on it.
#include <rte_bus.h>
#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_ethdev.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstring>
#include <functional>
#include <string>

#include "absl/strings/str_cat.h"
#include "millrace/base/secret.h"
#include "millrace/dpdk/eal.h"
#include "millrace/dpdk/port_config.h"

namespace millrace::dpdk {
namespace {

constexpr uint32_t kAfPacketFrames = 2048;  // per direction
constexpr uint32_t kAfPacketBlockOctets = 65'536;
constexpr uint32_t kAfPacketOverhead = 128;  // tpacket2_hdr, sockaddr_ll, Ethernet, VLAN, alignment
constexpr uint16_t kMemifRoomOctets = 2048;

uint16_t MtuOf(const PortConfig& config, const HostNetwork& host) {
  if (config.mtu != 0) return config.mtu;
  const HostNetwork::Interface* interface = host.Find(config.target);
  const uint16_t mtu = interface == nullptr ? uint16_t{1500} : interface->mtu;
  return std::clamp<uint16_t>(mtu, 68, 9216);
}

absl::Status AttachError(const PortConfig& config, int error, const std::string& log) {
  const std::string line = MostRelevantLine(log);
  return absl::FailedPreconditionError(
      absl::StrCat(config.text, ": DPDK cannot open the device: ", rte_strerror(std::abs(error)),
                   line.empty() ? "" : absl::StrCat(" (", line, ")")));
}

// A memif has one when nothing is said: the driver (22.11) takes a queue that the other end does
// not have for the first one, which two workers would then read.
uint32_t QueuesMax(const PortConfig& config) {
  if (config.queues != 0) return config.queues;
  return config.kind == DeviceKind::kMemif ? 1 : UINT32_MAX;
}

// The same at every start, where the driver would draw one: a peer that still knows us from an
// earlier run would send to that for half a minute.
MacAddress MemifMac(const PortConfig& config) {
  const uint64_t hash = std::hash<std::string>()(config.target);
  MacAddress mac{{2, static_cast<uint8_t>(config.memif_server ? 1 : 2)}};
  for (size_t i = 2; i < mac.octets.size(); ++i) {
    mac.octets[i] = static_cast<uint8_t>(hash >> (8 * i));
  }
  return mac;
}

}  // namespace

uint32_t AfPacketFrameOctets(uint16_t mtu) {
  return std::bit_ceil(std::max<uint32_t>(mtu + kAfPacketOverhead, 2048));
}

VdevName VdevFor(const PortConfig& config, const HostNetwork& host, uint32_t index,
                 uint32_t queues) {
  switch (config.kind) {
    case DeviceKind::kAfPacket: {
      // The driver assumes that frames lie side by side: the frame size divides the block size.
      const uint32_t frame = AfPacketFrameOctets(MtuOf(config, host));
      return {absl::StrCat("net_af_packet", index),
              absl::StrCat("iface=", config.target, ",qpairs=", queues, ",framesz=", frame,
                           ",framecnt=", kAfPacketFrames,
                           ",blocksz=", std::max(frame, kAfPacketBlockOctets))};
    }
    case DeviceKind::kAfXdp:
      return {absl::StrCat("net_af_xdp", index),
              absl::StrCat("iface=", config.target, ",start_queue=0,queue_count=", queues)};
    case DeviceKind::kTap:
      return {absl::StrCat("net_tap", index), absl::StrCat("iface=", config.target)};
    case DeviceKind::kMemif:
      return {absl::StrCat("net_memif", index),
              absl::StrCat("role=", config.memif_server ? "server" : "client",
                           ",socket-abstract=no,socket=", config.target, ",bsize=",
                           std::max<uint32_t>(kMemifRoomOctets, std::bit_ceil(config.mtu + 64u)),
                           ",mac=", MemifMac(config).ToString())};
    default:
      break;
  }
  const size_t comma = config.target.find(',');
  return {config.target.substr(0, comma),
          comma == std::string::npos ? "" : config.target.substr(comma + 1)};
}

absl::StatusOr<std::unique_ptr<AttachedPort>> AttachedPort::Open(const PortConfig& config,
                                                                 DpdkPortOptions options,
                                                                 uint32_t workers,
                                                                 bool dispatcher) {
  const HostNetwork host = ReadHostNetwork();
  if (absl::Status status = CheckPortConfig(config, host); !status.ok()) return status;

  std::unique_ptr<AttachedPort> attached(new AttachedPort);
  std::string device_name = config.target;  // what EAL calls the PCI device that it has probed
  OutputCapture capture;
  if (config.kind != DeviceKind::kPci) {
    // tidy: allow(mutable-global) names of virtual devices are unique in the process
    static std::atomic<uint32_t> next_index{0};
    const uint32_t queues = std::min(dispatcher ? 1 : workers, QueuesMax(config));
    const VdevName vdev = VdevFor(config, host, next_index.fetch_add(1), queues);
    device_name = vdev.name;
    const int error = rte_eal_hotplug_add("vdev", vdev.name.c_str(), vdev.arguments.c_str());
    if (error != 0) return AttachError(config, error, capture.Stop());
    attached->vdev_name_ = vdev.name;
  }
  uint16_t port_id = 0;
  if (rte_eth_dev_get_port_by_name(device_name.c_str(), &port_id) != 0) {
    return AttachError(config, ENODEV, capture.Stop());
  }
  if (config.kind == DeviceKind::kAfPacket) {
    if (options.mtu == 0) options.mtu = MtuOf(config, host);
    options.mtu_set_outside = true;
    options.room_octets_min = std::max(options.room_octets_min, AfPacketFrameOctets(options.mtu));
  }
  if (config.kind == DeviceKind::kTap && !options.mac.has_value()) {
    // The device tells the address of the kernel's end. Ours has to be another one: the engine and
    // the kernel both ignore ARP packets that claim to come from their own.
    rte_ether_addr kernel_end{};
    rte_eth_macaddr_get(port_id, &kernel_end);
    MacAddress ours;
    std::memcpy(ours.octets.data(), kernel_end.addr_bytes, ours.octets.size());
    ours.octets[5] ^= 1;
    options.mac = ours;
  }
  // The driver tells 1500, but what a packet may have is what the buffers were made for.
  if (config.kind == DeviceKind::kMemif) options.mtu_set_outside = true;
  const absl::Status opened = attached->OpenPorts(port_id, config, options, workers, dispatcher);
  const std::string log = capture.Stop();
  if (!opened.ok() && config.kind == DeviceKind::kMemif && !config.memif_server) {
    // The driver connects when it starts, and calls every failure "not permitted".
    return absl::UnavailableError(
        absl::StrCat(config.text, ": nobody listens there: start the end with role=server first"));
  }
  if (!opened.ok()) {
    const std::string line = MostRelevantLine(log);
    return absl::Status(opened.code(),
                        absl::StrCat(config.text, ": ", opened.message(),
                                     line.empty() ? "" : absl::StrCat(" (", line, ")")));
  }
  return attached;
}

absl::Status AttachedPort::OpenPorts(uint16_t port_id, const PortConfig& config,
                                     DpdkPortOptions options, uint32_t workers, bool dispatcher) {
  if (workers > 1) {
    const auto device = ReadDeviceQueues(port_id);
    if (!device.ok()) return device.status();
    queues_ = std::min<uint32_t>(workers, device->pairs_max);
    using stack::Steering;
    const bool hashes = device->table_entries >= Steering::kBucketsMin;
    // net_e1000_em offers a second pair that neither receives nor sends.
    if (config.kind == DeviceKind::kPci && !hashes) queues_ = 1;
    if (config.queues != 0) queues_ = device->pairs_max;
    queues_ = std::min({queues_, QueuesMax(config), dispatcher ? 1 : workers});
    const uint32_t buckets = hashes
                                 ? std::min<uint32_t>(device->table_entries, Steering::kBucketsMax)
                                 : Steering::kBucketsMax;
    steering_.emplace(Steering::DrawPattern(RandomSipKey().k0, buckets), buckets, workers,
                      dispatcher ? 1 : 0);
    options.queues = static_cast<uint16_t>(queues_);
    options.steering = &*steering_;
  }
  auto port = DpdkPort::Create(port_id, options);
  if (!port.ok()) return port.status();
  port_ = *std::move(port);
  for (uint32_t worker = 1; worker < workers; ++worker) {
    more_.push_back(DpdkPort::OfQueue(*port_, static_cast<uint16_t>(worker)));
  }
  return absl::OkStatus();
}

AttachedPort::~AttachedPort() {
  OutputCapture capture;
  more_.clear();
  port_.reset();
  if (!vdev_name_.empty()) rte_eal_hotplug_remove("vdev", vdev_name_.c_str());
}

}  // namespace millrace::dpdk

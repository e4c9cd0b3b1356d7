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
#include "millrace/dpdk/bond.h"
#include "millrace/dpdk/bond_watch.h"
#include "millrace/dpdk/eal.h"
#include "millrace/dpdk/pipe_signal.h"
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
  uint16_t mtu = interface == nullptr ? uint16_t{1500} : interface->mtu;
  for (const PortConfig& member : config.members) mtu = std::min(mtu, MtuOf(member, host));
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
// Of a bond the driver knows only later what its ports have.
uint32_t QueuesMax(const PortConfig& config) {
  if (config.queues != 0) return config.queues;
  const bool one = config.kind == DeviceKind::kMemif || config.kind == DeviceKind::kBond;
  return one ? 1 : UINT32_MAX;
}

uint32_t QueuesOfInterface(const PortConfig& config, const HostNetwork& host) {
  const HostNetwork::Interface* interface = host.Find(config.target);
  return interface == nullptr ? 1 : interface->rx_queues;
}

// Of the devices that EAL knows by these names.
std::vector<uint16_t> IdsOf(const std::vector<std::string>& names) {
  std::vector<uint16_t> ids;
  for (const std::string& name : names) {
    uint16_t id = 0;
    if (rte_eth_dev_get_port_by_name(name.c_str(), &id) == 0) ids.push_back(id);
  }
  return ids;
}

// Queue pairs that a virtual device is asked for when so many workers receive.
uint32_t QueuesFor(const PortConfig& config, const HostNetwork& host, uint32_t workers) {
  const uint32_t queues = std::min(workers, QueuesMax(config));
  // The kernel refuses a socket for a queue that the interface does not have.
  return config.kind == DeviceKind::kAfXdp ? std::min(queues, QueuesOfInterface(config, host))
                                           : queues;
}

// The same at every start, where the driver would draw one: a peer that still knows us from an
// earlier run would send to that for half a minute.
MacAddress FixedMac(const PortConfig& config) {
  const uint64_t hash = std::hash<std::string>()(config.target);
  MacAddress mac{{2, static_cast<uint8_t>(config.memif_server ? 1 : 2)}};
  for (size_t i = 2; i < mac.octets.size(); ++i) {
    mac.octets[i] = static_cast<uint8_t>(hash >> (8 * i));
  }
  return mac;
}

}  // namespace

absl::Status CheckXdpQueues(const PortConfig& config, const HostNetwork& host, uint32_t workers) {
  if (config.kind != DeviceKind::kAfXdp || config.queues != 0) return absl::OkStatus();
  const uint32_t queues = QueuesOfInterface(config, host);
  if (queues <= workers) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      config.text, ": the interface has ", queues, " receive queues for ", workers,
      " worker(s), and what comes in by the others goes to the kernel; give it as many --cores, "
      "or ",
      "run 'ethtool -L ", config.target, " combined ", workers, "' (a veth: rx ", workers, ")"));
}

uint32_t AfPacketFrameOctets(uint16_t mtu) {
  return std::bit_ceil(std::max<uint32_t>(mtu + kAfPacketOverhead, 2048));
}

VdevName VdevFor(const PortConfig& config, const HostNetwork& host, uint32_t index, uint32_t queues,
                 uint32_t first_queue) {
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
              absl::StrCat("iface=", config.target, ",start_queue=", first_queue,
                           ",queue_count=", queues)};
    case DeviceKind::kTap:
      return {absl::StrCat("net_tap", index), absl::StrCat("iface=", config.target)};
    case DeviceKind::kMemif:
      return {absl::StrCat("net_memif", index),
              absl::StrCat("role=", config.memif_server ? "server" : "client",
                           ",socket-abstract=no,socket=", config.target, ",bsize=",
                           std::max<uint32_t>(kMemifRoomOctets, std::bit_ceil(config.mtu + 64u)),
                           ",mac=", FixedMac(config).ToString())};
    default:
      break;
  }
  const size_t comma = config.target.find(',');
  return {config.target.substr(0, comma),
          comma == std::string::npos ? "" : config.target.substr(comma + 1)};
}

// A virtual device for the port; for AF_XDP one per queue: the driver (22.11) refuses several where
// the kernel counts queues for receiving apart from those for sending, as for a veth. Of a bond its
// ports come first.
absl::StatusOr<std::vector<std::string>> AttachedPort::MakeDevices(const PortConfig& config,
                                                                   const HostNetwork& host,
                                                                   uint32_t queues,
                                                                   OutputCapture& capture) {
  // tidy: allow(mutable-global) names of virtual devices are unique in the process
  static std::atomic<uint32_t> next_index{0};
  if (config.kind == DeviceKind::kPci) return std::vector{config.target};  // EAL has probed it
  for (PortConfig member : config.members) {
    member.mtu = config.mtu;
    auto made = MakeDevices(member, host, queues, capture);
    if (!made.ok()) return made.status();
    bonded_.push_back(made->front());
  }
  const bool one_each = config.kind == DeviceKind::kAfXdp;
  std::vector<std::string> names;
  for (uint32_t queue = 0; queue < (one_each ? queues : 1); ++queue) {
    const uint32_t index = next_index.fetch_add(1);
    const VdevName vdev = config.kind == DeviceKind::kBond
                              ? BondVdev(index, bonded_)
                              : VdevFor(config, host, index, one_each ? 1 : queues, queue);
    const int error = rte_eal_hotplug_add("vdev", vdev.name.c_str(), vdev.arguments.c_str());
    if (error != 0) return AttachError(config, error, capture.Stop());
    vdev_names_.push_back(vdev.name);
    names.push_back(vdev.name);
  }
  return names;
}

absl::StatusOr<std::unique_ptr<AttachedPort>> AttachedPort::Open(const PortConfig& config,
                                                                 DpdkPortOptions options,
                                                                 uint32_t workers,
                                                                 bool dispatcher) {
  const HostNetwork host = ReadHostNetwork();
  if (absl::Status status = CheckPortConfig(config, host); !status.ok()) return status;
  const uint32_t receivers = dispatcher ? 1 : workers;
  if (absl::Status status = CheckXdpQueues(config, host, receivers); !status.ok()) return status;

  const PipeSignalBlocker blocker;
  std::unique_ptr<AttachedPort> attached(new AttachedPort);
  OutputCapture capture;
  const auto names =
      attached->MakeDevices(config, host, QueuesFor(config, host, receivers), capture);
  if (!names.ok()) return names.status();
  std::vector<uint16_t> ids(names->size());
  for (size_t i = 0; i < ids.size(); ++i) {
    if (rte_eth_dev_get_port_by_name((*names)[i].c_str(), &ids[i]) != 0) {
      return AttachError(config, ENODEV, capture.Stop());
    }
  }
  absl::Status opened = attached->Adapt(config, host, ids.front(), &options);
  if (opened.ok()) opened = attached->OpenPorts(ids, config, options, workers, dispatcher);
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

// What drivers want that do not say it themselves.
absl::Status AttachedPort::Adapt(const PortConfig& config, const HostNetwork& host,
                                 uint16_t port_id, DpdkPortOptions* options) {
  if (config.kind == DeviceKind::kAfPacket) {
    if (options->mtu == 0) options->mtu = MtuOf(config, host);
    options->mtu_set_outside = true;
    options->room_octets_min =
        std::max(options->room_octets_min, AfPacketFrameOctets(options->mtu));
  }
  const bool bonds_taps =
      std::any_of(config.members.begin(), config.members.end(),
                  [](const PortConfig& member) { return member.kind == DeviceKind::kTap; });
  if ((config.kind == DeviceKind::kTap || bonds_taps) && !options->mac.has_value()) {
    // The device tells the address of the kernel's end. Ours has to be another one: the engine and
    // the kernel both ignore ARP packets that claim to come from their own. A bond has none yet: it
    // draws one, as the driver of a tap does, because its text is the same on other machines.
    MacAddress ours;
    if (bonds_taps) {
      rte_eth_random_addr(ours.octets.data());
    } else {
      rte_ether_addr kernel_end{};
      rte_eth_macaddr_get(port_id, &kernel_end);
      std::memcpy(ours.octets.data(), kernel_end.addr_bytes, ours.octets.size());
      ours.octets[5] ^= 1;
    }
    options->mac = ours;
  }
  // The driver tells 1500, but what a packet may have is what the buffers were made for.
  if (config.kind == DeviceKind::kMemif) options->mtu_set_outside = true;
  if (config.kind != DeviceKind::kBond) return absl::OkStatus();
  // The ports of a bond are closed behind it, and give their packets back then.
  options->mtu = MtuOf(config, host);
  const uint32_t room = std::max<uint32_t>(RTE_MBUF_DEFAULT_DATAROOM, options->mtu + 64u);
  auto pool = PacketPool::Create(options->packets, room, SOCKET_ID_ANY);
  if (!pool.ok()) return pool.status();
  options->pool = bond_pool_ = *std::move(pool);
  return absl::OkStatus();
}

absl::Status AttachedPort::OpenPorts(const std::vector<uint16_t>& ids, const PortConfig& config,
                                     DpdkPortOptions options, uint32_t workers, bool dispatcher) {
  if (workers > 1) {
    const auto device = ReadDeviceQueues(ids.front());
    if (!device.ok()) return device.status();
    const auto pairs_max = std::max<uint32_t>(device->pairs_max, static_cast<uint32_t>(ids.size()));
    queues_ = std::min<uint32_t>(workers, pairs_max);
    using stack::Steering;
    const bool hashes = device->table_entries >= Steering::kBucketsMin;
    // net_e1000_em offers a second pair that neither receives nor sends.
    if (config.kind == DeviceKind::kPci && !hashes) queues_ = 1;
    if (config.queues != 0) queues_ = pairs_max;
    queues_ = std::min({queues_, QueuesMax(config), dispatcher ? 1 : workers});
    const uint32_t buckets = hashes
                                 ? std::min<uint32_t>(device->table_entries, Steering::kBucketsMax)
                                 : Steering::kBucketsMax;
    steering_.emplace(Steering::DrawPattern(RandomSipKey().k0, buckets), buckets, workers,
                      dispatcher ? 1 : 0);
    options.queues = static_cast<uint16_t>(ids.size() > 1 ? 1 : queues_);
    options.steering = &*steering_;
  }
  auto port = DpdkPort::Create(ids.front(), options);
  if (!port.ok()) return port.status();
  port_ = *std::move(port);
  options.pool = port_->pool();
  if (config.kind == DeviceKind::kBond) {
    bond_watch_ = std::make_unique<BondWatch>(ids.front(), IdsOf(bonded_));
  }
  for (uint32_t worker = 1; worker < workers; ++worker) {
    if (worker >= ids.size()) {
      more_.push_back(DpdkPort::OfQueue(*port_, static_cast<uint16_t>(worker)));
      continue;
    }
    auto other = DpdkPort::Create(ids[worker], options);
    if (!other.ok()) return other.status();
    more_.push_back(*std::move(other));
  }
  return absl::OkStatus();
}

DpdkPortCounters AttachedPort::ReadCounters() const {
  DpdkPortCounters sum = port_->ReadCounters();
  if (bond_watch_ != nullptr) sum.bond_failovers = bond_watch_->changes();
  for (const auto& port : more_) {
    const DpdkPortCounters own = port->ReadCounters();
    sum.rx_linearize_failed += own.rx_linearize_failed;
    sum.tx_rejected += own.tx_rejected;
    // A device counts the rest for all its queues.
    if (port->port_id() != port_->port_id()) sum.AddDevice(own);
  }
  return sum;
}

AttachedPort::~AttachedPort() {
  const PipeSignalBlocker blocker;
  OutputCapture capture;
  bond_watch_.reset();
  more_.clear();
  port_.reset();
  for (const uint16_t id : IdsOf(bonded_)) rte_eth_dev_close(id);
  for (auto name = vdev_names_.rbegin(); name != vdev_names_.rend(); ++name) {
    rte_eal_hotplug_remove("vdev", name->c_str());
  }
}

}  // namespace millrace::dpdk

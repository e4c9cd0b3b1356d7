#include "apps/common/setup.h"

#include <algorithm>
#include <cstdio>
#include <utility>
#include <variant>

#include "apps/common/hosted_stack.h"
#include "millrace/dpdk/packet_pool.h"

namespace millrace::apps {
namespace {

absl::Status SetAddresses(const DeviceFlags& flags, stack::EngineConfig* config) {
  const std::optional<IpPrefix> address = IpPrefix::Parse(flags.ip);
  if (!address || !address->address.IsV4()) {
    return absl::InvalidArgumentError("--ip \"" + flags.ip +
                                      "\" is no IPv4 address with its network; write 10.1.0.1/24");
  }
  config->address = *address;
  if (flags.gw.empty()) return absl::OkStatus();
  const std::optional<IpAddress> gateway = IpAddress::Parse(flags.gw);
  if (!gateway || !gateway->IsV4()) {
    return absl::InvalidArgumentError("--gw \"" + flags.gw + "\" is no IPv4 address");
  }
  if (!address->Contains(*gateway)) {
    return absl::InvalidArgumentError("--gw " + flags.gw + " is not in the network of --ip " +
                                      flags.ip);
  }
  config->gateway_v4 = gateway->v4();
  return absl::OkStatus();
}

}  // namespace

void TcpFlags::AddTo(CLI::App& app) {
  AddDuration(app, {"--time-wait", "TIME", "length of TIME-WAIT, 1s to 240s", "60s"}, &time_wait,
              Duration::Seconds(1), Duration::Seconds(240));
  app.add_flag("--no-timestamps", no_timestamps, "do not offer or accept TCP timestamps");
  app.add_flag("--no-window-scaling", no_window_scaling, "do not offer or accept window scaling");
  app.add_flag("--no-sack", no_sack, "do not offer or accept SACK-permitted");
}

tcp::Config TcpFlags::Config() const {
  tcp::Config config;
  config.time_wait = time_wait;
  config.timestamps = !no_timestamps;
  config.window_scaling = !no_window_scaling;
  config.sack_permitted = !no_sack;
  return config;
}

std::string TcpFlags::OptionsText() const {
  std::string text = "MSS";
  if (!no_timestamps) text += ", timestamps";
  if (!no_window_scaling) text += ", window scaling";
  if (!no_sack) text += ", SACK-permitted";
  return text;
}

void MachineFlags::AddTo(CLI::App& app) {
  app.add_flag("--no-huge", no_huge, "plain memory even when there are huge pages");
  AddCount(app, {"--memory-mb", "N", "memory for packets, MB (default: what they need)", ""},
           &memory_mb, 32, 1'000'000);
  app.add_option("--impair", impair,
                 "a bad network, both ways: loss=1%,delay=20ms,jitter=2ms,reorder=1%,...")
      ->type_name("SPEC");
}

absl::StatusOr<std::optional<sim::Impairment>> MachineFlags::Impairment() const {
  if (impair.empty()) return std::optional<sim::Impairment>();
  std::variant<sim::Impairment, std::string> parsed = sim::ParseImpairment(impair);
  if (const std::string* error = std::get_if<std::string>(&parsed)) {
    return absl::InvalidArgumentError("--impair: " + *error);
  }
  return std::optional<sim::Impairment>(std::get<sim::Impairment>(parsed));
}

uint32_t MachineFlags::MemoryMb(uint64_t packets) const {
  if (memory_mb != 0) return memory_mb;
  constexpr uint32_t kRoomBytes = 2048;
  const uint64_t bytes =
      dpdk::PacketPool::MemoryBytes(static_cast<uint32_t>(packets), kRoomBytes);
  // A third more for rings, device queues and what alignment costs.
  return static_cast<uint32_t>(std::max<uint64_t>(128, (bytes + bytes / 3) >> 20) + 32);
}

void DeviceFlags::AddTo(CLI::App& app) {
  app.add_option("--dev", dev,
                 "the port: afpacket:IFACE, tap:NAME, afxdp:IFACE, memif:PATH, pci:ADDRESS")
      ->type_name("DEV")
      ->required();
  app.add_option("--ip", ip, "our address and its network: 10.1.0.1/24")
      ->type_name("IP/LEN")
      ->required();
  app.add_option("--gw", gw, "gateway to other networks")->type_name("IP");
  app.add_option("--idle", idle, "when there is nothing to do: poll, yield or sleep (50 us)")
      ->type_name("MODE")
      ->default_str("sleep");
  machine.AddTo(app);
}

absl::StatusOr<dpdk::IdleMode> ParseIdle(const std::string& text) {
  if (text == "poll") return dpdk::IdleMode::kPoll;
  if (text == "yield") return dpdk::IdleMode::kYield;
  if (text == "sleep") return dpdk::IdleMode::kSleep;
  return absl::InvalidArgumentError("--idle \"" + text + "\" is none of poll, yield, sleep");
}

absl::StatusOr<Device> OpenDevice(const DeviceFlags& flags, const TcpFlags& tcp) {
  Device device;
  device.config.tcp = tcp.Config();
  device.config.pages = flags.machine.pages();
  if (absl::Status set = SetAddresses(flags, &device.config); !set.ok()) return set;
  absl::StatusOr<dpdk::IdleMode> idle = ParseIdle(flags.idle);
  if (!idle.ok()) return idle.status();
  device.idle = *idle;
  auto impairment = flags.machine.Impairment();
  if (!impairment.ok()) return impairment.status();
  device.impairment = *impairment;
  absl::StatusOr<dpdk::PortConfig> port = dpdk::ParsePortConfig(flags.dev);
  if (!port.ok()) return port.status();
  if (port->kind == dpdk::DeviceKind::kRing) {
    return absl::InvalidArgumentError(
        "--dev ring has nobody at its other end: use `millrace demo`, or --dev afpacket:IFACE");
  }
  const dpdk::HostNetwork host = dpdk::ReadHostNetwork();
  if (absl::Status check = dpdk::CheckPortConfig(*port, host); !check.ok()) return check;
  const std::string warning = dpdk::PortConfigWarning(*port, host);
  if (!warning.empty()) std::fprintf(stderr, "millrace: warning: %s\n", warning.c_str());

  dpdk::DpdkPortOptions options = port->PortOptions();
  if (device.impairment) options.packets += 2 * kHeldPacketsMax;
  dpdk::EalOptions eal{.memory_mb = flags.machine.MemoryMb(options.packets),
                       .huge_pages = flags.machine.huge_pages()};
  if (port->kind == dpdk::DeviceKind::kPci) eal.pci_allowed.push_back(port->target);
  absl::StatusOr<std::unique_ptr<dpdk::Eal>> started = dpdk::Eal::Start(eal);
  if (!started.ok()) return started.status();
  device.eal = *std::move(started);
  absl::StatusOr<std::unique_ptr<dpdk::AttachedPort>> opened =
      dpdk::AttachedPort::Open(*port, options);
  if (!opened.ok()) return opened.status();
  device.port = *std::move(opened);
  return device;
}

}  // namespace millrace::apps

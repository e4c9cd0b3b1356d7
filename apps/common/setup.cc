#include "apps/common/setup.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "millrace/dpdk/cpus.h"
#include "millrace/dpdk/packet_pool.h"

namespace millrace::apps {
namespace {

std::optional<tcp::CongestionKind> ParseCongestion(const std::string& word) {
  for (int i = 0; i < tcp::kCongestionKinds; ++i) {
    const auto kind = static_cast<tcp::CongestionKind>(i);
    if (word == ToString(kind)) return kind;
  }
  return std::nullopt;
}

std::string MessageOf(const absl::Status& status) { return std::string(status.message()); }

// What is wrong with the value of --dev; of what only a subcommand knows nothing is said here.
std::string WrongDevices(const std::string& list) {
  for (const std::string& text : std::vector<std::string>(absl::StrSplit(list, ';'))) {
    if (text == "auto" || text == "kernel" || text == "ring") continue;
    const auto port = dpdk::ParsePortConfig(text);
    if (!port.ok()) return MessageOf(port.status());
  }
  return "";
}

std::string WrongNetworks(const std::string& list) {
  for (const std::string& text : std::vector<std::string>(absl::StrSplit(list, ','))) {
    const auto address = IpPrefix::Parse(text);
    if (address && address->length_bits > 0) continue;
    return "\"" + text + "\" is no address with its network; write 10.1.0.1/24 or 2001:db8::1/64";
  }
  return "";
}

std::string WrongGateways(const std::string& list) {
  for (const std::string& text : std::vector<std::string>(absl::StrSplit(list, ','))) {
    if (!IpAddress::Parse(text)) return "\"" + text + "\" is no IP address";
  }
  return "";
}

}  // namespace

const char* ToString(tcp::CongestionKind kind) {
  constexpr std::array<const char*, tcp::kCongestionKinds> kNames{"cubic", "newreno", "dctcp",
                                                                  "none", "bbr"};
  return kNames[static_cast<size_t>(kind)];
}

void TcpFlags::AddTo(CLI::App& app) {
  AddDuration(app, {"--time-wait", "TIME", "length of TIME-WAIT, 1s to 240s", "60s"}, &time_wait,
              Duration::Seconds(1), Duration::Seconds(240));
  AddCount(app, {"--mss", "N", "octets of a segment, at most what the MTU allows", "1460"}, &mss,
           216, 9176);
  AddCount(app, {"--ttl", "N", "of packets, or their hop limit", "64"}, &ttl, 1, 255);
  AddParsed(app,
            {"--congestion", "NAME", "what governs the window: cubic, newreno, dctcp, bbr, none",
             "cubic"},
            &congestion, "one of cubic, newreno, dctcp, bbr, none", ParseCongestion);
  app.add_flag("--no-timestamps", no_timestamps, "do not offer or accept TCP timestamps");
  app.add_flag("--no-window-scaling", no_window_scaling, "do not offer or accept window scaling");
  app.add_flag("--no-sack", no_sack, "do not offer or accept SACK-permitted");
}

tcp::Config TcpFlags::Config() const {
  tcp::Config config;
  config.time_wait = time_wait;
  config.mss = mss;
  config.timestamps = !no_timestamps;
  config.window_scaling = !no_window_scaling;
  config.sack_permitted = !no_sack;
  config.congestion = congestion;
  // RFC 8257: DCTCP is for connections that have ECN, so it is asked for.
  if (congestion == tcp::CongestionKind::kDctcp) config.ecn = tcp::Ecn::kActive;
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
  CheckBy(app.add_option("--impair", impair,
                         "a bad network, both ways: loss=1%,delay=20ms,jitter=2ms,reorder=1%,..."),
          [](const std::string& text) {
            const auto parsed = sim::ParseImpairment(text);
            const std::string* const wrong = std::get_if<std::string>(&parsed);
            return wrong == nullptr ? "" : *wrong;
          })
      ->type_name("SPEC");
  AddParsed(app, {"--vlan", "ID", "of the network, 1 to 4094; 0: take priority tags off", ""},
            &vlan, "a VLAN, 0 to 4094", [](const std::string& word) -> std::optional<uint16_t> {
              const auto id = ParseCount(word);
              if (!id || *id > dpdk::kVlanIdMax) return std::nullopt;
              return static_cast<uint16_t>(*id);
            });
  app.add_option("--eal", eal, "more arguments of DPDK's environment, as it documents them")
      ->type_name("WORDS");
  app.add_flag("--reassemble", reassemble,
               "put fragments together, at most 128 datagrams at a time (default: drop them)");
}

absl::StatusOr<LayerOptions> MachineFlags::Layers() const {
  LayerOptions layers{.vlan = vlan, .reassemble = reassemble};
  if (impair.empty()) return layers;
  std::variant<sim::Impairment, std::string> parsed = sim::ParseImpairment(impair);
  if (const std::string* error = std::get_if<std::string>(&parsed)) {
    return absl::InvalidArgumentError("--impair: " + *error);
  }
  layers.impairment = std::get<sim::Impairment>(parsed);
  return layers;
}

dpdk::EalOptions MachineFlags::EalFor(uint64_t packets) const {
  constexpr uint32_t kRoomBytes = 2048;
  const uint64_t bytes = dpdk::PacketPool::MemoryBytes(static_cast<uint32_t>(packets), kRoomBytes);
  // A third more for rings, device queues and what alignment costs.
  const uint64_t needed_mb = std::max<uint64_t>(128, (bytes + bytes / 3) >> 20) + 32;
  return {.memory_mb = memory_mb != 0 ? memory_mb : static_cast<uint32_t>(needed_mb),
          .huge_pages = huge_pages(),
          .extra = absl::StrSplit(eal, ' ', absl::SkipEmpty())};
}

void DeviceFlags::AddTo(CLI::App& app, bool required) {
  CheckBy(app.add_option("--dev", dev,
                         "the port: afpacket:IFACE, tap:NAME, afxdp:IFACE, memif:PATH, "
                         "pci:ADDRESS, bond:DEV+DEV; auto: what PCIDEVICE_* names, or the one NIC "
                         "that is bound to vfio-pci; again for another port, with an --ip of its "
                         "own"),
          WrongDevices)
      ->type_name("DEV")
      ->join(';')
      ->required(required);
  CheckBy(
      app.add_option("--ip", ip,
                     "our address and its network: 10.1.0.1/24 or 2001:db8::1/64; twice for both"),
      WrongNetworks)
      ->type_name("IP/LEN")
      ->join(',')
      ->required(required);
  CheckBy(app.add_option("--gw", gw, "gateway to other networks; twice for both families"),
          WrongGateways)
      ->join(',')
      ->type_name("IP");
  app.add_flag("--router-advertisements", router_advertisements,
               "learn router, prefixes and MTU from IPv6 router advertisements");
  CheckBy(app.add_option(
              "--idle", idle,
              "when there is nothing to do: poll (a CPU of its own), yield or sleep (50 us)"),
          [](const std::string& text) { return MessageOf(ParseIdle(text).status()); })
      ->type_name("MODE")
      ->default_str(idle);
  CheckBy(app.add_option(
              "--cores", cores,
              "a worker on each of these CPUs, dealt to the ports in their order: auto, or a list "
              "as 0,2-5 (default: one a port, anywhere)"),
          [](const std::string& text) {
            return text == "auto" ? "" : MessageOf(dpdk::ParseCpuList(text).status());
          })
      ->type_name("LIST");
  machine.AddTo(app);
}

absl::StatusOr<dpdk::IdleMode> ParseIdle(const std::string& text) {
  if (text == "poll") return dpdk::IdleMode::kPoll;
  if (text == "yield") return dpdk::IdleMode::kYield;
  if (text == "sleep") return dpdk::IdleMode::kSleep;
  return absl::InvalidArgumentError("\"" + text + "\" is none of poll, yield, sleep");
}

}  // namespace millrace::apps

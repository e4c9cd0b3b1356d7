// apps/common/setup.h - from flags to a started EAL, open ports and an engine's configuration.
#ifndef MILLRACE_APPS_COMMON_SETUP_H_
#define MILLRACE_APPS_COMMON_SETUP_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "apps/common/flags.h"
#include "apps/common/port_layers.h"
#include "millrace/dpdk/eal.h"
#include "millrace/dpdk/port_config.h"
#include "millrace/dpdk/worker.h"
#include "millrace/stack/engine_config.h"

namespace millrace::apps {

// Flags of the protocol, the same for every subcommand.
struct TcpFlags {
  Duration time_wait = Duration::Seconds(60);
  bool no_timestamps = false, no_window_scaling = false, no_sack = false;
  uint16_t mss = 1460;  // at most what the port's MTU allows
  uint8_t ttl = 64;     // of packets; the hop limit too
  tcp::CongestionKind congestion = tcp::CongestionKind::kCubic;

  void AddTo(CLI::App& app);
  tcp::Config Config() const;
  // "timestamps, window scaling, SACK-permitted"
  std::string OptionsText() const;
};

// Flags of memory and of the network in between.
struct MachineFlags {
  bool no_huge = false;
  uint32_t memory_mb = 0;  // of packets; 0: computed
  std::string impair;      // "" for none
  bool reassemble = false;
  std::optional<uint16_t> vlan;
  std::string eal;  // more arguments of EAL, separated by spaces

  void AddTo(CLI::App& app);
  absl::StatusOr<LayerOptions> Layers() const;
  dpdk::HugePages huge_pages() const {
    return no_huge ? dpdk::HugePages::kOff : dpdk::HugePages::kAuto;
  }
  Region::Pages pages() const {
    return no_huge ? Region::Pages::kPlain : Region::Pages::kPreferHuge;
  }
  // Of an EAL with memory for this many packets in all, as given or as needed.
  dpdk::EalOptions EalFor(uint64_t packets) const;
};

// Flags of a real port.
struct DeviceFlags {
  std::string dev;     // of several ports a list with semicolons
  std::string ip, gw;  // lists with commas: at most one of a family and port
  bool router_advertisements = false;
  std::string idle = "sleep";
  std::string cores;        // "": one worker, wherever the system puts it
  bool dispatcher = false;  // the first of the workers only hands frames to the others
  // IPv4 addresses and source ports that are ours, with commas: "10.1.16.0/20:1024-65535" or
  // "10.1.16.0-10.1.16.127"; together one prefix. And one prefix of IPv6: "2001:db8::1:0/112".
  // "": --ip alone.
  std::string own;
  MachineFlags machine;

  // `required`: --dev and --ip have to be given.
  void AddTo(CLI::App& app, bool required = true);
};

absl::StatusOr<dpdk::IdleMode> ParseIdle(const std::string& text);
// As --congestion names it.
const char* ToString(tcp::CongestionKind kind);

// An open port and what its workers need.
struct Device {
  std::unique_ptr<dpdk::AttachedPort> port;
  std::vector<int> cpus;       // one worker each; empty: one worker, anywhere
  stack::EngineConfig config;  // address, gateway, pages, tcp; limits are the subcommand's
};

// A started EAL with open ports. Members end in reverse order.
// Each port has workers of its own, which share nothing with those of another: a connection belongs
// to the port on which it was opened. Workers are numbered through, those of the first port first.
struct Devices {
  std::unique_ptr<dpdk::Eal> eal;
  std::vector<Device> ports;  // never empty
  LayerOptions layers;        // of every port
  dpdk::IdleMode idle = dpdk::IdleMode::kSleep;

  uint32_t workers() const;
  // What each worker is: its port, and which of the port's workers.
  struct Place {
    Device* device;
    uint32_t index;
  };
  std::vector<Place> Places();
  // The CPUs of all workers; -1: anywhere.
  std::vector<int> Cpus() const;
  // "net_af_packet ..., 2 workers over 1 queue(s)", of all ports.
  std::string Describe() const;
  // Of all ports together. REQUIRES: none is polled.
  dpdk::DpdkPortCounters ReadCounters() const;
};

// Everything is checked before anything is started.
absl::StatusOr<Devices> OpenDevices(const DeviceFlags& flags, const TcpFlags& tcp);

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_COMMON_SETUP_H_

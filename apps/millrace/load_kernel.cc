// apps/millrace/load_kernel.cc - the flags of a load run over the kernel's sockets: which of them
// the kernel decides instead, and what it is asked for.

#include "apps/kernel/kernel_congestion.h"
#include "apps/load/kernel_bench.h"
#include "apps/millrace/load_flags.h"

namespace millrace::apps {
namespace {

// Flags of our own engine and its ports, and what to do in place of them.
constexpr std::pair<const char*, const char*> kNotOurs[] = {
    {"ip", "the kernel has its addresses; --src says from which of them to open"},
    {"gw", "the kernel has its routes: ip route"},
    {"router-advertisements", "the kernel has its routes: ip -6 route"},
    {"vlan", "let the kernel have it: ip link add link IFACE name v1 type vlan id ID"},
    {"impair", "let the kernel do it: tc qdisc add dev IFACE root netem loss 1%"},
    {"reassemble", "the kernel does so anyway"},
    {"eal", "nothing is started that it is for"},
    {"memory-mb", "packets are the kernel's"},
    {"no-huge", "packets are the kernel's"},
    {"time-wait", "it is the kernel's, 60 s; --close rst does without"},
    {"no-timestamps", "it is the kernel's to offer: sysctl net.ipv4.tcp_timestamps=0"},
    {"no-window-scaling", "it is the kernel's to offer: sysctl net.ipv4.tcp_window_scaling=0"},
    {"no-sack", "it is the kernel's to offer: sysctl net.ipv4.tcp_sack=0"},
    {"capture-failures", "packets are the kernel's: tcpdump -w x.pcap"},
};

}  // namespace

bool IsKernel(const LoadFlags& flags) {
  return flags.device.dev == "kernel" || flags.device.dev.starts_with("kernel;") ||
         flags.device.dev.ends_with(";kernel");
}

absl::StatusOr<std::unique_ptr<LoadBench>> OpenKernel(const LoadFlags& flags,
                                                      const LoadSetup& setup,
                                                      const SourcePortChoice& ports) {
  if (flags.device.dev != "kernel") {
    return absl::InvalidArgumentError(
        "--dev kernel: it has all interfaces of this machine: leave the other --dev out");
  }
  const auto given = [&setup](const char* name) { return setup.configuration.contains(name); };
  for (const auto& [name, instead] : kNotOurs) {
    if (!given(name)) continue;
    return absl::InvalidArgumentError(std::string("--") + name +
                                      ": not with --dev kernel: " + instead);
  }
  absl::StatusOr<dpdk::IdleMode> idle = ParseIdle(flags.device.idle);
  if (!idle.ok()) return idle.status();
  KernelBenchOptions options{
      .ports = KernelPortSettings::Read(), .cores = flags.device.cores, .idle = *idle};
  if (given("mss")) options.sockets.mss = flags.tcp.mss;
  if (given("ttl")) options.sockets.ttl = flags.tcp.ttl;
  if (given("congestion")) {
    absl::StatusOr<std::string> name = KernelCongestion(flags.tcp.congestion);
    if (!name.ok()) return name.status();
    options.sockets.congestion = *std::move(name);
  }
  const bool v4 = setup.plan.targets.front().endpoint.address.IsV4();
  auto sources = KernelSources::Parse(flags.src, ports, v4, options.ports);
  if (!sources.ok()) return sources.status();
  options.sources = *std::move(sources);
  return KernelBench::Open(options);
}

}  // namespace millrace::apps

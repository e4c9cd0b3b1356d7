// bench/rate/rate.cc - connections per second of the whole engine, and octets and transactions.
//
//   rate --seconds 5             client and server on one core, over rings, polled in turn
//   rate --cores 2               a core each
//   rate --pairs 2               twice that on one core, side by side: what a second core brings
//   rate --workers 2 --queues 1  one client and one server of two workers, and half is handed over
//   rate --memif                 a process each, over shared memory: dperf's setting
//   rate --dev D --role server   one end over any device; the other is another `rate --dev`
//   rate --null                  the floor: the same packets without a TCP (null_exchange.h)
//   rate --bulk, --transactions  other work than connections
//   rate --ipv6                  any of these over IPv6
//   rate --driver                and how much of it is the driver's, by a second run
//   rate --count 2000            a fixed number of connections, for callgrind
// One connection is open, 1 octet, 1 octet with FIN, FIN, ACK: six packets, each sent and received.

#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "apps/common/exit_code.h"
#include "apps/common/port_flags.h"
#include "apps/common/setup.h"
#include "apps/common/stop_signals.h"
#include "bench/rate/flags.h"
#include "bench/rate/modes.h"
#include "bench/rate/processes.h"
#include "bench/rate/report.h"
#include "bench/rate/workers.h"
#include "millrace/dpdk/clock.h"
#include "millrace/dpdk/eal.h"

namespace millrace::bench {
namespace {

absl::StatusOr<std::unique_ptr<dpdk::Eal>> StartEal(const Flags& flags, uint64_t ports,
                                                    const std::vector<std::string>& pci) {
  const uint64_t packets = ports * (uint64_t{kLoopbackPacketsPerPort} + 1);
  // Packets of a jumbo frame are five times as large.
  const uint64_t scale = flags.mtu > 1500 ? 5 : 1;
  dpdk::EalOptions options = flags.machine.EalFor(packets * scale);
  options.pci_allowed = pci;
  return dpdk::Eal::Start(options);
}

// What a run that has no result ends with.
int Ended(const absl::Status& status) {
  const int code = apps::Report(status);
  return absl::IsCancelled(status) ? apps::kInterrupted : code;
}

int Conclude(const Flags& flags, const Measured& measured) {
  if (flags.json) {
    std::printf("%s\n", Json(flags, measured).dump(2).c_str());
  } else {
    std::printf("%s", Text(flags, measured).c_str());
  }
  const std::string objection = Objection(flags, measured.run);
  if (objection.empty()) return apps::kPass;
  std::fprintf(stderr, "rate: %s\n", objection.c_str());
  return apps::kFailed;
}

// One end over a device: its own counts, as a line of JSON.
int RunOneEnd(const Flags& flags, apps::StopSignals& stop) {
  const auto port = apps::ParseDevice(flags.dev, dpdk::ReadHostNetwork());
  if (!port.ok()) return apps::Report(port.status());
  if (flags.owned) prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (flags.cpu != Flags::kNoCpu) {
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    CPU_SET(flags.cpu, &cpus);
    sched_setaffinity(0, sizeof cpus, &cpus);
  }
  auto eal = StartEal(flags, 1, port->PciAddresses());
  if (!eal.ok()) return apps::Report(eal.status());
  const bool server = flags.role == "server";
  const auto tell = [&](const EndReport& report) {
    std::printf("%s\n", EndToJson(report).dump().c_str());
    std::fflush(stdout);
    // The other end still polls: the device stays open until it has stopped.
    if (flags.owned && !server) stop.Wait(Duration::Seconds(60));
  };
  const absl::Status ran =
      RunOverDevice(flags.ToPlan(flags.driver), {.port = *port, .server = server},
                    dpdk::Clock::Calibrate(), stop, tell);
  if (flags.owned && absl::IsCancelled(ran)) return apps::kInterrupted;  // whose parent says so
  return ran.ok() ? apps::kPass : Ended(ran);
}

int RunBothEnds(const Flags& flags, apps::StopSignals& stop) {
  auto eal = StartEal(flags, 2 * std::max(flags.pairs, flags.workers), {});
  if (!eal.ok()) return apps::Report(eal.status());
  const dpdk::Clock clock = dpdk::Clock::Calibrate();
  Measured measured{.cycles_per_s = clock.cycles_per_second(), .huge_pages = (*eal)->huge_pages()};
  const auto go = [&](bool metered) {
    const Plan plan = flags.ToPlan(metered);
    if (flags.workers > 0) {
      return RunWorkers(plan,
                        {.workers = flags.workers,
                         .queues = flags.queues,
                         .in_turn = flags.in_turn,
                         .indirect = flags.indirect},
                        clock, stop);
    }
    return flags.pairs > 1 ? RunPairs(plan, flags.pairs, flags.mtu, clock, stop)
                           : RunOverRings(plan, flags.cores, flags.mtu, clock, stop);
  };
  auto run = go(false);
  if (!run.ok()) return Ended(run.status());
  measured.run = *run;
  if (flags.driver) {
    run = go(true);
    if (!run.ok()) return Ended(run.status());
    measured.metered = *run;
  }
  return Conclude(flags, measured);
}

int RunPair(const Flags& flags, const std::vector<std::string>& arguments,
            apps::StopSignals& stop) {
  Measured measured{.cycles_per_s = dpdk::Clock::Calibrate().cycles_per_second(),
                    .huge_pages = !flags.machine.no_huge && dpdk::UsableHugePagesMb() > 0};
  auto run = RunMemifPair(flags, arguments, false, stop);
  if (!run.ok()) return Ended(run.status());
  measured.run = *run;
  if (flags.driver) {
    run = RunMemifPair(flags, arguments, true, stop);
    if (!run.ok()) return Ended(run.status());
    measured.metered = *run;
  }
  return Conclude(flags, measured);
}

}  // namespace
}  // namespace millrace::bench

int main(int argc, char** argv) {
  using namespace millrace;  // NOLINT: the one function outside
  bench::Flags flags;
  CLI::App app("connections, octets and transactions of the whole engine", "rate");
  flags.AddTo(app);
  CLI11_PARSE(app, argc, argv);
  if (flags.queues == 0 || flags.queues > flags.workers) flags.queues = flags.workers;
  if (flags.workers > 0 && (flags.driver || flags.null || flags.bulk || flags.transactions)) {
    return apps::ReportUsage("--workers measures connections only, without --driver");
  }
  apps::StopSignals stop;
  if (flags.memif) {
    return bench::RunPair(flags, std::vector<std::string>(argv + 1, argv + argc), stop);
  }
  if (flags.dev.empty()) return bench::RunBothEnds(flags, stop);
  return bench::RunOneEnd(flags, stop);
}

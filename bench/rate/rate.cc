// bench/rate/rate.cc - connections per second of the whole engine: client and server on one core,
// over rings, polled in turn and never idle.
//
//   rate --seconds 5             for five seconds
//   rate --count 2000            a fixed number of connections, for callgrind
//   rate --null                  the floor: the same packets without a TCP (null_exchange.h)
// One connection is open, 1 octet, 1 octet with FIN, FIN, ACK: six packets, each sent and received.

#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "apps/common/exit_code.h"
#include "apps/common/flags.h"
#include "apps/common/loopback.h"
#include "apps/common/report.h"
#include "apps/common/setup.h"
#include "bench/rate/null_exchange.h"
#include "millrace/dpdk/clock.h"
#include "millrace/dpdk/eal.h"

namespace millrace::bench {
namespace {

struct Flags {
  Duration seconds = Duration::Seconds(5);
  uint64_t count = 0;
  uint32_t concurrency = 64;
  bool null = false, json = false;
  uint32_t time_waits = 0;
  apps::TcpFlags tcp;
  apps::MachineFlags machine;
};

// Of this thread: on a machine that others use too it says more than the clock on the wall.
double CpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_THREAD, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

struct Measured {
  double seconds = 0;
  double cpu_seconds = 0;
  uint64_t connections = 0, failed = 0, packets = 0;
  uint64_t retransmits = 0, evicted = 0;

  double rate_per_s() const { return static_cast<double>(connections) / seconds; }
  double ns_per_connection() const { return 1e9 * seconds / static_cast<double>(connections); }
  double cpu_ns_per_connection() const {
    return 1e9 * cpu_seconds / static_cast<double>(connections);
  }
  double ns_per_packet() const { return 1e9 * seconds / static_cast<double>(packets); }
  double packets_per_connection() const {
    return static_cast<double>(packets) / static_cast<double>(connections);
  }
};

absl::StatusOr<Measured> MeasureEngine(const Flags& flags, dpdk::Clock clock) {
  apps::LoadPlan plan{.concurrency = flags.concurrency, .count = flags.count};
  if (flags.count == 0) plan.duration = flags.seconds;
  auto loopback = apps::Loopback::Create({.plan = plan,
                                          .tcp = flags.tcp.Config(),
                                          .pages = flags.machine.pages(),
                                          .time_waits = flags.time_waits},
                                         clock.Now());
  if (!loopback.ok()) return loopback.status();
  apps::Loopback& l = **loopback;
  const double cpu_start = CpuSeconds();
  const Instant give_up = clock.Now() + flags.seconds + Duration::Seconds(3600);
  while (!l.live().done.load(std::memory_order_relaxed) && clock.Now() < give_up) {
    const Instant now = clock.Now();
    l.client().Poll(now);
    l.server().Poll(now);
  }
  const apps::LoadResult& result = l.result();
  Measured measured;
  measured.seconds = result.window.seconds();
  measured.cpu_seconds = CpuSeconds() - cpu_start;
  measured.connections = result.ok_in_window;
  measured.failed = result.failed_total() + l.still_open();
  // Those after the window are few, but they have packets too.
  measured.packets =
      result.ok == 0 ? 0 : apps::TcpFrames(l.client().engine()) * result.ok_in_window / result.ok;
  measured.retransmits = l.client().engine().tcp_counters().retrans_segs +
                         l.server().engine().tcp_counters().retrans_segs;
  measured.evicted = l.closer().tcp_counters().time_wait_evicted;
  return measured;
}

absl::StatusOr<Measured> MeasureNull(const Flags& flags, dpdk::Clock clock) {
  dpdk::RingPairOptions options;
  options.port.packets = apps::Loopback::kPacketsPerPort;
  auto rings = dpdk::RingPair::Create(options);
  if (!rings.ok()) return rings.status();
  NullEnd client((*rings)->first(), !flags.tcp.no_timestamps);
  NullEnd server((*rings)->second(), !flags.tcp.no_timestamps);
  const double cpu_start = CpuSeconds();
  const Instant start = clock.Now();
  uint64_t opened = 0;
  Instant now = start;
  while (flags.count != 0 ? client.completed < flags.count : now - start < flags.seconds) {
    now = clock.Now();
    while (opened - client.completed < flags.concurrency && client.Open()) ++opened;
    client.Poll(now);
    server.Poll(now);
    if (client.broken + server.broken > 0) return absl::InternalError("a packet went wrong");
  }
  Measured measured;
  measured.seconds = (now - start).seconds();
  measured.cpu_seconds = CpuSeconds() - cpu_start;
  measured.connections = client.completed;
  measured.packets = client.packets() + server.packets();
  return measured;
}

void Print(const Flags& flags, const Measured& m) {
  std::printf("%s, one core, %u at a time, %s: %s connections in %.3f s\n",
              flags.null ? "null exchange" : "engine", flags.concurrency,
              flags.tcp.OptionsText().c_str(), apps::GroupDigits(m.connections).c_str(), m.seconds);
  std::printf("  %10.0f connections/s, both ends\n  %10.1f ns per connection (%.1f of CPU time)\n",
              m.rate_per_s(), m.ns_per_connection(), m.cpu_ns_per_connection());
  std::printf("  %10.1f ns per packet, sent and received\n  %10.3f packets per connection\n",
              m.ns_per_packet(), m.packets_per_connection());
  if (!flags.null) {
    std::printf("  %10llu failed, %llu retransmits, %llu TIME-WAIT entries evicted\n",
                static_cast<unsigned long long>(m.failed),
                static_cast<unsigned long long>(m.retransmits),
                static_cast<unsigned long long>(m.evicted));
  }
}

nlohmann::ordered_json Json(const Flags& flags, const Measured& m, bool huge_pages) {
  nlohmann::ordered_json json;
  json["schema"] = 1;
  json["command"] = flags.null ? "rate --null" : "rate";
  json["machine"] = apps::MachineJson();
  json["huge_pages"] = huge_pages;
  json["cores"] = 1;
  json["concurrency"] = flags.concurrency;
  json["options"] = flags.tcp.OptionsText();
  json["seconds"] = m.seconds;
  json["connections"] = m.connections;
  json["failed"] = m.failed;
  json["retransmits"] = m.retransmits;
  json["time_wait_evicted"] = m.evicted;
  json["connections_per_s"] = m.rate_per_s();
  json["connection_ns"] = m.ns_per_connection();
  json["connection_cpu_ns"] = m.cpu_ns_per_connection();
  json["packet_ns"] = m.ns_per_packet();
  json["packets_per_connection"] = m.packets_per_connection();
  return json;
}

int Run(const Flags& flags) {
  const uint64_t packets = 2 * uint64_t{apps::Loopback::kPacketsPerPort} + 1;
  auto eal = dpdk::Eal::Start(
      {.memory_mb = flags.machine.MemoryMb(packets), .huge_pages = flags.machine.huge_pages()});
  if (!eal.ok()) return apps::Report(eal.status());
  const dpdk::Clock clock = dpdk::Clock::Calibrate();
  const auto measured = flags.null ? MeasureNull(flags, clock) : MeasureEngine(flags, clock);
  if (!measured.ok()) return apps::Report(measured.status());
  if (measured->connections == 0) {
    return apps::Report(absl::InternalError("not one connection came to its end"));
  }
  if (flags.json) {
    std::printf("%s\n", Json(flags, *measured, (*eal)->huge_pages()).dump(2).c_str());
  } else {
    Print(flags, *measured);
  }
  return measured->failed == 0 ? apps::kPass : apps::kFailed;
}

}  // namespace
}  // namespace millrace::bench

int main(int argc, char** argv) {
  using namespace millrace;  // NOLINT: the one function outside
  bench::Flags flags;
  CLI::App app("connection rate of the whole engine on one core", "rate");
  apps::AddDuration(app, {"--seconds", "TIME", "how long", "5"}, &flags.seconds,
                    Duration::Milliseconds(1), Duration::Seconds(86'400));
  apps::AddCount(app, {"--count", "N", "so many connections instead", ""}, &flags.count, 1);
  apps::AddCount(app, {"--concurrency", "N", "at a time", "64"}, &flags.concurrency, 1, 100'000);
  apps::AddCount(app, {"--time-wait-entries", "N", "TIME-WAIT pool (default: 2 M/s)", ""},
                 &flags.time_waits, 1, 500'000'000);
  app.add_flag("--null", flags.null, "the floor: the same packets without a TCP");
  app.add_flag("--json", flags.json, "JSON instead of text");
  flags.tcp.AddTo(app);
  flags.machine.AddTo(app);
  CLI11_PARSE(app, argc, argv);
  return bench::Run(flags);
}

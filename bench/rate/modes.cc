#include "bench/rate/modes.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bench/rate/end.h"
#include "bench/rate/side_by_side.h"
#include "millrace/dpdk/ring_pair.h"
#include "millrace/dpdk/worker.h"

namespace millrace::bench {
namespace {

// Of the two ends over a device without addresses of its own that would matter: a memif.
constexpr MacAddress kClientMac = {{0x02, 0x4D, 0x52, 0xFF, 0, 1}};
constexpr MacAddress kServerMac = {{0x02, 0x4D, 0x52, 0xFF, 0, 2}};
constexpr Duration kLinkPatience = Duration::Seconds(10);
constexpr Duration kReopen = Duration::Milliseconds(200);
constexpr Duration kPause = Duration::Milliseconds(10);

absl::StatusOr<RunResult> RunSideBySide(const Plan& plan, End& client, End& server,
                                        dpdk::Clock clock, apps::StopSignals& stop) {
  const std::vector<int> cpus = dpdk::AllowedCpus();
  // Without a second CPU the two share one, which works and measures nothing.
  const auto idle = cpus.size() < 2 ? dpdk::IdleMode::kYield : dpdk::IdleMode::kPoll;
  std::atomic<bool> done{false};
  const auto start = [&](const char* name, int cpu, dpdk::PollFunction poll) {
    return dpdk::Worker::Start({.name = name, .cpu = cpu, .idle = idle}, clock, std::move(poll));
  };
  auto server_worker =
      start("server", cpus.back(), [&server](Instant now) { return server.Poll(now); });
  if (!server_worker.ok()) return server_worker.status();
  auto client_worker = start("client", cpus[0], [&client, &done](Instant now) {
    const size_t work = client.Poll(now);
    if (work == 0 && client.done()) done.store(true, std::memory_order_relaxed);
    return work;
  });
  if (!client_worker.ok()) return client_worker.status();
  const Instant give_up = clock.Now() + Patience(plan);
  bool interrupted = false;
  while (!done.load(std::memory_order_relaxed) && clock.Now() < give_up && !interrupted) {
    interrupted = stop.Wait(Duration::Milliseconds(10));
  }
  for (auto* worker : {&*client_worker, &*server_worker}) {
    (*worker)->RequestStop();
    (*worker)->Join();
  }
  if (!client.done()) return interrupted ? Interrupted() : GaveUp();
  RunResult result{client.Report(), server.Report()};
  result.client.busy_cycles = (*client_worker)->Load().busy_cycles;
  result.server.busy_cycles = (*server_worker)->Load().busy_cycles;
  return result;
}

// A pair of rings with an end at each.
struct Joined {
  std::unique_ptr<dpdk::RingPair> rings;
  std::unique_ptr<End> client, server;
};

absl::StatusOr<Joined> Join(const Plan& plan, uint16_t mtu, Instant now) {
  dpdk::RingPairOptions options;
  options.port.packets = kLoopbackPacketsPerPort;
  options.port.mtu = mtu;
  auto rings = dpdk::RingPair::Create(options);
  if (!rings.ok()) return rings.status();
  dpdk::DpdkPort& first = (*rings)->first();
  auto client = MakeClient(plan, first, now);
  if (!client.ok()) return client.status();
  auto server = MakeServer(plan, (*rings)->second(), first.capabilities().mac, now);
  if (!server.ok()) return server.status();
  return Joined{*std::move(rings), *std::move(client), *std::move(server)};
}

bool AwaitLink(const dpdk::DpdkPort& port, Instant until, dpdk::Clock& clock,
               apps::StopSignals& stop) {
  while (!port.LinkIsUp()) {
    if (clock.Now() > until || stop.Wait(kPause)) return false;
  }
  return true;
}

// Opens the device and waits for its link. The client of a memif can be opened when its server
// listens, and is sent away for good when that one listens already but has not started yet: then it
// is opened again.
absl::StatusOr<std::unique_ptr<dpdk::AttachedPort>> OpenDevice(const DeviceRun& run,
                                                               dpdk::Clock clock,
                                                               apps::StopSignals& stop) {
  const bool memif = run.port.kind == dpdk::DeviceKind::kMemif;
  dpdk::DpdkPortOptions options = run.port.PortOptions();
  options.packets = kLoopbackPacketsPerPort;
  if (memif) options.mac = run.server ? kServerMac : kClientMac;
  const Instant give_up = clock.Now() + kLinkPatience;
  const Duration patience = memif && !run.server ? kReopen : kLinkPatience;
  while (clock.Now() < give_up) {
    auto device = dpdk::AttachedPort::Open(run.port, options);
    if (!device.ok() && !absl::IsUnavailable(device.status())) return device.status();
    if (device.ok() && AwaitLink((*device)->port(), clock.Now() + patience, clock, stop)) {
      return device;
    }
    if (stop.Wait(kPause)) return Interrupted();
  }
  return absl::UnavailableError("nobody is at the other end of " + run.port.text);
}

}  // namespace

absl::StatusOr<RunResult> RunOverRings(const Plan& plan, uint32_t cores, uint16_t mtu,
                                       dpdk::Clock clock, apps::StopSignals& stop) {
  auto joined = Join(plan, mtu, clock.Now());
  if (!joined.ok()) return joined.status();
  if (cores == 1) {
    return RunAllInTurn(plan, {{joined->client.get(), joined->server.get()}}, clock, stop);
  }
  return RunSideBySide(plan, *joined->client, *joined->server, clock, stop);
}

absl::StatusOr<RunResult> RunPairs(const Plan& plan, uint32_t pairs, uint16_t mtu,
                                   dpdk::Clock clock, apps::StopSignals& stop) {
  std::vector<Joined> joined;
  std::vector<Both> both;
  for (uint32_t i = 0; i < pairs; ++i) {
    auto one = Join(plan, mtu, clock.Now());
    if (!one.ok()) return one.status();
    both.push_back({one->client.get(), one->server.get()});
    joined.push_back(*std::move(one));
  }
  return RunEachOnACore(plan, both, clock, stop);
}

absl::Status RunOverDevice(const Plan& plan, const DeviceRun& run, dpdk::Clock clock,
                           apps::StopSignals& stop,
                           const std::function<void(const EndReport&)>& tell) {
  auto device = OpenDevice(run, clock, stop);
  if (!device.ok()) return device.status();
  dpdk::DpdkPort& port = (*device)->port();
  auto end = run.server ? MakeServer(plan, port, kClientMac, clock.Now())
                        : MakeClient(plan, port, clock.Now());
  if (!end.ok()) return end.status();

  const Instant give_up = clock.Now() + Patience(plan);
  uint64_t cycles = dpdk::Clock::Cycles();
  for (uint64_t polls = 0; !(*end)->done(); ++polls) {
    cycles = (*end)->PollFrom(cycles, clock);
    if (polls % 65'536 != 0) continue;
    if (stop.Wait(Duration())) {
      if (!run.server) return Interrupted();
      break;
    }
    if (clock.AtCycles(cycles) > give_up) return GaveUp();
  }
  tell((*end)->Report());
  return absl::OkStatus();
}

}  // namespace millrace::bench

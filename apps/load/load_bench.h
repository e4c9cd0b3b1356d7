// load/load_bench.h - where loads are run: ports that were opened once, and for each run a fresh
// generator (and, over rings, a fresh server) with workers of its own.
//
// Over rings the server of `serve` runs in the same process, at the addresses of
// apps/common/ring_network.h. The generator finds the server by ARP or neighbour discovery; the
// server knows the generator's addresses. Several pairs of rings are as many networks, each with
// such a server and generator: they share nothing.
// Threading: everything is called by one controlling thread; workers run between Start and Stop.
#ifndef MILLRACE_APPS_LOAD_LOAD_BENCH_H_
#define MILLRACE_APPS_LOAD_LOAD_BENCH_H_

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "apps/common/hosted_stack.h"
#include "apps/common/ring_network.h"
#include "apps/common/setup.h"
#include "apps/load/load_app.h"
#include "apps/serve/serve_app.h"
#include "millrace/dpdk/clock.h"
#include "millrace/dpdk/ring_pair.h"
#include "millrace/dpdk/worker.h"

namespace millrace::apps {

// One of the generators of a run, with a worker of its own; they share nothing.
struct LoadMember {
  RunPlan plan;  // its part
  LiveRun live;
  std::unique_ptr<FlightRecorder> recorder;  // with RunPlan::capture_bytes
  std::unique_ptr<LoadApp> app;
  std::unique_ptr<HostedStack<LoadApp>> stack;
  std::unique_ptr<ServeApp> server_app;  // over rings, as the next
  std::unique_ptr<HostedStack<ServeApp>> server_stack;
  std::unique_ptr<dpdk::Worker> worker;
  std::unique_ptr<dpdk::Worker> server_worker;  // null when `worker` polls both
};

// One run: generators, servers (over rings), and the threads that poll them. Made by LoadBench.
// Members end in reverse order: workers before what they poll.
struct LoadRun {
  RunPlan plan;                                  // the whole
  dpdk::Clock clock = dpdk::Clock::Monotonic();  // of all workers
  // Between the workers of a port that has several.
  std::vector<std::unique_ptr<stack::HandOver>> hand_overs;
  std::vector<std::unique_ptr<LoadMember>> members;  // never empty
  dpdk::DpdkPortCounters nic_before;

  // The stage that all members have reached.
  LoadStage stage() const;
  // Whether a member has given up before its clock: its target is not there.
  bool GaveUp() const;
  // Whether RunPlan::start_unix_ns is more than 100 ms away when it is `unix_ns` now: too far to
  // say when that is by `clock`, because over hours it and the day's clock drift apart.
  bool StartIsFar(int64_t unix_ns) const;
  // RunPlan::start_unix_ns as an instant of `clock`, when it is `unix_ns` now; `soonest` when that
  // is past, with how late it is, or when nothing was asked for.
  Instant AskedStart(Instant soonest, int64_t unix_ns, Duration* late);
  // Several members wait for each other, and in a group of ranks all do: lets the clock of all
  // start at an instant of `clock`. Ends the run when one has given up.
  void Release(Instant start);
  // Asks all to start no more.
  void AskToStop();
  // Ends the workers; everything they wrote is visible then.
  void Stop();
};

// Which local ports connections are opened from.
struct SourcePortChoice {
  bool sequential = false;                             // else as RFC 6056 has it
  std::optional<std::pair<uint16_t, uint16_t>> range;  // else that of the engine's configuration
};
// "random", "hash-local", "sequential", "1024-65535"; nullopt for anything else.
std::optional<SourcePortChoice> ParseSourcePorts(std::string_view text);

struct RingOptions {
  RingNetwork network;
  Service service = Service::kExchange;
  ServeOptions serve;
  bool server_closes = true;  // the side that keeps TIME-WAIT has room for it
  uint32_t time_waits = 0;    // of that side, in all; 0: computed
  // "auto", or a list of CPUs: a pair of rings on each, both ends in turn. "": one pair, an end on
  // each of two CPUs when there are two.
  std::string cores;
  dpdk::IdleMode idle = dpdk::IdleMode::kYield;
};

class LoadBench {
 public:
  // Rings in this process. `most_open`: connections under way in the largest run.
  static absl::StatusOr<std::unique_ptr<LoadBench>> OpenRings(const RingOptions& options,
                                                              const MachineFlags& machine,
                                                              const TcpFlags& tcp);
  static absl::StatusOr<std::unique_ptr<LoadBench>> OpenDevice(const DeviceFlags& device,
                                                               const TcpFlags& tcp);

  // Makes everything for a run and lets it go. The bench outlives it; one run at a time.
  absl::StatusOr<std::unique_ptr<LoadRun>> Start(const RunPlan& plan);

  // Of the generators, a port each.
  std::vector<stack::EngineConfig> configs() const;
  // From the next run on.
  void SetSourcePorts(const SourcePortChoice& choice);
  bool rings() const { return !rings_.empty(); }
  bool huge_pages() const { return eal().huge_pages(); }
  // Of a generator.
  dpdk::DpdkPort& port(uint32_t worker = 0) {
    if (rings()) return rings_[worker]->first();
    return places_[worker].device->port->port(places_[worker].index);
  }
  uint32_t workers() const {
    return static_cast<uint32_t>(rings() ? rings_.size() : places_.size());
  }
  // The first port without a link; null: all have one, as rings do.
  dpdk::AttachedPort* PortWithoutLink();
  // Of the generators' side, for all workers. REQUIRES: none runs.
  dpdk::DpdkPortCounters ReadCounters();
  // Of the fullest pool of packets. Walks the caches of all threads: not for every tick.
  double FreePacketsShare();
  // "2 rings in the process", or what the port says of itself.
  std::string Describe();
  std::string DpdkVersion() const;
  // CPUs of the workers, the generators' first; -1: wherever the system puts it.
  const std::vector<int>& cpus() const { return cpus_; }
  static Endpoint RingTarget(Service service, const RingNetwork& network = {});

 private:
  LoadBench() = default;
  // A CPU each for the one generator and its server over rings.
  bool apart() const { return rings() && cpus_.size() > workers(); }
  const dpdk::Eal& eal() const { return rings() ? *eal_ : *devices_->eal; }
  stack::EngineConfig ConfigOf(const RunPlan& plan, const stack::EngineConfig& base,
                               bool closes) const;
  absl::Status AddMembers(LoadRun& run);
  absl::Status AddMember(LoadRun& run, LayerOptions layers, const stack::EngineConfig& config);
  absl::Status AddServer(LoadRun& run, uint32_t pair);
  absl::Status StartWorkers(LoadRun& run);

  std::unique_ptr<dpdk::Eal> eal_;  // over rings
  std::vector<std::unique_ptr<dpdk::RingPair>> rings_;
  RingOptions ring_options_;
  std::optional<Devices> devices_;
  std::vector<Devices::Place> places_;  // of the workers, over devices
  LayerOptions layers_;
  stack::EngineConfig config_;  // over rings
  std::vector<int> cpus_;
  dpdk::IdleMode idle_ = dpdk::IdleMode::kYield;
  Pattern pattern_;
};

// TIME-WAIT entries that the part of this rank can need, bounded by a quarter of the memory.
uint32_t TimeWaitsFor(const RunPlan& plan, Duration time_wait);

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_LOAD_LOAD_BENCH_H_

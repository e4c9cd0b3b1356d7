// load/dpdk_bench.h - loads over our own engine: ports that were opened once, and for each run a
// fresh generator (and, over rings, a fresh server) with workers of its own.
//
// Over rings the server of `serve` runs in the same process, at the addresses of
// apps/common/ring_network.h. The generator finds the server by ARP or neighbour discovery; the
// server knows the generator's addresses. Several pairs of rings are as many networks, each with
// such a server and generator: they share nothing.
#ifndef MILLRACE_APPS_LOAD_DPDK_BENCH_H_
#define MILLRACE_APPS_LOAD_DPDK_BENCH_H_

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "apps/common/hosted_stack.h"
#include "apps/common/ring_network.h"
#include "apps/common/setup.h"
#include "apps/common/source_ports.h"
#include "apps/load/load_bench.h"
#include "apps/serve/serve_app.h"
#include "millrace/dpdk/ring_pair.h"
#include "millrace/dpdk/worker.h"

namespace millrace::apps {

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

class DpdkBench final : public LoadBench {
 public:
  // Rings in this process. `most_open`: connections under way in the largest run.
  static absl::StatusOr<std::unique_ptr<DpdkBench>> OpenRings(const RingOptions& options,
                                                              const MachineFlags& machine,
                                                              const TcpFlags& tcp);
  static absl::StatusOr<std::unique_ptr<DpdkBench>> OpenDevice(const DeviceFlags& device,
                                                               const TcpFlags& tcp);

  absl::StatusOr<std::unique_ptr<LoadRun>> Start(const RunPlan& plan) override;

  std::string CheckTargets(const std::vector<Target>& targets) const override;
  Capacity CapacityFor(const RunPlan& plan) const override;
  std::string Advice(const Capacity& capacity) const override;

  // From the next run on.
  void SetSourcePorts(const SourcePortChoice& choice);
  std::string Describe() override;
  std::string DpdkVersion() const override;
  bool huge_pages() const override { return eal().huge_pages(); }
  std::string Note() const override;
  std::string WhyMissing() override;
  std::optional<dpdk::DpdkPortCounters> ReadCounters() override;
  std::optional<double> FreePacketsShare() override;
  uint32_t workers() const {
    return static_cast<uint32_t>(rings() ? rings_.size() : places_.size());
  }
  static Endpoint RingTarget(Service service, const RingNetwork& network = {});

 private:
  struct Ends;

  DpdkBench() = default;
  bool rings() const { return !rings_.empty(); }
  // Of a generator.
  dpdk::DpdkPort& port(uint32_t worker = 0) {
    if (rings()) return rings_[worker]->first();
    return places_[worker].device->port->port(places_[worker].index);
  }
  // Of the generators, a port each.
  std::vector<stack::EngineConfig> configs() const;
  // The first port without a link; null: all have one, as rings do.
  dpdk::AttachedPort* PortWithoutLink();
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
  dpdk::IdleMode idle_ = dpdk::IdleMode::kYield;
  Pattern pattern_;
};

// TIME-WAIT entries that the part of this rank can need, bounded by a quarter of the memory.
uint32_t TimeWaitsFor(const RunPlan& plan, Duration time_wait);

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_LOAD_DPDK_BENCH_H_

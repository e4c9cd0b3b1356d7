// load/kernel_bench.h - loads over the sockets of the Linux kernel: no DPDK, no root, no huge
// pages.
//
// For testing servers where there is no NIC to be had, and as what our own engine is compared with:
// the generator, its schedule and its histograms are the same (load/network.h).
#ifndef MILLRACE_APPS_LOAD_KERNEL_BENCH_H_
#define MILLRACE_APPS_LOAD_KERNEL_BENCH_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "apps/common/pattern.h"
#include "apps/kernel/kernel_engine.h"
#include "apps/kernel/kernel_sources.h"
#include "apps/load/load_bench.h"

namespace millrace::apps {

struct KernelBenchOptions {
  KernelSources sources;
  KernelPortSettings ports;
  KernelSocketOptions sockets;
  std::string cores;  // "": one worker, wherever the system puts it
  dpdk::IdleMode idle = dpdk::IdleMode::kYield;
};

class KernelBench final : public LoadBench {
 public:
  static absl::StatusOr<std::unique_ptr<KernelBench>> Open(const KernelBenchOptions& options);

  absl::StatusOr<std::unique_ptr<LoadRun>> Start(const RunPlan& plan) override;

  std::string CheckTargets(const std::vector<Target>&) const override { return ""; }
  Capacity CapacityFor(const RunPlan& plan) const override;
  std::string Advice(const Capacity& capacity) const override;
  // "kernel: sockets of Linux 6.1.0, cubic, 1 worker".
  std::string Describe() override;

 private:
  struct Ends;

  explicit KernelBench(const KernelBenchOptions& options)
      : options_(options), sources_(std::make_shared<const KernelSources>(options.sources)) {}
  uint32_t workers() const { return static_cast<uint32_t>(cpus_.size()); }
  absl::Status AddMember(LoadRun& run);
  absl::Status StartWorker(LoadRun& run, size_t index);

  KernelBenchOptions options_;
  std::shared_ptr<const KernelSources> sources_;
  Pattern pattern_;
};

// Raises this process' limit of descriptors when it is below `needed`, and says what to do where
// that is not allowed.
absl::Status AllowDescriptors(uint64_t needed);

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_LOAD_KERNEL_BENCH_H_

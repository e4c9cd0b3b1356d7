// dpdk/cpus.h - which CPUs workers run on: those that the process was given, near the device.
//
// Never from /proc/cpuinfo: a container or a batch system gives a process some of the machine's.
#ifndef MILLRACE_DPDK_CPUS_H_
#define MILLRACE_DPDK_CPUS_H_

#include <sched.h>

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "millrace/dpdk/port_config.h"

namespace millrace::dpdk {

// What matters of the machine, so that the choice can be tested without one.
struct HostCpus {
  std::vector<int> allowed;             // sched_getaffinity
  std::vector<std::vector<int>> nodes;  // CPUs by NUMA node; empty when the system does not say
  std::optional<double> quota;          // CPUs' worth of time (cgroup v2, cpu.max); empty: no limit
};
HostCpus ReadHostCpus();

// "0,2-4" to 0 2 3 4, in the order given. Each once, at most 1024.
absl::StatusOr<std::vector<int>> ParseCpuList(absl::string_view text);

// `text`: "auto" or a list. auto takes the CPUs that the process may use, those of `node` if there
// are any among them (node < 0: no preference), and no more than the quota pays for, but one.
// A list must be of CPUs that the process may use.
absl::StatusOr<std::vector<int>> ChooseCpus(absl::string_view text, int node, const HostCpus& host);

// The calling thread runs on `cpu` while this lives (-1: where it was), so that memory that it
// touches first is of that CPU's NUMA node: what is made for a worker is made on its CPU.
class OnCpu {
 public:
  explicit OnCpu(int cpu);
  ~OnCpu();
  OnCpu(const OnCpu&) = delete;
  OnCpu& operator=(const OnCpu&) = delete;

 private:
  cpu_set_t before_;
  bool moved_ = false;
};

// NUMA node of a device, as the system says; -1 when it does not.
int NumaNodeOf(const PortConfig& config);

}  // namespace millrace::dpdk

#endif  // MILLRACE_DPDK_CPUS_H_

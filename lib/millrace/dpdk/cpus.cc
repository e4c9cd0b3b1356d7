#include "millrace/dpdk/cpus.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "millrace/dpdk/worker.h"

namespace millrace::dpdk {
namespace {

constexpr int kCpusMax = 1024;

std::vector<std::vector<int>> ReadNodes() {
  std::vector<std::vector<int>> nodes;
  for (int node = 0; node < kCpusMax; ++node) {
    std::ifstream file(absl::StrCat("/sys/devices/system/node/node", node, "/cpulist"));
    std::string line;
    if (!std::getline(file, line)) break;
    nodes.push_back(ParseCpuList(line).value_or(std::vector<int>()));
  }
  return nodes;
}

// "200000 100000" or "max 100000".
std::optional<double> QuotaOf(const std::filesystem::path& group) {
  std::ifstream file(group / "cpu.max");
  double quota = 0, period = 0;
  if (!(file >> quota >> period) || period <= 0) return std::nullopt;
  return quota / period;
}

// The least of the process's group and all groups around it.
std::optional<double> ReadQuota() {
  std::ifstream file("/proc/self/cgroup");
  std::optional<double> least;
  for (std::string line; std::getline(file, line);) {
    absl::string_view path = line;
    if (!absl::ConsumePrefix(&path, "0::/")) continue;
    const std::filesystem::path root("/sys/fs/cgroup");
    std::filesystem::path group = path.empty() ? root : root / std::string(path);
    for (;; group = group.parent_path()) {
      const std::optional<double> quota = QuotaOf(group);
      if (quota && (!least || *quota < *least)) least = quota;
      if (group == root || group.empty()) break;
    }
  }
  return least;
}

absl::Status BadList(absl::string_view text) {
  return absl::InvalidArgumentError(
      absl::StrCat("\"", text, "\" is no list of CPUs; write auto, or as in 0,2-5"));
}

}  // namespace

HostCpus ReadHostCpus() {
  return {.allowed = AllowedCpus(), .nodes = ReadNodes(), .quota = ReadQuota()};
}

absl::StatusOr<std::vector<int>> ParseCpuList(absl::string_view text) {
  std::vector<int> cpus;
  for (const absl::string_view part : absl::StrSplit(text, ',')) {
    const std::pair<absl::string_view, absl::string_view> ends =
        absl::StrSplit(part, absl::MaxSplits('-', 1));
    int first = 0, last = 0;
    if (!absl::SimpleAtoi(ends.first, &first)) return BadList(text);
    last = first;
    if (part.find('-') != absl::string_view::npos && !absl::SimpleAtoi(ends.second, &last)) {
      return BadList(text);
    }
    if (first < 0 || last < first || last >= kCpusMax) return BadList(text);
    for (int cpu = first; cpu <= last; ++cpu) {
      if (std::find(cpus.begin(), cpus.end(), cpu) != cpus.end()) return BadList(text);
      cpus.push_back(cpu);
    }
  }
  return cpus;
}

absl::StatusOr<std::vector<int>> ChooseCpus(absl::string_view text, int node,
                                            const HostCpus& host) {
  const auto contains = [](const std::vector<int>& cpus, int cpu) {
    return std::find(cpus.begin(), cpus.end(), cpu) != cpus.end();
  };
  if (text != "auto") {
    auto cpus = ParseCpuList(text);
    if (!cpus.ok()) return cpus;
    for (const int cpu : *cpus) {
      if (contains(host.allowed, cpu)) continue;
      return absl::FailedPreconditionError(absl::StrCat(
          "CPU ", cpu, " is not for this process; it may use ", absl::StrJoin(host.allowed, ",")));
    }
    return cpus;
  }
  std::vector<int> cpus = host.allowed;
  if (node >= 0 && static_cast<size_t>(node) < host.nodes.size()) {
    std::vector<int> near;
    for (const int cpu : cpus) {
      if (contains(host.nodes[static_cast<size_t>(node)], cpu)) near.push_back(cpu);
    }
    if (!near.empty()) cpus = near;
  }
  if (cpus.empty()) return absl::FailedPreconditionError("the system gives this process no CPU");
  if (host.quota) {
    const auto paid = static_cast<size_t>(std::max(1.0, std::floor(*host.quota)));
    cpus.resize(std::min(cpus.size(), paid));
  }
  return cpus;
}

int NumaNodeOf(const PortConfig& config) {
  const std::string path =
      config.kind == DeviceKind::kPci
          ? absl::StrCat("/sys/bus/pci/devices/", config.target, "/numa_node")
          : absl::StrCat("/sys/class/net/", config.target, "/device/numa_node");
  std::ifstream file(path);
  int node = -1;
  return file >> node ? node : -1;
}

OnCpu::OnCpu(int cpu) {
  if (cpu < 0 || sched_getaffinity(0, sizeof before_, &before_) != 0) return;
  cpu_set_t only;
  CPU_ZERO(&only);
  CPU_SET(static_cast<size_t>(cpu), &only);
  moved_ = sched_setaffinity(0, sizeof only, &only) == 0;
}

OnCpu::~OnCpu() {
  if (moved_) sched_setaffinity(0, sizeof before_, &before_);
}

}  // namespace millrace::dpdk

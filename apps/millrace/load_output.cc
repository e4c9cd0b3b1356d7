#include "apps/millrace/load_output.h"

#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <fstream>

#include "apps/common/exit_code.h"
#include "apps/common/report.h"
#include "apps/common/units.h"
#include "apps/load/load_report.h"
#include "apps/result/result_files.h"
#include "apps/result/result_json.h"
#include "apps/result/run_folder.h"
#include "apps/result/write_file.h"

namespace millrace::apps {
namespace {

uint32_t NumaNodes() {
  uint32_t nodes = 0;
  while (access(("/sys/devices/system/node/node" + std::to_string(nodes)).c_str(), F_OK) == 0) {
    ++nodes;
  }
  return std::max(nodes, 1u);
}

MachineDescription MachineOf(LoadBench& bench) {
  MachineDescription machine;
  const nlohmann::ordered_json known = MachineJson();
  machine.cpu = known.value("cpu", "");
  machine.kernel = known.value("kernel", "");
  machine.compiler = known.value("compiler", "");
  machine.cpus_allowed = known.value("cpus_allowed", 0u);
  std::array<char, 256> host{};
  if (gethostname(host.data(), host.size() - 1) == 0) machine.host = host.data();
  machine.dpdk = bench.DpdkVersion();
  machine.numa_nodes = NumaNodes();
  machine.memory_bytes = static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES)) *
                         static_cast<uint64_t>(sysconf(_SC_PAGE_SIZE));
  machine.huge_pages = bench.huge_pages();
  machine.device = bench.Describe();
  for (const int cpu : bench.cpus()) {
    if (cpu >= 0) machine.core_list.push_back(static_cast<uint32_t>(cpu));
  }
  return machine;
}

}  // namespace

std::vector<std::string> CommandLine() {
  std::ifstream file("/proc/self/cmdline", std::ios::binary);
  std::vector<std::string> words;
  for (std::string word; std::getline(file, word, '\0');) words.push_back(word);
  return words;
}

std::string DescribeLoad(const RunPlan& plan) {
  std::string text;
  if (plan.open_loop()) {
    text = "open loop, " + FormatCount(plan.rate_per_s) + " conn/s " + ToString(plan.arrival.kind);
  } else if (plan.concurrency > 0) {
    text = "closed loop, " + std::to_string(plan.concurrency) + " at a time";
  }
  if (plan.hold > 0) {
    text += (text.empty() ? "" : ", ") + FormatCount(plan.hold) + " held";
    if (plan.held_requests_per_s > 0) {
      text += " with " + FormatCount(plan.held_requests_per_s) + " requests/s";
    }
  }
  text += ", " + std::to_string(plan.requests) + (plan.requests == 1 ? " request" : " requests");
  text += std::string(", close ") + ToString(plan.close);
  if (plan.count != RunPlan::kUnlimited) text += ", " + GroupDigits(plan.count) + " connections";
  if (plan.duration > Duration()) text += ", " + FormatDuration(plan.duration);
  if (plan.lead() > Duration()) text += " (+" + FormatDuration(plan.lead()) + " before it)";
  return text;
}

int Deliver(const Result& result, const OutputFlags& output, const std::string& log) {
  const std::string text = ShowResult(result, output.percentiles, output.latency);
  absl::Status first;
  const auto keep = [&first](absl::Status written) {
    if (first.ok()) first = std::move(written);
  };
  if (output.json != "-") {
    if (output.text == stdout) {
      keep(WriteFile("-", text));
    } else {
      std::fputs(text.c_str(), output.text);
    }
  }
  if (!output.json.empty()) keep(WriteResult(result, output.json));
  if (!output.folder.empty()) {
    absl::Status written = WriteRunFolder(result, log + text, output.folder);
    if (written.ok()) {
      std::fprintf(output.json == "-" ? stderr : output.text, "saved     %s\n",
                   output.folder.c_str());
    }
    keep(std::move(written));
  }
  return first.ok() ? ExitCodeOf(result) : Report(first);
}

absl::StatusOr<std::optional<Result>> ReadBaseline(const std::string& path, bool search) {
  if (path.empty()) return std::nullopt;
  absl::StatusOr<Result> baseline = ReadResult(path);
  if (!baseline.ok()) {
    return absl::InvalidArgumentError("--baseline: " + std::string(baseline.status().message()));
  }
  const bool found = baseline->search && !baseline->search->goals.empty();
  if (found != search) {
    return absl::InvalidArgumentError("--baseline: " + path + " is " +
                                      (search ? "no result of find-max" : "a result of find-max"));
  }
  return *std::move(baseline);
}

bool HoldsBaseline(const std::optional<Result>& baseline, double share, Result* result) {
  if (!baseline) return true;
  const std::vector<std::string> worse = WorseThan(*baseline, *result, share);
  for (const std::string& what : worse) result->notes.push_back("regression: " + what);
  return worse.empty();
}

RunIdentity IdentityOf(const RunPlan& plan, const RunNames& names, int64_t start_unix_ns) {
  return {.id = RunId(start_unix_ns, names.name),
          .name = names.name,
          .command = names.command,
          .command_line = CommandLine(),
          .version = MILLRACE_VERSION,
          .seed = plan.seed,
          .labels = names.labels};
}

void DescribeRun(const RunPlan& plan, LoadBench& bench, const RunNames& names, Result* result) {
  result->run = IdentityOf(plan, names, result->window.start_unix_ns);
  result->machine = MachineOf(bench);
}

}  // namespace millrace::apps

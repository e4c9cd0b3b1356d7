// apps/millrace/load_open.cc - from the flags of a load run to its ports, and what is said before
// it.

#include <algorithm>
#include <cstdio>

#include "absl/strings/str_split.h"
#include "apps/common/exit_code.h"
#include "apps/millrace/load_flags.h"
#include "apps/result/run_folder.h"
#include "apps/result/write_file.h"

namespace millrace::apps {
namespace {

absl::Status Wrong(const std::string& flag, const std::string& what) {
  return absl::InvalidArgumentError(flag + ": " + what);
}

absl::StatusOr<std::unique_ptr<DpdkBench>> OpenPorts(const LoadFlags& flags, RunPlan* plan) {
  if (!plan->targets.front().ring) {
    if (flags.device.dev.empty() || flags.device.ip.empty()) {
      return absl::InvalidArgumentError(
          "--dev and --ip say which port to use and who we are there; --dev kernel takes this "
          "machine's own sockets; without a network: `millrace load run ring`");
    }
    DeviceFlags device = flags.device;
    device.own = flags.src;
    return DpdkBench::OpenDevice(device, flags.tcp);
  }
  const std::pair<const char*, bool> elsewhere[] = {
      {"--dev", !flags.device.dev.empty() && flags.device.dev != "ring"},
      {"--ip", !flags.device.ip.empty()},
      {"--gw", !flags.device.gw.empty()},
      {"--src", !flags.src.empty()}};
  for (const auto& [flag, given] : elsewhere) {
    if (given) return Wrong(flag, "a target of `ring` is in this process: leave it out");
  }
  absl::StatusOr<dpdk::IdleMode> idle = ParseIdle(flags.device.idle);
  if (!idle.ok()) return idle.status();
  RingOptions ring{.network = {.ipv6 = flags.ipv6}, .cores = flags.device.cores, .idle = *idle};
  const bool http = plan->targets.front().http();
  ring.service = http ? Service::kHttp : Service::kExchange;
  const Exchange& sizes = plan->mix.front();
  ring.serve.exchange = {.request_bytes = sizes.request_bytes,
                         .response_bytes = sizes.response_bytes,
                         .close_after = plan->close == CloseMode::kServer ? plan->requests : 0};
  ring.serve.http.idle_timeout = Duration();  // connections may be held for as long as it takes
  for (Target& target : plan->targets) {
    target.endpoint = DpdkBench::RingTarget(ring.service, ring.network);
  }
  return DpdkBench::OpenRings(ring, flags.device.machine, flags.tcp);
}

}  // namespace

int Announce(const LoadFlags& flags, const LoadSetup& setup, LoadBench& bench) {
  FILE* const out = flags.text();
  if (const std::string wrong = bench.CheckTargets(setup.plan.targets); !wrong.empty()) {
    return ReportUsage(wrong);
  }
  const Capacity capacity = bench.CapacityFor(setup.plan);
  std::fprintf(out, "target    %s  %s\nport      %s\naddresses %s\n",
               setup.plan.target_text.c_str(), DescribeLoad(setup.plan).c_str(),
               bench.Describe().c_str(), capacity.Text().c_str());
  std::fflush(out);
  if (!capacity.Lasts()) return ReportUsage(bench.Advice(capacity));
  if (!setup.output.folder.empty()) {
    if (absl::Status made = MakeRunFolder(setup.output.folder); !made.ok()) return Report(made);
  }
  // In a group rank 0 writes it.
  const bool writes = flags.coordinator.empty() || setup.plan.rank.index == 0;
  if (!setup.output.json.empty() && writes) {
    if (absl::Status can = CheckWritable(setup.output.json); !can.ok()) return Report(can);
  }
  return kPass;
}

absl::StatusOr<std::unique_ptr<LoadBench>> OpenBench(const LoadFlags& flags, LoadSetup* setup) {
  const std::vector<std::string> sources = absl::StrSplit(flags.src, ',');
  const bool named = std::any_of(sources.begin(), sources.end(), [](const std::string& source) {
    return source.find('.') != std::string::npos && source.find(':') != std::string::npos;
  });
  if (flags.src_port.range && named) {
    return Wrong("--src-port", "--src says which ports: give the range once");
  }
  if (IsKernel(flags) && !setup->plan.targets.front().ring) {
    return OpenKernel(flags, *setup, flags.src_port);
  }
  auto bench = OpenPorts(flags, &setup->plan);
  if (bench.ok()) (*bench)->SetSourcePorts(flags.src_port);
  return bench;
}

}  // namespace millrace::apps

// apps/millrace/load_flags.h - the flags of the `load` subcommands, and the plan that they mean.
#ifndef MILLRACE_APPS_MILLRACE_LOAD_FLAGS_H_
#define MILLRACE_APPS_MILLRACE_LOAD_FLAGS_H_

#include <CLI/CLI.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "apps/common/setup.h"
#include "apps/common/source_ports.h"
#include "apps/load/dpdk_bench.h"
#include "apps/load/failure_capture.h"
#include "apps/load/live_view.h"
#include "apps/load/plan.h"
#include "apps/millrace/load_output.h"
#include "apps/result/slo.h"

namespace millrace::apps {

struct LoadFlags {
  std::vector<std::string> targets;
  RunPlan plan;  // what needs no reading of its own
  std::string timeouts, mix, request_file;
  uint32_t request_bytes = 1, response_bytes = 1;
  bool response_given = false, conns_given = false;
  std::string paced_by_clock;  // a flag that was given and needs a rate
  std::string ranks, coordinator, start_at;
  Duration rank_timeout = Duration::Seconds(60);
  DeviceFlags device;
  TcpFlags tcp;
  std::string src;
  SourcePortChoice src_port;
  uint32_t spread = 1;
  uint32_t tos = 0;
  bool ipv4 = false, ipv6 = false;  // of names, and of a ring
  std::string latency = "both", capture;
  Duration interval = Duration::Seconds(1);
  std::string live = "auto", folder, json, name, slo, baseline, percentiles;
  std::string json_stream, prometheus;
  std::vector<std::string> labels;
  double regress_share = 0.03;

  LoadFlags() {
    device.idle = "yield";
    plan.arrival.kind = ArrivalKind::kPoisson;
    plan.close = CloseMode::kFin;
  }
  // Everything but the rate, which find-max and sweep set by themselves.
  void AddTo(CLI::App& app);
  // `--rate`, `--conns` and `--hold`.
  void AddLoadTo(CLI::App& app);
  // `--baseline` and `--max-regress`.
  void AddBaselineTo(CLI::App& app);
  // `--capture-failures` and `--start-at`, of one run.
  void AddOneRunTo(CLI::App& app);

  // Of AddTo: when connections start, how many, for how long.
  void AddScheduleTo(CLI::App& app);
  // Of AddTo: what happens on one.
  void AddExchangeTo(CLI::App& app);
  // Of AddTo: where connections come from and go to.
  void AddSourcesTo(CLI::App& app);
  // Of AddTo: what is shown and written, and what decides about it.
  void AddOutputTo(CLI::App& app);
  // Of AddTo: which of several generators this is.
  void AddRanksTo(CLI::App& app);
  // Where text for people goes: not where the results do.
  FILE* text() const { return json == "-" || json_stream == "-" ? stderr : stdout; }
};

// All of the flags read and checked against each other. kInvalidArgument says which is wrong.
struct LoadSetup {
  RunPlan plan;
  std::vector<Slo> slos;
  CaptureSpec capture;
  LiveMode live = LiveMode::kNone;
  RunNames names;
  OutputFlags output;
  nlohmann::ordered_json configuration;  // every flag that was given, as text
};
// `app`: the subcommand that parsed them; what a single value can be was checked then.
absl::StatusOr<LoadSetup> ReadLoadFlags(const LoadFlags& flags, const CLI::App& app);

// What is wrong with the value of --mix, a list or a file of one; "" for nothing.
std::string ReadMixText(const std::string& text, std::vector<Exchange>* mix);
// Of --latency; "none" shows as both, because there is nothing to show. nullopt for another word.
std::optional<LatencyFrom> ParseLatencyFrom(const std::string& word);

// What --dry-run does with these flags: checks them against each other, and says what they come to.
int CheckLoadFlags(const LoadFlags& flags, const CLI::App& app);

// The bench that the targets need; sets the targets' addresses over rings.
absl::StatusOr<std::unique_ptr<LoadBench>> OpenBench(const LoadFlags& flags, LoadSetup* setup);

// Whether --dev is `kernel`, and what it opens then.
bool IsKernel(const LoadFlags& flags);
absl::StatusOr<std::unique_ptr<LoadBench>> OpenKernel(const LoadFlags& flags,
                                                      const LoadSetup& setup,
                                                      const SourcePortChoice& ports);

// Says what will be done, and makes the folder for its result. kUsage when there are not enough
// addresses and ports, kEnvironment when there is no such folder.
int Announce(const LoadFlags& flags, const LoadSetup& setup, LoadBench& bench);

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_MILLRACE_LOAD_FLAGS_H_

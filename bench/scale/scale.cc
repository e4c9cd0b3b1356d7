// bench/scale/scale.cc - connections per second of the plain exchange against what else is in the
// table: idle established connections, and TIME-WAITs. Both ends on one core (crowd.h).
//
//   scale                                  1 k to 10 M idle ones, 1 k to 60 M TIME-WAITs
//   scale --established 1k,10M --time-wait-entries ""    these alone
// Memory: 10 M idle ones take 2.5 GB at each end, 60 M TIME-WAITs 3.6 GB.

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "apps/common/exit_code.h"
#include "apps/common/flags.h"
#include "apps/common/report.h"
#include "apps/common/setup.h"
#include "apps/common/units.h"
#include "bench/rate/cpu_time.h"
#include "bench/scale/crowd.h"
#include "millrace/dpdk/clock.h"
#include "millrace/dpdk/eal.h"
#include "millrace/stack/memory_report.h"

namespace millrace::bench {
namespace {

struct Flags {
  std::string established = "1k,10k,100k,1M,10M";
  std::string time_waits = "1k,10k,100k,1M,10M,60M";
  Duration seconds = Duration::Seconds(1);
  bool json = false;
  apps::TcpFlags tcp;
  apps::MachineFlags machine;
};

// One size, measured.
struct Point {
  uint64_t established = 0, time_waits = 0;  // that were there, at the server
  uint64_t connections = 0, failed = 0, evicted = 0;
  double cpu_seconds = 0, seconds = 0;
  double flow_bytes = 0;  // of one idle connection or TIME-WAIT, all told
  uint64_t table_bytes = 0, process_bytes = 0;
  bool huge = false;

  double cpu_ns() const { return 1e9 * cpu_seconds / static_cast<double>(connections); }
};

absl::StatusOr<std::vector<uint64_t>> ParseSizes(const std::string& list) {
  std::vector<uint64_t> sizes;
  for (size_t at = 0; at < list.size();) {
    const size_t comma = std::min(list.find(',', at), list.size());
    const auto size = apps::ParseCount(list.substr(at, comma - at));
    if (!size || *size < 1000 || *size > 80'000'000) {
      return absl::InvalidArgumentError("\"" + list + "\" is no list of sizes of 1k to 80M");
    }
    sizes.push_back(*size);
    at = comma + 1;
  }
  return sizes;
}

// What the system has given us: plain pages and huge ones.
uint64_t ProcessBytes() {
  std::ifstream status("/proc/self/status");
  uint64_t kilobytes = 0;
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmRSS:") || line.starts_with("HugetlbPages:")) {
      kilobytes += std::strtoull(line.c_str() + line.find(':') + 1, nullptr, 10);
    }
  }
  return kilobytes * 1024;
}

// Measures for `seconds` of processor time, in turns that cost one reading of the clocks a
// thousand.
absl::StatusOr<Point> Measure(const CrowdPlan& plan, Duration seconds, dpdk::Clock clock) {
  constexpr int kTurns = 1000;
  const uint64_t bytes_before = ProcessBytes();
  auto created = Crowd::Create(plan);
  if (!created.ok()) return created.status();
  Crowd& crowd = **created;
  const Instant give_up = clock.Now() + Duration::Seconds(600);
  while (!crowd.ready()) {
    for (int i = 0; i < kTurns; ++i) crowd.Turn();
    if (clock.Now() > give_up) return absl::DeadlineExceededError("the table does not fill");
  }
  if (plan.established > 0) crowd.Settle();
  // What was evicted while time stood still for the wheel is not of the measurement.
  const uint64_t evicted_before = crowd.server().tcp_counters().time_wait_evicted;
  Point point;
  point.established = plan.established;
  point.time_waits = crowd.server().time_waits().used();
  const double cpu_start = CpuSeconds();
  const Instant start = clock.Now();
  const uint64_t closed_before = crowd.closed();
  while (point.cpu_seconds < seconds.seconds()) {
    for (int i = 0; i < kTurns; ++i) crowd.Turn();
    point.cpu_seconds = CpuSeconds() - cpu_start;
  }
  point.seconds = (clock.Now() - start).seconds();
  point.connections = crowd.closed() - closed_before;
  point.failed = crowd.failed();
  point.evicted = crowd.server().tcp_counters().time_wait_evicted - evicted_before;
  const stack::MemoryReport memory = stack::ReportMemory(crowd.server());
  point.flow_bytes = plan.time_waits == 0 ? memory.connection_bytes : memory.time_wait_bytes;
  point.table_bytes = crowd.server().table().bytes();
  point.process_bytes = ProcessBytes() - bytes_before;
  point.huge = crowd.server().table().huge();
  return point;
}

nlohmann::ordered_json ToJson(const Point& point, uint64_t size, double first_ns) {
  nlohmann::ordered_json json;
  json["size"] = size;
  json["established"] = point.established;
  json["time_waits"] = point.time_waits;
  json["connections"] = point.connections;
  json["connection_cpu_ns"] = point.cpu_ns();
  json["per_s"] = 1e9 / point.cpu_ns();
  json["share_of_first"] = first_ns / point.cpu_ns();
  json["flow_bytes"] = point.flow_bytes;
  json["table_bytes"] = point.table_bytes;
  json["process_bytes"] = point.process_bytes;
  json["huge_pages"] = point.huge;
  json["failed"] = point.failed;
  json["time_wait_evicted"] = point.evicted;
  return json;
}

class Sweep {
 public:
  Sweep(const Flags& flags, dpdk::Clock clock) : flags_(flags), clock_(clock) {}

  // All sizes of one kind; the first is what the others are compared with.
  absl::Status Run(const char* what, const std::vector<uint64_t>& sizes,
                   uint64_t CrowdPlan::*kind) {
    double first_ns = 0;
    for (const uint64_t size : sizes) {
      CrowdPlan plan{.tcp = flags_.tcp.Config(), .pages = flags_.machine.pages()};
      plan.*kind = size;
      const auto point = Measure(plan, flags_.seconds, clock_);
      if (!point.ok()) return point.status();
      if (first_ns == 0) first_ns = point->cpu_ns();
      failed_ += point->failed + point->evicted;
      points_[what].push_back(ToJson(*point, size, first_ns));
      if (flags_.json) continue;
      std::printf("%10s %-12s %8.1f ns per connection, %5.1f %% of the first; %.1f bytes each%s\n",
                  apps::GroupDigits(size).c_str(), what, point->cpu_ns(),
                  100 * first_ns / point->cpu_ns(), point->flow_bytes,
                  point->huge ? ", huge pages" : "");
      std::fflush(stdout);
    }
    return absl::OkStatus();
  }

  const nlohmann::ordered_json& points() const { return points_; }
  uint64_t failed() const { return failed_; }

 private:
  const Flags& flags_;
  dpdk::Clock clock_;
  nlohmann::ordered_json points_ = nlohmann::ordered_json::object();
  uint64_t failed_ = 0;
};

int Run(const Flags& flags) {
  const auto established = ParseSizes(flags.established), time_waits = ParseSizes(flags.time_waits);
  if (!established.ok()) return apps::Report(established.status());
  if (!time_waits.ok()) return apps::Report(time_waits.status());
  const uint64_t packets = 2 * uint64_t{kLoopbackPacketsPerPort} + 1;
  auto eal = dpdk::Eal::Start(flags.machine.EalFor(packets));
  if (!eal.ok()) return apps::Report(eal.status());
  Sweep sweep(flags, dpdk::Clock::Calibrate());
  absl::Status ran = sweep.Run("established", *established, &CrowdPlan::established);
  if (ran.ok()) ran = sweep.Run("time-wait", *time_waits, &CrowdPlan::time_waits);
  if (!ran.ok()) return apps::Report(ran);
  if (flags.json) {
    nlohmann::ordered_json json;
    json["schema"] = 1;
    json["machine"] = apps::MachineJson();
    json["options"] = flags.tcp.OptionsText();
    json["points"] = sweep.points();
    std::printf("%s\n", json.dump(2).c_str());
  }
  return sweep.failed() == 0 ? apps::kPass : apps::kFailed;
}

}  // namespace
}  // namespace millrace::bench

int main(int argc, char** argv) {
  using namespace millrace;  // NOLINT: the one function outside
  bench::Flags flags;
  CLI::App app("connection rate against the size of the table", "scale");
  app.add_option("--established", flags.established, "idle connections, \"\" for none")
      ->type_name("N,N,...")
      ->capture_default_str();
  app.add_option("--time-wait-entries", flags.time_waits, "TIME-WAITs, \"\" for none")
      ->type_name("N,N,...")
      ->capture_default_str();
  apps::AddDuration(app, {"--seconds", "TIME", "of each size", "1"}, &flags.seconds,
                    Duration::Milliseconds(1), Duration::Seconds(600));
  app.add_flag("--json", flags.json, "JSON instead of text");
  flags.tcp.AddTo(app);
  flags.machine.AddTo(app);
  CLI11_PARSE(app, argc, argv);
  return bench::Run(flags);
}

// apps/millrace/get.cc - `millrace get URL`: Millrace as the client of a real HTTP server.

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "apps/common/exit_code.h"
#include "apps/common/flags.h"
#include "apps/common/http_fetcher.h"
#include "apps/common/report.h"
#include "apps/common/setup.h"
#include "apps/common/worker_group.h"
#include "apps/millrace/subcommand.h"
#include "millrace/dpdk/clock.h"

namespace millrace::apps {
namespace {

struct GetFlags {
  std::string url, output;
  uint64_t connections = 1;
  uint32_t concurrency = 1;
  bool json = false;
  Duration timeout = Duration::Seconds(300);
  DeviceFlags device;
  TcpFlags tcp;
};

struct FileCloser {
  void operator()(FILE* file) const {
    if (file != stdout) std::fclose(file);
  }
};

std::vector<LatencyRow> LatenciesOf(const LoadResult& load) {
  return {{"connect", &load.connect_ns},
          {"first byte", &load.first_byte_ns},
          {"close", &load.close_ns},
          {"whole", &load.total_ns}};
}

using GetWorkers = WorkerGroup<HttpFetcher>;

// Of all workers together.
nlohmann::ordered_json CountersOf(GetWorkers& workers) {
  nlohmann::ordered_json sum;
  for (uint32_t i = 0; i < workers.size(); ++i) {
    AddUp(sum, CountersJson(workers.engine(i), workers.layers(i)));
  }
  return sum;
}

FetchResult ResultOf(GetWorkers& workers) {
  FetchResult sum = workers.app(0).result();
  for (uint32_t i = 1; i < workers.size(); ++i) sum.Add(workers.app(i).result());
  return sum;
}

void PrintSummary(const GetFlags& flags, const FetchResult& result,
                  const nlohmann::ordered_json& counters) {
  const LoadResult& load = result.load;
  const double seconds = load.window.seconds();
  const double mbit = seconds > 0 ? static_cast<double>(result.body_bytes) * 8e-6 / seconds : 0;
  std::fprintf(stderr, "%s: status %d, %s in %s (%.1f Mbit/s), %s retransmits\n", flags.url.c_str(),
               result.last_status, FormatBytes(result.body_bytes).c_str(),
               FormatDuration(load.window).c_str(), mbit,
               GroupDigits(counters["TcpRetransSegs"].get<uint64_t>()).c_str());
  if (flags.connections > 1) {
    std::fprintf(stderr, "  connections %s/s: %s ok, %s other answers, %s incomplete\n%s",
                 FormatCount(load.rate_per_s()).c_str(), GroupDigits(load.ok).c_str(),
                 GroupDigits(result.http_failed).c_str(), GroupDigits(result.incomplete).c_str(),
                 LatencyTable(LatenciesOf(load)).c_str());
  }
  std::fprintf(stderr, "%s", NumbersText(counters).c_str());
  if (!result.error.empty()) std::fprintf(stderr, "millrace: %s\n", result.error.c_str());
  if (result.write_failed) std::fprintf(stderr, "millrace: the body could not be written\n");
}

void PrintJson(const GetFlags& flags, const FetchResult& result,
               const nlohmann::ordered_json& counters) {
  nlohmann::ordered_json json;
  json["schema"] = 1;
  json["command"] = "get";
  json["url"] = flags.url;
  json["status"] = result.last_status;
  json["body_bytes"] = result.body_bytes;
  json["window_s"] = Seconds(result.load.window);
  json["connections_per_s"] = result.load.rate_per_s();
  json["ok"] = result.load.ok;
  json["other_answers"] = result.http_failed;
  json["incomplete"] = result.incomplete;
  json["failures"] = FailuresJson(result.load);
  json["error"] = result.error;
  json["latency"] = LatencyJson(LatenciesOf(result.load));
  json["counters"] = counters;
  std::fprintf(stderr, "%s\n", json.dump(2).c_str());
}

// Waits for the end; true when a signal came first.
bool Watch(const GetFlags& flags, GetWorkers& workers, const std::vector<LiveLoad>& live,
           StopSignals& signals) {
  const int64_t end_ns = dpdk::MonotonicNs() + flags.timeout.ns();
  const auto done = [](const LiveLoad& each) { return each.done.load(std::memory_order_relaxed); };
  while (!std::all_of(live.begin(), live.end(), done)) {
    if (workers.Watch(signals, Duration::Milliseconds(5))) return true;
    if (dpdk::MonotonicNs() < end_ns) continue;
    std::fprintf(stderr, "millrace: not done after %s (--timeout)\n",
                 FormatDuration(flags.timeout).c_str());
    break;
  }
  return false;
}

int RunOn(const GetFlags& flags, Devices& devices, const FetchPlan& plan, StopSignals& signals) {
  const uint32_t count = devices.workers();
  if (plan.count < count || plan.concurrency < count) {
    return ReportUsage("--cores and --dev ask for " + std::to_string(count) +
                       " workers: give at least as many --connections and --concurrency");
  }
  for (Device& device : devices.ports) {
    device.config.limits.connections = 2 * flags.concurrency + 1024 * count;
    device.config.limits.half_open = 1024 * count;
  }
  std::vector<LiveLoad> live(count);
  const auto fetcher = [&](uint32_t worker) {
    FetchPlan part = plan;
    part.count = stack::ShareOf(plan.count, worker, count);
    part.concurrency = stack::ShareOf(plan.concurrency, worker, count);
    return std::make_unique<HttpFetcher>(part, live[worker]);
  };
  auto workers = GetWorkers::Create(devices, fetcher, dpdk::Clock::Calibrate());
  if (!workers.ok()) return Report(workers.status());
  if (absl::Status ready = (*workers)->AwaitAddress(); !ready.ok()) return Report(ready);
  if (absl::Status started = (*workers)->Start("get"); !started.ok()) return Report(started);
  const bool interrupted = Watch(flags, **workers, live, signals);
  (*workers)->Stop(Duration(), signals);
  const FetchResult result = ResultOf(**workers);
  const nlohmann::ordered_json counters = CountersOf(**workers);
  flags.json ? PrintJson(flags, result, counters) : PrintSummary(flags, result, counters);
  if (interrupted) return kInterrupted;
  return result.all_ok(flags.connections) ? kPass : kFailed;
}

int Run(const GetFlags& flags, StopSignals& signals) {
  FetchPlan plan{.count = flags.connections, .concurrency = flags.concurrency};
  const std::optional<HttpUrl> url = HttpUrl::Parse(flags.url);
  if (!url) {
    return ReportUsage("\"" + flags.url +
                       "\" is no URL to fetch; write http://10.1.0.2:8080/path or "
                       "http://[2001:db8::2]/ (an address: names are not looked up)");
  }
  plan.url = *url;
  if (flags.connections > 1 && !flags.output.empty()) {
    return ReportUsage("-o keeps one body, but --connections asks for several");
  }
  absl::StatusOr<Devices> devices = OpenDevices(flags.device, flags.tcp);
  if (!devices.ok()) return Report(devices.status());
  std::unique_ptr<FILE, FileCloser> file;
  if (flags.connections == 1) {
    const bool to_stdout = flags.output.empty() || flags.output == "-";
    file.reset(to_stdout ? stdout : std::fopen(flags.output.c_str(), "wb"));
    if (file == nullptr) {
      return Report(absl::FailedPreconditionError("cannot write -o " + flags.output));
    }
    plan.body_out = file.get();
  }
  const int code = RunOn(flags, *devices, plan, signals);
  if (file != nullptr && std::fflush(file.get()) != 0) {
    return Report(absl::FailedPreconditionError("the body could not be written"));
  }
  return code;
}

}  // namespace

Subcommand AddGet(CLI::App& program) {
  CLI::App* app = program.add_subcommand("get", "fetch an http:// URL from a real server");
  auto flags = std::make_shared<GetFlags>();
  flags->device.idle = "yield";
  app->add_option("url", flags->url, "http://ADDRESS[:PORT]/path")->required()->type_name("URL");
  app->add_option("-o,--output", flags->output, "write the body to FILE (default: stdout)")
      ->type_name("FILE");
  AddCount(*app, {"--connections", "N", "fetch so many times, each over a new connection", "1"},
           &flags->connections, 1);
  AddCount(*app, {"--concurrency", "N", "fetches at a time", "1"}, &flags->concurrency, 1,
           1'000'000);
  AddDuration(*app, {"--timeout", "TIME", "give up after this time", "300s"}, &flags->timeout,
              Duration::Milliseconds(1), Duration::Seconds(1'000'000));
  app->add_flag("--json", flags->json, "the summary as JSON");
  flags->device.AddTo(*app);
  flags->tcp.AddTo(*app);
  return {app, [flags](StopSignals& signals) { return Run(*flags, signals); }};
}

}  // namespace millrace::apps

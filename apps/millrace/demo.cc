// apps/millrace/demo.cc - `millrace demo`: a server and a client in one process, joined by rings.
//
// With two CPUs each end has a worker; with one, a single worker polls both in turn.

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "apps/common/exit_code.h"
#include "apps/common/flags.h"
#include "apps/common/loopback.h"
#include "apps/common/report.h"
#include "apps/common/setup.h"
#include "apps/millrace/subcommand.h"
#include "millrace/dpdk/clock.h"
#include "millrace/dpdk/worker.h"

namespace millrace::apps {
namespace {

constexpr uint32_t kConcurrency = 64, kConcurrencyOpenLoop = 16'384;
constexpr Duration kDrain = Duration::Seconds(5);  // for connections under way at the end

struct DemoFlags {
  LoadPlan plan{.duration = Duration::Seconds(5)};
  bool duration_given = false;
  uint32_t concurrency = 0;
  std::string close = "server";
  uint32_t cores = 0;
  uint32_t time_waits = 0;
  bool json = false;
  TcpFlags tcp;
  MachineFlags machine;
};

// Everything that runs. Members end in reverse order: workers, engines and rings, EAL.
struct Demo {
  std::unique_ptr<dpdk::Eal> eal;
  std::unique_ptr<Loopback> loopback;
  std::vector<std::unique_ptr<dpdk::Worker>> workers;  // one, or client and server
  bool interrupted = false;

  void StopWorkers() {
    for (auto& worker : workers) worker->RequestStop();
    for (auto& worker : workers) worker->Join();
  }
};

absl::StatusOr<std::vector<int>> ChooseCpus(uint32_t cores) {
  std::vector<int> cpus = dpdk::AllowedCpus();
  if (cores == 2 && cpus.size() < 2) {
    return absl::FailedPreconditionError(
        "--cores 2, but this process may use one CPU only; leave it out or give --cores 1");
  }
  cpus.resize(std::min<size_t>(cpus.size(), cores == 0 ? 2 : cores));
  return cpus;
}

absl::StatusOr<std::unique_ptr<dpdk::Worker>> StartWorker(const char* name, int cpu,
                                                          const dpdk::Clock& clock,
                                                          dpdk::PollFunction poll) {
  const dpdk::WorkerOptions options{.name = name, .cpu = cpu, .idle = dpdk::IdleMode::kYield};
  return dpdk::Worker::Start(options, clock, std::move(poll));
}

absl::Status StartWorkers(Demo& demo, const std::vector<int>& cpus, const dpdk::Clock& clock) {
  HostedStack<LoadClient>* client = &demo.loopback->client();
  HostedStack<ResponseServer>* server = &demo.loopback->server();
  const auto add = [&demo](absl::StatusOr<std::unique_ptr<dpdk::Worker>> worker) {
    if (worker.ok()) demo.workers.push_back(*std::move(worker));
    return worker.status();
  };
  if (cpus.size() == 1) {
    return add(StartWorker("both-ends", cpus[0], clock, [client, server](Instant now) {
      return client->Poll(now) + server->Poll(now);
    }));
  }
  // The server first, so that it listens when the client begins.
  const absl::Status started = add(
      StartWorker("server", cpus[1], clock, [server](Instant now) { return server->Poll(now); }));
  if (!started.ok()) return started;
  return add(
      StartWorker("client", cpus[0], clock, [client](Instant now) { return client->Poll(now); }));
}

absl::StatusOr<Demo> Start(const DemoFlags& flags, const std::vector<int>& cpus) {
  const absl::StatusOr<LayerOptions> layers = flags.machine.Layers();
  if (!layers.ok()) return layers.status();
  Demo demo;
  const uint64_t packets = 2 * uint64_t{Loopback::kPacketsPerPort} + 1;
  auto eal = dpdk::Eal::Start(
      {.memory_mb = flags.machine.MemoryMb(packets), .huge_pages = flags.machine.huge_pages()});
  if (!eal.ok()) return eal.status();
  demo.eal = *std::move(eal);
  dpdk::Clock clock = dpdk::Clock::Calibrate();
  auto loopback = Loopback::Create({.plan = flags.plan,
                                    .tcp = flags.tcp.Config(),
                                    .pages = flags.machine.pages(),
                                    .layers = *layers,
                                    .time_waits = flags.time_waits},
                                   clock.Now());
  if (!loopback.ok()) return loopback.status();
  demo.loopback = *std::move(loopback);
  if (absl::Status started = StartWorkers(demo, cpus, clock); !started.ok()) return started;
  return demo;
}

void PrintHead(const DemoFlags& flags, const Demo& demo, size_t cores) {
  std::printf("millrace demo - two ports joined by rings: no NIC, no root (%zu core%s, %s)\n",
              cores, cores == 1 ? ", both ends in turn" : "s", demo.eal->Describe().c_str());
  const LoadPlan& plan = flags.plan;
  std::string load = plan.rate_per_s > 0
                         ? "open loop, " + FormatCount(plan.rate_per_s) + " conn/s paced"
                         : "closed loop, " + std::to_string(plan.concurrency) + " at a time";
  if (!flags.machine.impair.empty()) load += ", " + flags.machine.impair + " both ways";
  std::printf("server 198.18.0.1:80   client 198.18.128.0/23   %s\n\n", load.c_str());
  std::printf("%5s %9s %12s %8s %7s %7s   %s\n", "t", "conn/s", "ok", "failed", "open", "retx",
              cores == 1 ? "busy" : "busy client/server");
}

// Cycles since the last line.
class BusyMeter {
 public:
  explicit BusyMeter(const Demo& demo) : demo_(demo), last_(demo.workers.size()) {}

  // "97%/88%": the client's worker first.
  std::string Next() {
    std::string text;
    for (size_t i = demo_.workers.size(); i-- > 0;) {
      const dpdk::WorkerLoad load = demo_.workers[i]->Load();
      const dpdk::WorkerLoad since{.busy_cycles = load.busy_cycles - last_[i].busy_cycles,
                                   .idle_cycles = load.idle_cycles - last_[i].idle_cycles};
      last_[i] = load;
      if (!text.empty()) text += "/";
      text += std::to_string(std::lround(since.busy_share() * 100)) + "%";
    }
    return text;
  }

 private:
  const Demo& demo_;
  std::vector<dpdk::WorkerLoad> last_;
};

uint64_t Load(const std::atomic<uint64_t>& value) { return value.load(std::memory_order_relaxed); }
// Prints a line each second until the client is done, the drain time is over, or a signal came.
void Watch(const DemoFlags& flags, Demo& demo, StopSignals& signals) {
  LiveLoad& live = demo.loopback->live();
  BusyMeter busy(demo);
  const int64_t start_ns = dpdk::MonotonicNs();
  int64_t line_ns = start_ns, give_up_ns = INT64_MAX;
  if (flags.plan.duration.ns() != 0) give_up_ns = start_ns + (flags.plan.duration + kDrain).ns();
  uint64_t last_ok = 0;
  while (!live.done.load(std::memory_order_relaxed) && dpdk::MonotonicNs() < give_up_ns) {
    if (signals.Wait(Duration::Milliseconds(20))) {
      demo.interrupted = true;
      live.stop.store(true, std::memory_order_relaxed);
      give_up_ns = dpdk::MonotonicNs() + Duration::Milliseconds(500).ns();
    }
    const int64_t now_ns = dpdk::MonotonicNs();
    if (flags.json || now_ns - line_ns < 1'000'000'000) continue;
    const uint64_t ok = Load(live.ok);
    const double rate =
        static_cast<double>(ok - last_ok) * 1e9 / static_cast<double>(now_ns - line_ns);
    std::printf("%4.0fs %9s %12s %8s %7s %7s   %s\n", static_cast<double>(now_ns - start_ns) * 1e-9,
                FormatCount(rate).c_str(), GroupDigits(ok).c_str(),
                GroupDigits(Load(live.failed)).c_str(), GroupDigits(Load(live.open)).c_str(),
                GroupDigits(Load(live.retransmits)).c_str(), busy.Next().c_str());
    std::fflush(stdout);
    last_ok = ok;
    line_ns = now_ns;
  }
}

// All figures of a run, counted after the workers have ended.
struct Figures {
  const LoadResult& result;
  uint64_t failed;    // with those that did not end in time
  uint64_t finished;  // ok and failed ones that ended
  double packets_per_connection;
  uint64_t evicted;  // TIME-WAIT entries that went early

  explicit Figures(Demo& demo)
      : result(demo.loopback->result()),
        failed(result.failed_total() + demo.loopback->still_open()),
        finished(result.ok + result.failed_total()),
        packets_per_connection(
            finished == 0 ? 0
                          : static_cast<double>(TcpFrames(demo.loopback->client().engine())) /
                                static_cast<double>(finished)),
        evicted(demo.loopback->closer().tcp_counters().time_wait_evicted) {}

  ExitCode Verdict(const Demo& demo) const {
    if (demo.interrupted) return kInterrupted;
    return failed == 0 && result.ok > 0 ? kPass : kFailed;
  }
  std::vector<LatencyRow> Latencies() const {
    return {{"connect", &result.connect_ns},
            {"first byte", &result.first_byte_ns},
            {"close", &result.close_ns},
            {"whole", &result.total_ns}};
  }
};

void PrintFailures(const Demo& demo, const Figures& figures) {
  std::string text = FailuresText(figures.result);
  if (demo.loopback->still_open() > 0) {
    text += (text.empty() ? "" : ", ") + std::to_string(demo.loopback->still_open()) +
            " not over " + FormatDuration(kDrain) + " after the end";
  }
  if (!text.empty()) std::printf("  failures    %s\n", text.c_str());
  if (figures.result.not_opened > 0) {
    std::printf("  put off     %s times an open had to wait: %s\n",
                GroupDigits(figures.result.not_opened).c_str(),
                stack::ToString(figures.result.last_refusal));
  }
}

void PrintTable(const DemoFlags& flags, Demo& demo) {
  const Figures figures(demo);
  const LoadResult& result = figures.result;
  std::printf("\n  connections %s/s (%s in %s), %s failed\n",
              FormatCount(result.rate_per_s()).c_str(), GroupDigits(result.ok_in_window).c_str(),
              FormatDuration(result.window).c_str(), GroupDigits(figures.failed).c_str());
  PrintFailures(demo, figures);
  std::printf("%s", LatencyTable(figures.Latencies()).c_str());
  std::printf(
      "  counted     handshake, %s request, %s response, both FINs: %.2f packets each\n"
      "              the %s closes first and keeps TIME-WAIT for %s; %s entries at the end\n"
      "              options: %s\n",
      FormatBytes(flags.plan.request_bytes).c_str(), FormatBytes(flags.plan.response_bytes).c_str(),
      figures.packets_per_connection, flags.plan.client_closes ? "client" : "server",
      FormatDuration(flags.tcp.time_wait).c_str(),
      GroupDigits(demo.loopback->closer().time_waits().used()).c_str(),
      flags.tcp.OptionsText().c_str());
  if (figures.evicted > 0) {
    std::printf(
        "  note        %s TIME-WAIT entries went early: the pool holds %s "
        "(--time-wait-entries)\n",
        GroupDigits(figures.evicted).c_str(), GroupDigits(demo.loopback->time_waits()).c_str());
  }
  std::printf("\nVERDICT %s - %s connections, %s failed\n",
              demo.interrupted                 ? "interrupted"
              : figures.Verdict(demo) == kPass ? "pass"
                                               : "FAIL",
              GroupDigits(figures.finished).c_str(), GroupDigits(figures.failed).c_str());
  std::printf("note: a test over rings measures this program, not a network.\n");
}

void PrintJson(const DemoFlags& flags, Demo& demo, size_t cores) {
  const Figures figures(demo);
  const LoadResult& result = figures.result;
  nlohmann::ordered_json json;
  json["schema"] = 1;
  json["command"] = "demo";
  json["version"] = MILLRACE_VERSION;
  json["machine"] = MachineJson();
  json["config"] = {{"cores", cores},
                    {"huge_pages", demo.eal->huge_pages()},
                    {"duration_s", Seconds(flags.plan.duration)},
                    {"concurrency", flags.plan.concurrency},
                    {"rate_per_s", flags.plan.rate_per_s},
                    {"count", flags.plan.count},
                    {"request_bytes", flags.plan.request_bytes},
                    {"response_bytes", flags.plan.response_bytes},
                    {"closes_first", flags.close},
                    {"time_wait_s", Seconds(flags.tcp.time_wait)},
                    {"time_wait_entries_max", demo.loopback->time_waits()},
                    {"options", flags.tcp.OptionsText()},
                    {"impair", flags.machine.impair}};
  json["connections_per_s"] = result.rate_per_s();
  json["window_s"] = Seconds(result.window);
  json["opened"] = result.opened;
  json["ok"] = result.ok;
  json["failed"] = figures.failed;
  json["failures"] = FailuresJson(result);
  json["failures"]["unfinished"] = demo.loopback->still_open();
  json["opens_put_off"] = result.not_opened;
  json["packets_per_connection"] = figures.packets_per_connection;
  json["latency"] = LatencyJson(figures.Latencies());
  json["time_wait_evicted"] = figures.evicted;
  for (size_t i = demo.workers.size(); i-- > 0;) {
    json["busy_share"].push_back(demo.workers[i]->Load().busy_share());
  }
  HostedStack<LoadClient>& client = demo.loopback->client();
  json["counters"] = {{"client", CountersJson(client.engine(), client.layers())},
                      {"server", CountersJson(demo.loopback->server().engine())}};
  const ExitCode verdict = figures.Verdict(demo);
  json["verdict"] = verdict == kPass ? "pass" : verdict == kFailed ? "fail" : "interrupted";
  std::printf("%s\n", json.dump(2).c_str());
}

int Run(DemoFlags& flags, StopSignals& signals) {
  if (flags.close != "server" && flags.close != "client") {
    return ReportUsage("--close \"" + flags.close + "\" is neither server nor client");
  }
  flags.plan.client_closes = flags.close == "client";
  flags.plan.concurrency = flags.concurrency != 0      ? flags.concurrency
                           : flags.plan.rate_per_s > 0 ? kConcurrencyOpenLoop
                                                       : kConcurrency;
  if (flags.plan.count != 0 && !flags.duration_given) flags.plan.duration = Duration();
  const absl::StatusOr<std::vector<int>> cpus = ChooseCpus(flags.cores);
  if (!cpus.ok()) return Report(cpus.status());
  absl::StatusOr<Demo> demo = Start(flags, *cpus);
  if (!demo.ok()) return Report(demo.status());
  if (!flags.json) PrintHead(flags, *demo, cpus->size());
  Watch(flags, *demo, signals);
  demo->StopWorkers();
  flags.json ? PrintJson(flags, *demo, cpus->size()) : PrintTable(flags, *demo);
  return Figures(*demo).Verdict(*demo);
}

}  // namespace

Subcommand AddDemo(CLI::App& program) {
  CLI::App* app = program.add_subcommand(
      "demo", "a server and a client in this process: how fast connections open and close here");
  auto flags = std::make_shared<DemoFlags>();
  constexpr uint64_t kBytesMax = uint64_t{1} << 20;
  AddDuration(*app, {"--duration", "TIME", "how long connections are opened", "5s"},
              &flags->plan.duration, Duration::Milliseconds(10), Duration::Seconds(86'400));
  AddCount(*app, {"--concurrency", "N", "connections at a time (64; with --rate 16384)", ""},
           &flags->concurrency, 1, 1'000'000);
  AddRate(*app, {"--rate", "N", "open so many per second, evenly, whatever closes", ""},
          &flags->plan.rate_per_s);
  AddCount(*app, {"--count", "N", "stop after so many connections", ""}, &flags->plan.count, 1);
  AddSize(*app, {"--request-size", "SIZE", "octets of a request, at most 1m", "1"},
          &flags->plan.request_bytes, 1, kBytesMax);
  AddSize(*app, {"--response-size", "SIZE", "octets of a response, at most 1m", "1"},
          &flags->plan.response_bytes, 1, kBytesMax);
  app->add_option("--close", flags->close, "who closes first: server or client")
      ->type_name("WHO")
      ->default_str("server");
  AddCount(*app, {"--cores", "N", "1: both ends on one; 2: one each (default: what there is)", ""},
           &flags->cores, 1, 2);
  AddCount(*app, {"--time-wait-entries", "N", "TIME-WAIT pool (default: room for 2 M conn/s)", ""},
           &flags->time_waits, 1, 500'000'000);
  app->add_flag("--json", flags->json, "one JSON object instead of text");
  flags->tcp.AddTo(*app);
  flags->machine.AddTo(*app);
  return {app, [app, flags](StopSignals& signals) {
            flags->duration_given = app->count("--duration") > 0;
            return Run(*flags, signals);
          }};
}

}  // namespace millrace::apps

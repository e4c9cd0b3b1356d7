// apps/millrace/demo.cc - `millrace demo`: a server and a client in one process, joined by rings.
//
// A load run against `ring` with few flags: connections one after the other, as fast as they go.
// With --cores there is such a pair on each core, and they share nothing.

#include <cstdio>
#include <memory>
#include <string>

#include "apps/common/exit_code.h"
#include "apps/common/flags.h"
#include "apps/common/report.h"
#include "apps/common/setup.h"
#include "apps/load/dpdk_bench.h"
#include "apps/load/load_report.h"
#include "apps/load/load_watch.h"
#include "apps/millrace/load_output.h"
#include "apps/millrace/subcommand.h"

namespace millrace::apps {
namespace {

constexpr uint32_t kConcurrency = 64, kConcurrencyOpenLoop = 16'384;

struct DemoFlags {
  RunPlan plan{.drain = Duration::Seconds(5)};
  uint32_t concurrency = 0;
  std::string close = "server";
  RingOptions ring;
  bool json = false;
  TcpFlags tcp;
  MachineFlags machine;
};

// "" or what is wrong.
std::string Resolve(DemoFlags& flags, bool duration_given) {
  if (flags.close != "server" && flags.close != "client") {
    return "--close \"" + flags.close + "\" is neither server nor client";
  }
  RunPlan& plan = flags.plan;
  plan.close = flags.close == "client" ? CloseMode::kFin : CloseMode::kServer;
  plan.timeouts = {Duration(), Duration(), Duration(), Duration()};  // TCP's own
  if (flags.concurrency != 0) {
    plan.concurrency = plan.open_max = flags.concurrency;
  } else {
    plan.concurrency = kConcurrency;
    plan.open_max = kConcurrencyOpenLoop;
  }
  if (plan.count == RunPlan::kUnlimited || duration_given) return "";
  plan.duration = Duration();
  return "";
}

int Run(DemoFlags& flags, bool duration_given, StopSignals& signals) {
  if (std::string wrong = Resolve(flags, duration_given); !wrong.empty()) {
    return ReportUsage(wrong);
  }
  RunPlan& plan = flags.plan;
  const Exchange& sizes = plan.mix.front();
  flags.ring.serve.exchange = {.request_bytes = sizes.request_bytes,
                               .response_bytes = sizes.response_bytes,
                               .close_after = plan.close == CloseMode::kServer ? 1u : 0u};
  plan.targets = {{.endpoint = DpdkBench::RingTarget(Service::kExchange, flags.ring.network),
                   .ring = true,
                   .text = "ring"}};
  auto bench = DpdkBench::OpenRings(flags.ring, flags.machine, flags.tcp);
  if (!bench.ok()) return Report(bench.status());
  if (!flags.json) {
    const size_t cpus = (*bench)->cpus().size();
    const char* const ends = (*bench)->workers() > 1 ? "s, two ports and both ends on each"
                             : cpus > 1              ? "s, one end each"
                                                     : ", both ends in turn";
    std::printf("millrace demo - two ports joined by rings: no NIC, no root (%zu core%s)\n", cpus,
                ends);
    std::printf("server %s   client %s   %s%s%s\n\n",
                plan.targets.front().endpoint.ToString().c_str(),
                flags.ring.network.clients().ToString().c_str(), DescribeLoad(plan).c_str(),
                flags.machine.impair.empty() ? "" : ", both ways ", flags.machine.impair.c_str());
  }
  auto run = (*bench)->Start(plan);
  if (!run.ok()) return Report(run.status());
  LiveView view(flags.json ? LiveMode::kNone : LiveMode::kPlain, stdout, plan.length());
  const LoadOutcome outcome = Watch(**bench, **run, Duration::Seconds(1), view, signals);
  Result result = ResultOf(plan, outcome, **bench);
  JudgeDemo(outcome, &result);
  DescribeRun(plan, **bench, {.command = "demo"}, &result);
  result.configuration = {{"huge_pages", (*bench)->huge_pages()},
                          {"options", flags.tcp.OptionsText()},
                          {"time_wait_s", Seconds(flags.tcp.time_wait)},
                          {"impair", flags.machine.impair}};
  return Deliver(result, {.json = flags.json ? "-" : ""}, view.log());
}

}  // namespace

Subcommand AddDemo(CLI::App& program) {
  CLI::App* app = program.add_subcommand(
      "demo", "a server and a client in this process: how fast connections open and close here");
  auto flags = std::make_shared<DemoFlags>();
  RunPlan& plan = flags->plan;
  plan.duration = Duration::Seconds(5);
  constexpr uint64_t kBytesMax = uint64_t{1} << 20;
  AddDuration(*app, {"--duration", "TIME", "how long connections are opened", "5s"}, &plan.duration,
              Duration::Milliseconds(10), Duration::Seconds(86'400));
  AddCount(*app, {"--concurrency", "N", "connections at a time (64; with --rate 16384)", ""},
           &flags->concurrency, 1, 1'000'000);
  AddRate(*app, {"--rate", "N", "open so many per second, evenly, whatever closes", ""},
          &plan.rate_per_s);
  AddCount(*app, {"--count", "N", "stop after so many connections", ""}, &plan.count, 1);
  AddSize(*app, {"--request-size", "SIZE", "octets of a request, at most 1m", "1"},
          &plan.mix.front().request_bytes, 1, kBytesMax);
  AddSize(*app, {"--response-size", "SIZE", "octets of a response, at most 1m", "1"},
          &plan.mix.front().response_bytes, 1, kBytesMax);
  app->add_option("--close", flags->close, "who closes first: server or client")
      ->type_name("WHO")
      ->default_str("server");
  app->add_option("--cores", flags->ring.cores,
                  "a client and a server on each of these CPUs: auto, or a list as 0,2-5 "
                  "(default: two CPUs, one end each)")
      ->type_name("LIST");
  AddCount(*app, {"--time-wait-entries", "N", "TIME-WAIT pool (default: what the run needs)", ""},
           &flags->ring.time_waits, 1, 500'000'000);
  app->add_flag("--ipv6", flags->ring.network.ipv6, "over IPv6 instead of IPv4");
  app->add_flag("--json", flags->json, "one JSON object instead of text");
  flags->tcp.AddTo(*app);
  flags->machine.AddTo(*app);
  return {app, [app, flags](StopSignals& signals) {
            return Run(*flags, app->count("--duration") > 0, signals);
          }};
}

}  // namespace millrace::apps

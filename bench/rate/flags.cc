#include "bench/rate/flags.h"

#include "apps/common/flags.h"
#include "apps/common/pattern.h"

namespace millrace::bench {

void Flags::AddTo(CLI::App& app) {
  constexpr uint64_t kBytesMax = apps::Pattern::kBlockBytes - apps::Pattern::kPeriod;
  apps::AddDuration(app, {"--seconds", "TIME", "how long", "5"}, &seconds,
                    Duration::Milliseconds(1), Duration::Seconds(86'400));
  apps::AddCount(app, {"--count", "N", "so many connections instead", ""}, &count, 1);
  apps::AddCount(app,
                 {"--concurrency", "N", "connections at a time",
                  "64; 128 over a memif or device; 1 with --bulk"},
                 &concurrency, 1, 100'000);
  apps::AddSize(app, {"--request", "SIZE", "octets of a request", "1"}, &request_bytes, 1,
                kBytesMax);
  apps::AddSize(app, {"--response", "SIZE", "octets of a response", "1"}, &response_bytes, 1,
                kBytesMax);
  apps::AddCount(app, {"--cores", "N", "over rings: 1, both ends in turn, or 2", "1"}, &cores, 1,
                 2);
  apps::AddCount(app, {"--pairs", "N", "so many pairs of rings, a core each for both ends", "1"},
                 &pairs, 1, 64);
  apps::AddCount(app, {"--workers", "N", "of a client and of a server, a core each for both", ""},
                 &workers, 1, 64)
      ->excludes("--cores")
      ->excludes("--pairs");
  apps::AddCount(app,
                 {"--queues", "N", "of both devices with --workers; fewer: handed over", "workers"},
                 &queues, 1, 64)
      ->needs("--workers");
  app.add_flag("--in-turn", in_turn, "all --workers on one thread")->needs("--workers");
  app.add_flag("--indirect", indirect, "--workers over ports by indirect calls")
      ->needs("--workers");
  app.add_flag("--memif", memif, "over a memif: two processes, a core each")
      ->excludes("--cores")
      ->excludes("--pairs")
      ->excludes("--workers");
  app.add_option("--dev", dev, "one end over a device, as `millrace serve --dev`; see --role")
      ->excludes("--memif")
      ->excludes("--cores")
      ->excludes("--pairs")
      ->excludes("--workers");
  app.add_option("--role", role, "which end with --dev: client (default) or server")
      ->check(CLI::IsMember({"client", "server"}));
  apps::AddCount(app, {"--cpu", "N", "CPU to run on, with --dev", ""}, &cpu, 0, 1023);
  apps::AddSize(app, {"--mtu", "N", "octets of an IP packet, over rings and memif", "1500"}, &mtu,
                576, 9216);
  app.add_flag("--ipv6", ipv6, "over IPv6 instead of IPv4");
  app.add_flag("--bulk", bulk, "octets from client to server instead of connections");
  app.add_flag("--transactions", transactions,
               "requests and responses on connections that stay, one at a time on each")
      ->excludes("--bulk");
  app.add_flag("--null", null, "the floor: the same packets without a TCP, over IPv4")
      ->excludes("--bulk")
      ->excludes("--transactions")
      ->excludes("--ipv6");
  apps::AddCount(app, {"--time-wait-entries", "N", "TIME-WAIT pool (default: 3 M/s)", ""},
                 &time_waits, 1, 500'000'000);
  app.add_flag("--driver", driver, "a second run that counts the driver's cycles");
  app.add_flag("--json", json, "JSON instead of text");
  app.add_flag("--owned", owned)->group("");
  tcp.AddTo(app);
  machine.AddTo(app);
}

Plan Flags::ToPlan(bool metered) const {
  Plan plan;
  plan.work = bulk ? Work::kBulk : transactions ? Work::kTransactions : Work::kConnections;
  plan.null = null;
  plan.metered = metered;
  LoadPlan& load = plan.exchange.plan;
  plan.exchange.network.ipv6 = ipv6;
  load.target = LoopbackTarget(plan.exchange.network);
  load.concurrency = Concurrency();
  load.count = count;
  if (count == 0) load.duration = seconds;
  load.request_bytes = request_bytes;
  load.response_bytes = response_bytes;
  plan.exchange.tcp = tcp.Config();
  plan.exchange.pages = machine.pages();
  plan.exchange.time_waits = time_waits;
  return plan;
}

uint32_t Flags::Concurrency() const {
  if (concurrency != 0) return concurrency;
  if (bulk) return 1;
  // Two polling processes wait for each other less: over a memif 64 leave each of them idle for a
  // tenth of its time. Of transactions the round trip is measured as well.
  return (memif || !dev.empty()) && !transactions ? 128 : 64;
}

std::string Flags::ModeText() const {
  const std::string family = ipv6 ? ", IPv6" : "";
  if (memif) return "memif, two processes" + family;
  if (!dev.empty()) return dev + family;
  if (workers > 0) {
    return std::to_string(workers) + " workers over " + std::to_string(queues) + " queue(s)" +
           (indirect ? " by indirect calls" : "") + (in_turn ? ", one thread" : "") + family;
  }
  if (pairs > 1) return std::to_string(pairs) + " rings, a core each" + family;
  return (cores == 1 ? "ring, one core" : "ring, two cores") + family;
}

}  // namespace millrace::bench

#include "apps/millrace/load_flags.h"

#include "apps/common/flags.h"

namespace millrace::apps {

void LoadFlags::AddTo(CLI::App& app) {
  plan.duration = Duration::Seconds(10);
  plan.warmup = Duration::Seconds(1);
  const Duration day = Duration::Seconds(86'400);
  app.add_option("target", targets,
                 "tcp://10.2.0.1:80, http://10.2.0.1/1k, or ring: a server in this process; "
                 "several, with weights: ...*3")
      ->required()
      ->type_name("TARGET");
  app.add_option("--arrival", arrival, "of starts: paced, poisson, uniform or burst:N")
      ->type_name("KIND")
      ->default_str("poisson");
  AddDuration(app, {"--duration", "TIME", "measured", "10s"}, &plan.duration,
              Duration::Milliseconds(10), day * 365);
  AddDuration(app, {"--warmup", "TIME", "before it, not measured", "1s"}, &plan.warmup, Duration(),
              day);
  AddDuration(app, {"--ramp", "TIME", "before that: from nothing to the full rate", "0s"},
              &plan.ramp, Duration(), day);
  AddDuration(app, {"--drain", "TIME", "for what is under way at the end", "500ms"}, &plan.drain,
              Duration(), Duration::Seconds(3600));
  AddCount(app, {"--seed", "N", "of every random stream", "1"}, &plan.seed);
  AddCount(app, {"--open-max", "N", "connections under way at most; more start late", "16384"},
           &plan.open_max, 1, 50'000'000);
  AddCount(app, {"--requests", "N", "on each connection", "1"}, &plan.requests, 1, 1'000'000'000);
  AddSize(app, {"--req-size", "SIZE", "octets of a request (tcp)", "1"}, &request_bytes, 0,
          uint64_t{1} << 30);
  AddSize(app,
          {"--resp-size", "SIZE", "octets of a response; with http any other is a failure", "1"},
          &response_bytes, 0, uint64_t{1} << 30);
  app.add_option(
         "--mix", mix,
         "exchanges by weight (tcp): REQUEST:RESPONSE*WEIGHT,..., or a file with one a line")
      ->type_name("MIX");
  app.add_option("--request", request_file,
                 "HTTP request from FILE; {host}, {path} and {n}, the number, are filled in")
      ->type_name("FILE");
  app.add_flag("--check", plan.check_payload,
               "check every octet: octet i of a response is (7i + 13) mod 251, as `serve` sends");
  app.add_option("--close", close, "fin: we close first; rst: we reset; server: it does; half")
      ->type_name("HOW")
      ->default_str("fin");
  AddDuration(app, {"--think", "TIME", "between a response and the next request", "0s"},
              &plan.think, Duration(), day);
  app.add_option("--timeout", timeouts,
                 "by phase: connect=3s,first-byte=2s,last-byte=30s,close=5s; 0 is for ever")
      ->type_name("TIMES");
  AddSourcesTo(app);
  AddCount(app, {"--dscp", "N", "Diffserv field of what is sent, 0 to 63", "0"}, &plan.dscp, 0, 63);
  AddCount(app, {"--tos", "N", "the same as the whole octet, as ping -Q has it: 4 times that", ""},
           &tos, 0, 255);
  device.AddTo(app, /*required=*/false);
  CLI::Option* const dev = app.get_option("--dev");
  dev->description("kernel: this machine's own sockets, without DPDK or root; or " +
                   dev->get_description());
  tcp.AddTo(app);
  AddOutputTo(app);
}

void LoadFlags::AddSourcesTo(CLI::App& app) {
  app.add_option("--src", src,
                 "source addresses and ports: 10.1.16.0/20[:1024-65535], or FIRST-LAST; several "
                 "that are a prefix together; 2001:db8::1:0/112")
      ->join(',')
      ->type_name("ADDRESSES");
  app.add_option("--src-port", src_port,
                 "random (RFC 6056; each worker those that come home to it, so also: hash-local), "
                 "sequential, or a range")
      ->type_name("random|sequential|hash-local|LOW-HIGH")
      ->default_str("random");
  AddCount(app, {"--dst-spread", "N", "the target is there at N addresses in a row", "1"}, &spread,
           1, 4096);
  app.add_flag("--ipv6", ipv6, "target ring: over IPv6 instead of IPv4");
}

void LoadFlags::AddOutputTo(CLI::App& app) {
  const Duration day = Duration::Seconds(86'400);
  AddDuration(app, {"--interval", "TIME", "of the series and the live lines", "1s"}, &interval,
              Duration::Milliseconds(100), day);
  app.add_option("--live", live, "while it runs: auto, tty, plain (a line each interval) or none")
      ->type_name("MODE")
      ->default_str("auto");
  app.add_option("--percentiles", percentiles, "of latencies, in the text")
      ->type_name("LIST")
      ->default_str("50,90,99,99.9,99.99,99.999");
  app.add_option("--latency", latency,
                 "in the text: from the intended start, the actual, or both; none: only count")
      ->type_name("START")
      ->default_str("both");
  app.add_option("-o,--output", folder,
                 "folder for result.json, series.csv, *.hgrm and log.txt; a rank: rank-i in it")
      ->type_name("DIR");
  app.add_option(
         "--json", json,
         "the result as JSON to FILE, of a rank alone to FILE.rank-i; - is the standard output")
      ->type_name("FILE");
  app.add_option("--json-stream", json_stream,
                 "a line of JSON for each interval to FILE while it runs; - is the standard output")
      ->type_name("FILE");
  app.add_option("--prom", prometheus,
                 "serve /metrics for Prometheus while it runs: :9100 for this machine alone, or "
                 "0.0.0.0:9100, or an address of ours and it")
      ->type_name("[ADDRESS]:PORT");
  app.add_option("--name", name, "of the run, copied into the result")->type_name("NAME");
  app.add_option("--label", labels, "copied into the result; repeatable")->type_name("KEY=VALUE");
  app.add_option("--slo", slo, "objectives: 'connect.p99<1ms; errors<1e-5; rate>100k'; repeatable")
      ->join(';')
      ->type_name("OBJECTIVES");
  app.add_option("--ranks", ranks, "this is generator i of N: i/N, or auto from the environment")
      ->type_name("i/N");
  app.add_option("--coordinator", coordinator,
                 "ranks start at one time, and rank 0, which listens here, merges their results")
      ->type_name("HOST:PORT");
  AddDuration(app, {"--rank-timeout", "TIME", "for ranks to join, get ready and report", "60s"},
              &rank_timeout, Duration::Seconds(1), day);
}

void LoadFlags::AddLoadTo(CLI::App& app) {
  AddRate(app, {"--rate", "N", "connections a second, whatever becomes of them (default: 1k)", ""},
          &plan.rate_per_s);
  AddCount(app, {"--conns", "N", "in place of a rate: so many connections at any time", ""},
           &plan.concurrency, 1, 50'000'000);
  AddCount(app, {"-n,--count", "N", "stop after so many measured connections", ""}, &plan.count, 1);
  AddCount(app, {"--hold", "N", "connections that are opened before and stay", ""}, &plan.hold, 1,
           50'000'000);
  AddRate(app, {"--rps", "N", "requests a second over all held connections", ""},
          &plan.held_requests_per_s);
}

void LoadFlags::AddOneRunTo(CLI::App& app) {
  app.add_option("--start-at", start_at,
                 "the clock starts then: 2026-11-22T06:00:00Z, or @ and the seconds since 1970")
      ->type_name("TIME");
  app.add_option("--capture-failures", capture,
                 "packets of failed connections as pcapng, at most SIZE (default: 100M)")
      ->type_name("FILE[:SIZE]");
}

void LoadFlags::AddBaselineTo(CLI::App& app) {
  app.add_option("--baseline", baseline,
                 "an earlier result: exit code 6 when this one is worse than that")
      ->type_name("DIR");
  AddParsed(app, {"--max-regress", "SHARE", "how much worse it may be", "3%"}, &regress_share,
            "a share from 0 to 1 (write 3% or 0.03)", ParseShare);
}

}  // namespace millrace::apps

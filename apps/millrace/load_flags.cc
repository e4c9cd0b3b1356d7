#include "apps/millrace/load_flags.h"

#include <cstdio>

#include "apps/common/addresses.h"
#include "apps/common/flags.h"
#include "apps/load/metrics_endpoint.h"
#include "apps/load/ranks.h"
#include "apps/load/start_time.h"
#include "apps/ranks/line_network.h"

namespace millrace::apps {
namespace {

std::string NoneOf(const std::string& word, const char* words) {
  return "\"" + word + "\" is none of " + words;
}

std::string MessageOf(const absl::Status& status) { return std::string(status.message()); }

std::string WrongPercentiles(const std::string& text) {
  return ParsePercentiles(text).empty() ? "\"" + text + "\": write 50,90,99,99.9, rising" : "";
}

std::string WrongLabel(const std::string& text) {
  const size_t equals = text.find('=');
  const bool right = equals != 0 && equals != std::string::npos;
  return right ? "" : "\"" + text + "\": write KEY=VALUE";
}

}  // namespace

void LoadFlags::AddTo(CLI::App& app) {
  CheckBy(app.add_option("target", targets,
                         "tcp://10.2.0.1:80, http://10.2.0.1/1k, or ring: a server in this "
                         "process; several, with weights: ...*3"),
          [](const std::string& text) {
            Target ignored;
            return ParseTarget(text, &ignored);
          })
      ->required()
      ->type_name("TARGET");
  AddScheduleTo(app);
  AddExchangeTo(app);
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
  AddRanksTo(app);
}

void LoadFlags::AddScheduleTo(CLI::App& app) {
  plan.duration = Duration::Seconds(10);
  plan.warmup = Duration::Seconds(1);
  const Duration day = Duration::Seconds(86'400);
  AddParsed(app, {"--arrival", "KIND", "of starts: paced, poisson, uniform or burst:N", "poisson"},
            &plan.arrival, "one of paced, poisson, uniform and burst:N", ParseArrival);
  AddDuration(app, {"--duration", "TIME", "measured", "10s"}, &plan.duration,
              Duration::Milliseconds(10), Duration::Seconds(3'600'000));
  AddDuration(app, {"--warmup", "TIME", "before it, not measured", "1s"}, &plan.warmup, Duration(),
              day);
  AddDuration(app, {"--ramp", "TIME", "before that: from nothing to the full rate", "0s"},
              &plan.ramp, Duration(), day);
  AddDuration(app, {"--drain", "TIME", "for what is under way at the end", "500ms"}, &plan.drain,
              Duration(), Duration::Seconds(3600));
  AddCount(app, {"--seed", "N", "of every random stream", "1"}, &plan.seed);
  AddCount(app, {"--open-max", "N", "connections under way at most; more start late", "16384"},
           &plan.open_max, 1, 50'000'000);
}

void LoadFlags::AddExchangeTo(CLI::App& app) {
  AddCount(app, {"--requests", "N", "on each connection", "1"}, &plan.requests, 1, 1'000'000'000);
  AddSize(app, {"--req-size", "SIZE", "octets of a request (tcp)", "1"}, &request_bytes, 0,
          uint64_t{1} << 30);
  AddSize(app,
          {"--resp-size", "SIZE", "octets of a response; with http any other is a failure", "1"},
          &response_bytes, 0, uint64_t{1} << 30);
  CheckBy(app.add_option(
              "--mix", mix,
              "exchanges by weight (tcp): REQUEST:RESPONSE*WEIGHT,..., or a file with one a line"),
          [](const std::string& text) {
            std::vector<Exchange> ignored;
            return ReadMixText(text, &ignored);
          })
      ->type_name("MIX");
  app.add_option("--request", request_file,
                 "HTTP request from FILE; {host}, {path} and {n}, the number, are filled in")
      ->type_name("FILE");
  app.add_flag("--check", plan.check_payload,
               "check every octet: octet i of a response is (7i + 13) mod 251, as `serve` sends");
  AddParsed(app,
            {"--close", "HOW", "fin: we close first; rst: we reset; server: it does; half", "fin"},
            &plan.close, "one of fin, rst, server and half", ParseCloseMode);
  AddDuration(app, {"--think", "TIME", "between a response and the next request", "0s"},
              &plan.think, Duration(), Duration::Seconds(86'400));
  CheckBy(app.add_option("--timeout", timeouts,
                         "by phase: connect=3s,first-byte=2s,last-byte=30s,close=5s; 0 is for "
                         "ever"),
          [](const std::string& text) {
            PhaseTimeouts ignored;
            return ParseTimeouts(text, &ignored);
          })
      ->type_name("TIMES");
}

void LoadFlags::AddSourcesTo(CLI::App& app) {
  CheckBy(app.add_option("--src", src,
                         "source addresses and ports: 10.1.16.0/20[:1024-65535], or FIRST-LAST; "
                         "several that are a prefix together; 2001:db8::1:0/112"),
          WrongOwnAddresses)
      ->join(',')
      ->type_name("ADDRESSES");
  AddParsed(app,
            {"--src-port", "random|sequential|hash-local|LOW-HIGH",
             "random (RFC 6056; each worker those that come home to it, so also: hash-local), "
             "sequential, or a range",
             "random"},
            &src_port, "one of random, hash-local, sequential and a range as 1024-65535",
            ParseSourcePorts);
  AddCount(app, {"--dst-spread", "N", "the target is there at N addresses in a row", "1"}, &spread,
           1, 4096);
  app.add_flag("-4,--ipv4", ipv4, "IPv4 addresses alone, of names");
  app.add_flag("-6,--ipv6", ipv6, "IPv6 addresses alone, of names and of ring");
}

void LoadFlags::AddOutputTo(CLI::App& app) {
  AddDuration(app, {"--interval", "TIME", "of the series and the live lines", "1s"}, &interval,
              Duration::Milliseconds(100), Duration::Seconds(86'400));
  CheckBy(app.add_option("--live", live,
                         "while it runs: auto, tty, plain (a line each interval) or none"),
          [](const std::string& text) {
            return ParseLiveMode(text, stdout) ? "" : NoneOf(text, "auto, tty, plain, none");
          })
      ->type_name("MODE")
      ->default_str("auto");
  CheckBy(app.add_option("--percentiles", percentiles, "of latencies, in the text"),
          WrongPercentiles)
      ->type_name("LIST")
      ->default_str("50,90,99,99.9,99.99,99.999");
  CheckBy(app.add_option("--latency", latency,
                         "in the text: from the intended start, the actual, or both; none: only "
                         "count"),
          [](const std::string& text) {
            return ParseLatencyFrom(text) ? "" : NoneOf(text, "intended, actual, both, none");
          })
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
  CheckBy(app.add_option("--prom", prometheus,
                         "serve /metrics for Prometheus while it runs: :9100 for this machine "
                         "alone, or 0.0.0.0:9100, or an address of ours and it"),
          MetricsEndpoint::WrongPlace)
      ->type_name("[ADDRESS]:PORT");
  app.add_option("--name", name, "of the run, copied into the result")->type_name("NAME");
  CheckBy(app.add_option("--label", labels, "copied into the result; repeatable"), WrongLabel)
      ->type_name("KEY=VALUE");
  CheckBy(app.add_option("--slo", slo,
                         "objectives: 'connect.p99<1ms; errors<1e-5; rate>100k'; repeatable"),
          [](const std::string& text) {
            std::vector<Slo> objectives;
            const std::string wrong = ParseSlos(text, &objectives);
            if (!wrong.empty() || !objectives.empty()) return wrong;
            return std::string("it has no objective: write 'connect.p99<1ms; errors<1e-5'");
          })
      ->join(';')
      ->type_name("OBJECTIVES");
}

void LoadFlags::AddRanksTo(CLI::App& app) {
  CheckBy(app.add_option("--ranks", ranks,
                         "this is generator i of N: i/N, or auto from the environment"),
          [](const std::string& text) {
            // Where this runs is not where a file is checked.
            return text == "auto" ? "" : MessageOf(ReadRank(text).status());
          })
      ->type_name("i/N");
  CheckBy(app.add_option("--coordinator", coordinator,
                         "ranks start at one time, and rank 0, which listens here, merges their "
                         "results"),
          [](const std::string& text) { return MessageOf(ParseHostPort(text).status()); })
      ->type_name("HOST:PORT");
  AddDuration(app, {"--rank-timeout", "TIME", "for ranks to join, get ready and report", "60s"},
              &rank_timeout, Duration::Seconds(1), Duration::Seconds(86'400));
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
  CheckBy(app.add_option("--start-at", start_at,
                         "the clock starts then: 2026-11-22T06:00:00Z, or @ and the seconds since "
                         "1970"),
          [](const std::string& text) {
            return ParseStartTime(text) ? ""
                                        : "\"" + text +
                                              "\" is no time; write 2026-11-22T06:00:00Z, or @ and "
                                              "the seconds since 1970";
          })
      ->type_name("TIME");
  CheckBy(app.add_option("--capture-failures", capture,
                         "packets of failed connections as pcapng, at most SIZE (default: 100M)"),
          [](const std::string& text) {
            CaptureSpec ignored;
            return ParseCapture(text, &ignored);
          })
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

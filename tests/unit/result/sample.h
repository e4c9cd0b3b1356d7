// unit/result/sample.h - a result with something in every field, for tests.
#ifndef MILLRACE_TESTS_UNIT_RESULT_SAMPLE_H_
#define MILLRACE_TESTS_UNIT_RESULT_SAMPLE_H_

#include <cmath>
#include <utility>

#include "apps/result/result.h"

namespace millrace::apps {

// Durations that spread as latencies do: most near `median_ns`, a long tail. The same every time.
inline Histogram SampleHistogram(uint64_t median_ns, int count) {
  Histogram histogram;
  for (int i = 1; i <= count; ++i) {
    const double part = static_cast<double>(i) / (count + 1);
    const double spread = std::exp(0.4 * std::log(part / (1 - part)));
    histogram.Record(static_cast<uint64_t>(static_cast<double>(median_ns) * spread));
  }
  return histogram;
}

inline Latency SampleLatency(uint64_t median_ns) {
  return {SampleHistogram(median_ns, 500), SampleHistogram(median_ns * 9 / 10, 500)};
}

inline void AddSampleSeries(Result& result) {
  for (int i = 0; i < 10; ++i) {
    result.series.push_back({.start_s = i * 1.0,
                             .length_s = 1.0,
                             .due = 200,
                             .opened = 200,
                             .ok = i == 4 ? 190u : 200u,
                             .failed = i == 4 ? 10u : 0u,
                             .retransmits = i == 4 ? 10u : 0u,
                             .open = 3,
                             .connect_p50_ns = 48'000,
                             .connect_p99_ns = i == 4 ? 900'000u : 190'000u,
                             .busiest_core_share = 0.5,
                             .worst_lag_ns = 7'000});
  }
}

inline void AddSampleIdentity(Result& r) {
  r.run = {.id = "2026-11-21T10-12-05_edge-cps",
           .name = "edge-cps",
           .command = "load run",
           .command_line = {"millrace", "load", "run", "http://10.2.0.1/1k", "--rate", "200"},
           .version = "0.1.0",
           .seed = 42,
           .labels = {{"site", "lab <1>"}, {"change", "base"}}};
  r.machine = {.host = "bench-1",
               .cpu = "A CPU at 3 GHz",
               .kernel = "Linux 6.1.0",
               .compiler = "gcc 12.2.0",
               .dpdk = "DPDK 22.11.11",
               .cpus_allowed = 2,
               .numa_nodes = 1,
               .memory_bytes = 8'000'000'000,
               .huge_pages = false,
               .device = "2 rings in the process",
               .core_list = {0, 1}};
}

inline Result SampleResult() {
  Result r;
  AddSampleIdentity(r);
  r.configuration = {{"rate", "200"}, {"arrival", "poisson"}, {"duration", "10s"}};
  r.window = {.start_unix_ns = 1'795'255'925'000'000'000, .end_unix_ns = 1'795'255'935'000'000'000};
  r.load = {.target = "http://10.2.0.1:80/1k",
            .loop = "open",
            .arrival = "poisson",
            .close = "fin",
            .offered_per_s = 200,
            .achieved_per_s = 200,
            .ok_per_s = 199,
            .requests_per_s = 199,
            .rx_bits_per_s = 1'999'000,
            .tx_bits_per_s = 450'000,
            .packets_per_connection = 9.1};
  r.counts = {.due = 2000,
              .opened = 2000,
              .ok = 1990,
              .failed = 10,
              .put_off = 1,
              .requests = 1995,
              .responses = 1990,
              .held = 5};
  r.failures = {{"syn_timeout", 6}, {"reset_in_syn_sent", 3}, {"first_byte_timeout", 1}};
  r.latency = {{"connect", SampleLatency(48'000)},
               {"first_byte", SampleLatency(96'000)},
               {"last_byte", SampleLatency(97'000)},
               {"close", SampleLatency(51'000)}};
  AddSampleSeries(r);
  r.counters = {{"TcpActiveOpens", 2000}, {"TcpRetransSegs", 10}, {"RxFrames", 9100}};
  r.nic = {{"rx_packets", 9100}, {"tx_packets", 9200}, {"rx_missed", 0}};
  r.generator = {.cores = {{.cpu = 0, .role = "client", .busy_share = 0.62}, {1, "server", 0.31}},
                 .worst_lag_ns = 7'000,
                 .packet_pool_low_share = 0.71,
                 .tx_dropped = 0,
                 .rx_missed = 0};
  r.objectives = {{.objective = "connect.p99<1ms",
                   .measured = 190'000,
                   .limit = 1'000'000,
                   .unit = "ns",
                   .passed = true},
                  {.objective = "errors<1e-5",
                   .measured = 0.005,
                   .limit = 1e-5,
                   .unit = "share",
                   .passed = false}};
  r.verdict = {.outcome = Outcome::kFailObjective, .reasons = {"errors<1e-5: measured 0.005"}};
  r.notes = {"a test over rings measures this program, not a network"};
  return r;
}

// The same with what find-max and merging add.
inline Result SampleOfEveryField() {
  Result r = SampleResult();
  r.rank = {.index = 1, .count = 2};
  r.search = Search{.goals = {{.goal = "ndr",
                               .rate_per_s = 1'212'000,
                               .above_per_s = 1'221'000,
                               .limited_by = "device under test"}},
                    .trials = {{.offered_per_s = 1'600'000,
                                .achieved_per_s = 1'599'000,
                                .length_s = 2,
                                .failed_share = 0.0081,
                                .connect_p99_ns = 12'000'000,
                                .generator_busy_share = 0.71,
                                .verdict = "fail"}}};
  r.ranks = {{.rank = 0,
              .id = r.run.id,
              .host = "bench-1",
              .window = r.window,
              .offered_per_s = 100,
              .achieved_per_s = 100,
              .ok = 990,
              .failed = 10,
              .busiest_core_share = 0.62,
              .worst_lag_ns = 7'000,
              .verdict = "valid"}};
  return r;
}

}  // namespace millrace::apps

#endif  // MILLRACE_TESTS_UNIT_RESULT_SAMPLE_H_

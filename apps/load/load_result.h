// load/load_result.h - what one generator measured, and how those of several are added up.
#ifndef MILLRACE_APPS_LOAD_LOAD_RESULT_H_
#define MILLRACE_APPS_LOAD_LOAD_RESULT_H_

#include <array>
#include <cstddef>
#include <cstdint>

#include "apps/load/failure.h"
#include "apps/result/latency_state.h"
#include "millrace/base/histogram.h"
#include "millrace/base/time.h"

namespace millrace::apps {

// A histogram of nanoseconds for each state.
struct Latencies {
  std::array<Histogram, kLatencyStates> states;

  Histogram& operator[](LatencyState state) { return states[static_cast<size_t>(state)]; }
  const Histogram& operator[](LatencyState state) const {
    return states[static_cast<size_t>(state)];
  }
  void Add(const Latencies& other) {
    for (size_t i = 0; i < states.size(); ++i) states[i].Add(other.states[i]);
  }
  void Clear() {
    for (Histogram& state : states) state.Clear();
  }
};

// Connections that were meant to start inside the measured window, those that were to be held, and
// the requests on both. offered = ok + failures.total(); started = offered without those that could
// not be started.
struct LoadCounts {
  uint64_t offered = 0, started = 0, ok = 0;
  uint64_t held_due = 0, held_started = 0, held_ok = 0;  // of these: those to be held
  FailureCounts failures;
  uint64_t requests_sent = 0, requests_ok = 0;
  uint64_t body_bytes = 0;  // of responses, whole or not
  uint64_t held = 0;        // connections that were open for the whole window
  uint64_t put_off = 0;     // times that a start had to wait for a place
  // What waited for others: connections for the end of one of the open_max, or for room in the
  // port; requests for an idle held connection.
  uint64_t waited = 0, port_waited = 0, requests_waited = 0;
  // Requests on held connections that were due and never sent: for want of an idle one, or because
  // the generator was late.
  uint64_t requests_unsent = 0, requests_missed = 0;

  void Add(const LoadCounts& other) {
    failures.Add(other.failures);
    constexpr uint64_t LoadCounts::*kSums[] = {
        &LoadCounts::offered,        &LoadCounts::started,         &LoadCounts::ok,
        &LoadCounts::held_due,       &LoadCounts::held_started,    &LoadCounts::held_ok,
        &LoadCounts::requests_sent,  &LoadCounts::requests_ok,     &LoadCounts::body_bytes,
        &LoadCounts::held,           &LoadCounts::put_off,         &LoadCounts::waited,
        &LoadCounts::port_waited,    &LoadCounts::requests_waited, &LoadCounts::requests_unsent,
        &LoadCounts::requests_missed};
    for (const auto count : kSums) this->*count += other.*count;
  }
};

// What the engine moved, as its counters say.
struct Traffic {
  uint64_t rx_bytes = 0, tx_bytes = 0;  // of frames
  uint64_t segments = 0;                // TCP, both ways

  void Add(const Traffic& other) {
    rx_bytes += other.rx_bytes;
    tx_bytes += other.tx_bytes;
    segments += other.segments;
  }
  Traffic operator-(const Traffic& other) const {
    return {rx_bytes - other.rx_bytes, tx_bytes - other.tx_bytes, segments - other.segments};
  }
};

// Latencies from the intended start are kept by intervals (load/live_load.h) and added by
// whoever watches the run; those from the actual start are here.
struct RunResult {
  LoadCounts counts;
  Traffic traffic;  // in the window
  Latencies actual;
  Histogram lag_ns;      // actual minus intended start, of connections and held requests
  Histogram own_lag_ns;  // the part of it that was not spent waiting for others
  Duration window;       // measured
  // Set when the run ended because a target is not there: its index, and why.
  int missing_target = -1;
  LoadFailure missing_why = LoadFailure::kNone;

  double PerSecond(uint64_t n) const {
    return window.ns() == 0 ? 0 : static_cast<double>(n) / window.seconds();
  }
  // Adds what another generator did in the same run.
  void Add(const RunResult& other) {
    counts.Add(other.counts);
    traffic.Add(other.traffic);
    actual.Add(other.actual);
    lag_ns.Add(other.lag_ns);
    own_lag_ns.Add(other.own_lag_ns);
    if (window < other.window) window = other.window;
    if (missing_target < 0) {
      missing_target = other.missing_target;
      missing_why = other.missing_why;
    }
  }
};

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_LOAD_LOAD_RESULT_H_

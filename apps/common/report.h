// apps/common/report.h - latency tables, counters by name, and both as JSON.
#ifndef MILLRACE_APPS_COMMON_REPORT_H_
#define MILLRACE_APPS_COMMON_REPORT_H_

#include <nlohmann/json.hpp>
#include <span>
#include <string>

#include "apps/common/load_result.h"
#include "apps/common/port_layers.h"
#include "millrace/base/histogram.h"
#include "millrace/stack/engine.h"

namespace millrace::apps {

// One row of a latency table.
struct LatencyRow {
  const char* name;
  const Histogram* histogram;  // of nanoseconds
};

// Head line and one line per row: p50, p90, p99, p99.9, max.
std::string LatencyTable(std::span<const LatencyRow> rows);
// {"connect": {"count": ..., "p50_ns": ..., ...}, ...}
nlohmann::ordered_json LatencyJson(std::span<const LatencyRow> rows);

// The counters that are not zero, "name value" in columns, two spaces in front; "" for none.
// `layers`: what HostedStack::layers() says.
std::string CountersText(const stack::Engine& engine, const PortLayers* layers = nullptr);
nlohmann::ordered_json CountersJson(const stack::Engine& engine,
                                    const PortLayers* layers = nullptr);

// What CountersJson gives, as CountersText writes it; and the sum of two such objects, by name.
std::string NumbersText(const nlohmann::ordered_json& numbers);
void AddUp(nlohmann::ordered_json& sum, const nlohmann::ordered_json& part);

// "3 timed out, 1 reset"; "" when nothing failed.
std::string FailuresText(const LoadResult& result);
nlohmann::ordered_json FailuresJson(const LoadResult& result);

// For JSON: a whole number of seconds prints as one.
inline double Seconds(Duration duration) { return static_cast<double>(duration.ns()) / 1e9; }

// {"cpu": ..., "cpus": ..., "kernel": ..., "compiler": ...} of this machine and program.
nlohmann::ordered_json MachineJson();

// Frames that carried TCP, by the engine's counts: ARP is not among them.
inline uint64_t TcpFrames(const stack::Engine& engine) {
  const stack::Counters& c = engine.counters();
  return engine.tcp_counters().in_segs + c.tx_frames - c.arp_requests - c.arp_replies;
}

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_COMMON_REPORT_H_

// apps/result/result.h - what a measured run found: a value, without behaviour of its own.
//
// A run fills it in, result_json.h writes and reads it, the `report` subcommands show, compare and
// merge it. What each field is called in JSON and means is said once, in result_fields.h; the
// schema made from that is share/millrace/result.schema.json.
// Times of day are nanoseconds since 1970 UTC; shares are 0 to 1; rates are per second of `window`.
#ifndef MILLRACE_APPS_RESULT_RESULT_H_
#define MILLRACE_APPS_RESULT_RESULT_H_

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "millrace/base/histogram.h"

namespace millrace::apps {

// An object in JSON, in this order.
template <class T>
using ByName = std::vector<std::pair<std::string, T>>;

inline constexpr uint32_t kResultSchema = 1;

struct RunIdentity {
  std::string id;       // also the folder's name: "2026-11-21T10-12-05_edge-cps"
  std::string name;     // the user's, may be ""
  std::string command;  // "load run"
  std::vector<std::string> command_line;
  std::string version;  // of the program
  uint64_t seed = 0;
  ByName<std::string> labels;
};

struct MachineDescription {
  std::string host, cpu, kernel, compiler, dpdk;
  uint32_t cpus_allowed = 0, numa_nodes = 0;
  uint64_t memory_bytes = 0;
  bool huge_pages = false;
  std::string device;               // "2 rings in the process", "mlx5 0000:41:00.0", "kernel ..."
  std::vector<uint32_t> core_list;  // CPUs of the workers
};

// Of the measured part alone: warm-up and the end are outside.
struct Window {
  int64_t start_unix_ns = 0, end_unix_ns = 0;
  double seconds() const { return static_cast<double>(end_unix_ns - start_unix_ns) * 1e-9; }
};

struct Rank {
  uint32_t index = 0, count = 1;
};

struct LoadShape {
  std::string target, loop, arrival, close;  // loop: "open" or "closed"; close: "fin", "rst", ...
  double offered_per_s = 0;                  // starts that were due; closed loop: 0
  double achieved_per_s = 0;                 // starts that happened
  double ok_per_s = 0;
  double requests_per_s = 0;
  std::optional<double> rx_bits_per_s, tx_bits_per_s;  // where frames are seen
  double packets_per_connection = 0;
};

// Of the window. `failed` is the sum of Result::failures.
struct Counts {
  uint64_t due = 0;     // connections that should have started; closed loop: as opened
  uint64_t opened = 0;  // SYNs, not counting repeats
  uint64_t ok = 0, failed = 0;
  uint64_t put_off = 0;  // times an open had to wait for a port, a record or a packet
  uint64_t requests = 0, responses = 0;
  uint64_t held = 0;  // connections held open beside the load, at the end
};

// Nanoseconds, from the instant at which a connection should have started, and from when it did.
struct Latency {
  Histogram intended, actual;
};

struct Interval {
  double start_s = 0, length_s = 0;  // from the start of the window
  uint64_t due = 0, opened = 0, ok = 0, failed = 0, retransmits = 0;
  uint64_t open = 0;                                // at the end of the interval
  uint64_t connect_p50_ns = 0, connect_p99_ns = 0;  // from intended start
  double busiest_core_share = 0;
  uint64_t worst_lag_ns = 0;
};

struct CoreHealth {
  uint32_t cpu = 0;
  std::string role;  // "client", "server"
  double busy_share = 0;
};

// Whether the generator kept up: what decides between VALID and INVALID.
struct GeneratorHealth {
  std::vector<CoreHealth> cores;
  uint64_t worst_lag_ns = 0;  // a start that was due came so late
  // Where frames are seen:
  std::optional<double> packet_pool_low_share;  // free packets at the worst instant
  std::optional<uint64_t> tx_dropped, rx_missed;
};

struct Objective {
  std::string objective;  // as the user wrote it: "connect.p99<1ms"
  double measured = 0, limit = 0;
  std::string unit;  // of both: "ns", "share", "per_s"
  bool passed = false;
};

struct Trial {
  double offered_per_s = 0, achieved_per_s = 0, length_s = 0, failed_share = 0;
  uint64_t connect_p99_ns = 0;
  double generator_busy_share = 0;
  std::string verdict;  // "ok", "fail", "void"
};

struct Goal {
  std::string goal;        // "ndr", "pdr:0.5%", "connect.p99<1ms"
  double rate_per_s = 0;   // the highest that passed
  double above_per_s = 0;  // the lowest that did not; 0: none was found
  std::string limited_by;  // "device under test", "generator", "range asked for"
};

struct Search {
  std::vector<Goal> goals;
  std::vector<Trial> trials;
};

// One line of a merged result for each that went into it.
struct RankRow {
  uint32_t rank = 0;
  std::string id, host;
  Window window;
  double offered_per_s = 0, achieved_per_s = 0;
  uint64_t ok = 0, failed = 0;
  double busiest_core_share = 0;
  uint64_t worst_lag_ns = 0;
  std::string verdict;
};

enum class Outcome : uint8_t {
  kValid,
  kInvalidGenerator,  // the generator, not the target, was the limit
  kFailObjective,
};

struct Verdict {
  Outcome outcome = Outcome::kValid;
  bool interrupted = false;          // what ran until then is here
  std::vector<std::string> reasons;  // why not valid, for people
};

struct Result {
  uint32_t schema = kResultSchema;
  RunIdentity run;
  MachineDescription machine;
  nlohmann::ordered_json configuration = nlohmann::ordered_json::object();  // as resolved
  Window window;
  Rank rank;
  LoadShape load;
  Counts counts;
  ByName<uint64_t> failures;  // by reason; every failed connection once
  ByName<Latency> latency;    // by state: connect, first_byte, last_byte, close, total
  std::vector<Interval> series;
  ByName<uint64_t> counters;  // of the engines, summed over workers, Linux's names
  ByName<uint64_t> nic;       // of the ports and their drivers
  GeneratorHealth generator;
  std::vector<Objective> objectives;
  std::optional<Search> search;  // find-max and sweep
  std::vector<RankRow> ranks;    // of a merged result
  Verdict verdict;
  std::vector<std::string> notes;
};

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_RESULT_RESULT_H_

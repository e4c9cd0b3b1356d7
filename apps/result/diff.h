// result/diff.h - repeats of two things compared: what changed, how sure that is, and what else
// differed between them.
//
// One value per run and metric, so that what varies from run to run is in the interval: more
// connections per run do not make it narrower. Where all values are above 0 their logarithms are
// compared, so a change is a ratio; else the difference itself is.
// Repeats that are alike are no certainty: an interval is at least what one run can tell
// (result/resolution.h) wide, and below kRunsMin repeats of a side nothing is judged.
#ifndef MILLRACE_APPS_RESULT_DIFF_H_
#define MILLRACE_APPS_RESULT_DIFF_H_

#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "apps/result/result.h"

namespace millrace::apps {

enum class Change : uint8_t {
  kNoEvidence,  // repeats vary as much
  kBetter,
  kWorse,
  kUnknown,  // fewer than kRunsMin repeats on a side
};

// Repeats of a side that a verdict needs: of two, chance alone decides how far apart they are.
inline constexpr size_t kRunsMin = 3;

struct MetricChange {
  std::string metric;  // "connect p99", "ok connections/s"
  std::string unit;    // "ns", "per_s", "share"
  bool more_is_better = false;
  bool relative = true;       // change, low and high are parts of the base; else in `unit`
  double base = 0, now = 0;   // geometric means, or means when not relative
  double change = 0;          // +0.045: 4.5 % more
  bool has_interval = false;  // from two repeats of each side on
  double low = 0, high = 0;   // 95 % interval of `change`
  bool by_ruler = false;      // its width is what one run can tell: repeats vary less than that
  Change verdict = Change::kUnknown;
};

struct ResultDiff {
  size_t base_runs = 0, new_runs = 0;
  std::vector<MetricChange> metrics;
  std::vector<std::string> different;  // "machine.dpdk: DPDK 22.11.11 -> DPDK 22.11.12"
  std::vector<std::string> notes;      // runs left out and why; what varies within a side
  bool regression() const;
};

struct DiffOptions {
  double max_regress = 0;  // a change for the worse up to this part counts as none
};

// Verdicts hold together: with 95 % probability not one of them calls worse (and not one calls
// better) what is not. Runs that are INVALID or were interrupted are left out; kInvalidArgument
// when nothing remains of a side.
absl::StatusOr<ResultDiff> DiffResults(std::span<const Result> base, std::span<const Result> now,
                                       const DiffOptions& options);

std::string DiffText(const ResultDiff& diff);
nlohmann::ordered_json DiffJson(const ResultDiff& diff);

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_RESULT_DIFF_H_

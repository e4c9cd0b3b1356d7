#include "apps/result/merge.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <string_view>

#include "apps/result/merge_series.h"
#include "apps/result/slo.h"
#include "apps/result/text.h"

namespace millrace::apps {
namespace {

// Keys of the configuration that say where a rank runs and how its result is shown, not what it
// does.
constexpr std::array<std::string_view, 23> kKeysOfPlace{
    "ranks",  "coordinator",  "start-at",   "dev",         "ip",
    "gw",     "cores",        "src",        "no-huge",     "memory-mb",
    "idle",   "eal",          "output",     "json",        "live",
    "prom",   "label",        "name",       "json-stream", "capture-failures",
    "config", "rank-timeout", "percentiles"};

absl::Status Refuse(const std::string& why) { return absl::InvalidArgumentError(why); }

std::string NameOf(const Result& r) {
  return Printable(r.run.id) + " (rank " + std::to_string(r.rank.index) + ")";
}

// The same result, read from two places or named twice.
bool IsSameRun(const Result& a, const Result& b) {
  return a.run.id == b.run.id && a.machine.host == b.machine.host &&
         a.window.start_unix_ns == b.window.start_unix_ns;
}

absl::Status CheckRanks(const std::vector<const Result*>& sorted) {
  const uint32_t count = sorted.front()->rank.count;
  for (size_t i = 0; i < sorted.size(); ++i) {
    const Result& r = *sorted[i];
    if (!r.ranks.empty()) return Refuse(NameOf(r) + " was merged already");
    if (r.search) {
      return Refuse(NameOf(r) +
                    " is of find-max or sweep, whose trials ran without those of other ranks: "
                    "start the ranks with --coordinator, then rank 0 writes the result of all");
    }
    if (r.rank.count != count) {
      return Refuse(NameOf(r) + " is of " + std::to_string(r.rank.count) + " ranks, " +
                    NameOf(*sorted.front()) + " of " + std::to_string(count));
    }
    const bool twice = std::any_of(sorted.begin(), sorted.begin() + static_cast<ptrdiff_t>(i),
                                   [&r](const Result* other) { return IsSameRun(*other, r); });
    if (count == 1 && twice) return Refuse(NameOf(r) + " is there twice");
    if (count == 1) continue;
    if (i > 0 && r.rank.index == sorted[i - 1]->rank.index) {
      return Refuse("rank " + std::to_string(r.rank.index) + " is there twice");
    }
    if (r.rank.index != i) {
      return Refuse("rank " + std::to_string(i) + " of " + std::to_string(count) + " is missing");
    }
  }
  if (count > 1 && sorted.size() != count) {
    return Refuse("rank " + std::to_string(sorted.size()) + " of " + std::to_string(count) +
                  " is missing");
  }
  return absl::OkStatus();
}

// What makes their sum meaningless; "" for nothing.
std::string DifferenceOf(const Result& a, const Result& b) {
  if (a.load.target != b.load.target) return "targets";
  if (a.load.loop != b.load.loop || a.load.arrival != b.load.arrival) return "kinds of load";
  if (a.load.close != b.load.close) return "ways to close";
  const nlohmann::ordered_json one = SharedConfiguration(a.configuration);
  const nlohmann::ordered_json other = SharedConfiguration(b.configuration);
  for (const auto& [key, value] : one.items()) {
    if (!other.contains(key) || other[key] != value) return "values of \"" + key + "\"";
  }
  for (const auto& [key, value] : other.items()) {
    if (!one.contains(key)) return "values of \"" + key + "\"";
  }
  if (a.latency.size() != b.latency.size()) return "states";
  for (size_t i = 0; i < a.latency.size(); ++i) {
    if (a.latency[i].first != b.latency[i].first) return "states";
    const Latency &x = a.latency[i].second, &y = b.latency[i].second;
    if (!x.intended.SameLayout(y.intended) || !x.actual.SameLayout(y.actual)) {
      return "layouts of histograms";
    }
  }
  if (a.objectives.size() != b.objectives.size()) return "objectives";
  for (size_t i = 0; i < a.objectives.size(); ++i) {
    if (a.objectives[i].objective != b.objectives[i].objective) return "objectives";
  }
  return "";
}

// The time in which all measured.
absl::StatusOr<Window> CommonWindow(const std::vector<const Result*>& sorted) {
  Window common = sorted.front()->window;
  double longest_s = 0;
  for (const Result* r : sorted) {
    common.start_unix_ns = std::max(common.start_unix_ns, r->window.start_unix_ns);
    common.end_unix_ns = std::min(common.end_unix_ns, r->window.end_unix_ns);
    longest_s = std::max(longest_s, r->window.seconds());
  }
  if (common.seconds() > 0 && common.seconds() >= longest_s / 2) return common;
  std::string why = "the windows have less than half of the longest in common:";
  for (const Result* r : sorted) {
    why += "\n  " + NameOf(*r) + "  " + FormatUnixNs(r->window.start_unix_ns) + " to " +
           FormatUnixNs(r->window.end_unix_ns);
  }
  return Refuse(why);
}

void AddCounts(Counts& sum, const Counts& counts) {
  sum.due += counts.due;
  sum.opened += counts.opened;
  sum.ok += counts.ok;
  sum.failed += counts.failed;
  sum.put_off += counts.put_off;
  sum.requests += counts.requests;
  sum.responses += counts.responses;
  sum.held += counts.held;
}

void AddByName(ByName<uint64_t>& sum, const ByName<uint64_t>& counters) {
  for (const auto& counter : counters) {
    const auto found = std::find_if(
        sum.begin(), sum.end(), [&](const auto& entry) { return entry.first == counter.first; });
    if (found == sum.end()) {
      sum.push_back(counter);
    } else {
      found->second += counter.second;
    }
  }
}

void AddHealth(GeneratorHealth& sum, const GeneratorHealth& health, uint32_t rank) {
  for (CoreHealth core : health.cores) {
    core.role = "rank " + std::to_string(rank) + " " + core.role;
    sum.cores.push_back(std::move(core));
  }
  sum.worst_lag_ns = std::max(sum.worst_lag_ns, health.worst_lag_ns);
  if (health.packet_pool_low_share) {
    sum.packet_pool_low_share =
        std::min(sum.packet_pool_low_share.value_or(1.0), *health.packet_pool_low_share);
  }
  if (health.tx_dropped) sum.tx_dropped = sum.tx_dropped.value_or(0) + *health.tx_dropped;
  if (health.rx_missed) sum.rx_missed = sum.rx_missed.value_or(0) + *health.rx_missed;
}

// Objectives of the whole, from the added counts and counters of histograms. What they were for
// each rank alone is in its own result.
absl::Status CheckMerged(const std::vector<Objective>& objectives, Result& sum) {
  sum.objectives.clear();
  std::vector<Slo> slos;
  for (const Objective& objective : objectives) {
    const std::string wrong = ParseSlos(objective.objective, &slos);
    if (!wrong.empty()) return Refuse("an objective of the results: " + wrong);
  }
  CheckObjectives(slos, &sum);
  return absl::OkStatus();
}

// The verdict of a rank without what its objectives made of it.
Verdict VerdictWithoutObjectives(const Result& r) {
  Verdict verdict = r.verdict;
  const size_t erased = std::erase_if(verdict.reasons, [&r](const std::string& reason) {
    return IsOfObjectives(reason, r.objectives);
  });
  const bool nothing_else = erased > 0 && verdict.reasons.empty();
  if (nothing_else && verdict.outcome == Outcome::kFailObjective) {
    verdict.outcome = Outcome::kValid;
  }
  return verdict;
}

// Invalid before failed: what the generator spoiled says nothing about objectives.
void AddVerdict(Verdict& sum, const Verdict& verdict, uint32_t rank) {
  const auto is = [&](Outcome o) { return sum.outcome == o || verdict.outcome == o; };
  sum.outcome = is(Outcome::kInvalidGenerator) ? Outcome::kInvalidGenerator
                : is(Outcome::kFailObjective)  ? Outcome::kFailObjective
                                               : Outcome::kValid;
  sum.interrupted = sum.interrupted || verdict.interrupted;
  for (const std::string& reason : verdict.reasons) {
    sum.reasons.push_back("rank " + std::to_string(rank) + ": " + reason);
  }
}

RankRow RowOf(const Result& r, uint32_t rank) {
  return {.rank = rank,
          .id = r.run.id,
          .host = r.machine.host,
          .window = r.window,
          .offered_per_s = r.load.offered_per_s,
          .achieved_per_s = r.load.achieved_per_s,
          .ok = r.counts.ok,
          .failed = r.counts.failed,
          .busiest_core_share = BusiestCore(r.generator),
          .worst_lag_ns = r.generator.worst_lag_ns,
          .verdict = VerdictText(r.verdict)};
}

void AddRank(Result& sum, const Result& r, uint32_t rank) {
  AddCounts(sum.counts, r.counts);
  AddByName(sum.failures, r.failures);
  AddByName(sum.counters, r.counters);
  AddByName(sum.nic, r.nic);
  AddHealth(sum.generator, r.generator, rank);
  AddVerdict(sum.verdict, VerdictWithoutObjectives(r), rank);
  sum.ranks.push_back(RowOf(r, rank));
  for (const std::string& note : r.notes) {
    if (std::find(sum.notes.begin(), sum.notes.end(), note) == sum.notes.end()) {
      sum.notes.push_back(note);
    }
  }
  if (rank == 0) return;  // the sum began as this one
  for (size_t i = 0; i < r.latency.size(); ++i) {
    sum.latency[i].second.intended.Add(r.latency[i].second.intended);
    sum.latency[i].second.actual.Add(r.latency[i].second.actual);
  }
}

}  // namespace

nlohmann::ordered_json SharedConfiguration(nlohmann::ordered_json configuration) {
  for (const std::string_view key : kKeysOfPlace) configuration.erase(std::string(key));
  return configuration;
}

absl::StatusOr<Result> MergeResults(std::span<const Result> results) {
  if (results.empty()) return Refuse("there is no result to merge");
  std::vector<const Result*> sorted;
  for (const Result& r : results) sorted.push_back(&r);
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const Result* a, const Result* b) { return a->rank.index < b->rank.index; });
  if (absl::Status ranks = CheckRanks(sorted); !ranks.ok()) return ranks;
  for (const Result* r : sorted) {
    const std::string difference = DifferenceOf(*sorted.front(), *r);
    if (!difference.empty()) {
      return Refuse(NameOf(*sorted.front()) + " and " + NameOf(*r) + " have different " +
                    difference);
    }
  }
  const absl::StatusOr<Window> common = CommonWindow(sorted);
  if (!common.ok()) return common.status();

  Result sum = *sorted.front();
  sum.run.command = "report merge";
  sum.run.id += "_merged";
  sum.rank = {};
  sum.window = *common;
  sum.counts = {};
  sum.failures.clear();
  sum.counters.clear();
  sum.nic.clear();
  sum.generator = {};
  sum.verdict = {};
  sum.notes.clear();
  for (size_t i = 0; i < sorted.size(); ++i) AddRank(sum, *sorted[i], static_cast<uint32_t>(i));
  sum.series = MergedSeries(sorted, *common);
  sum.load = MergedRates(sorted, *common);
  if (absl::Status ok = CheckMerged(sorted.front()->objectives, sum); !ok.ok()) return ok;
  sum.notes.push_back("counts and histograms are of all windows, rates of the common one");
  return sum;
}

}  // namespace millrace::apps

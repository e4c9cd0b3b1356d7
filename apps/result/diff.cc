#include "apps/result/diff.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>

#include "apps/result/differences.h"
#include "apps/result/resolution.h"
#include "apps/result/statistics.h"
#include "apps/result/text.h"

namespace millrace::apps {
namespace {

constexpr double kLevel = 0.95;

using Runs = std::vector<const Result*>;

struct Metric {
  std::string name, unit;
  bool more_is_better;
  std::function<double(const Result&)> value;
  std::function<double(const Result&)> error;  // result/resolution.h
};

bool AllHave(const Runs& runs, const std::function<bool(const Result&)>& has) {
  return std::all_of(runs.begin(), runs.end(), [&](const Result* r) { return has(*r); });
}

const Histogram* HistogramOf(const Result& r, const std::string& state) {
  for (const auto& [name, latency] : r.latency) {
    if (name == state) return &latency.intended;
  }
  return nullptr;
}

void AddGoals(const Runs& runs, std::vector<Metric>& metrics) {
  if (!runs.front()->search) return;
  for (const Goal& goal : runs.front()->search->goals) {
    const auto find = [name = goal.goal](const Result& r) -> const Goal* {
      if (!r.search) return nullptr;
      for (const Goal& g : r.search->goals) {
        if (g.goal == name) return &g;
      }
      return nullptr;
    };
    if (!AllHave(runs, [&](const Result& r) { return find(r) != nullptr; })) continue;
    metrics.push_back({"max conn/s (" + goal.goal + ")", "per_s", true,
                       [find](const Result& r) { return find(r)->rate_per_s; },
                       [find](const Result& r) { return ErrorOfSearch(*find(r)); }});
  }
}

void AddLatencies(const Runs& runs, std::vector<Metric>& metrics) {
  constexpr std::array<std::pair<const char*, double>, 3> kCompared{
      {{"p50", 0.5}, {"p99", 0.99}, {"p99.9", 0.999}}};
  for (const auto& [state, latency] : runs.front()->latency) {
    const auto has = [&state = state](const Result& r) {
      const Histogram* histogram = HistogramOf(r, state);
      return histogram != nullptr && histogram->count() > 0;
    };
    if (!AllHave(runs, has)) continue;
    for (const auto& [name, quantile] : kCompared) {
      metrics.push_back({state + " " + name, "ns", false,
                         [state = state, quantile = quantile](const Result& r) {
                           return static_cast<double>(
                               HistogramOf(r, state)->ValueAtQuantile(quantile));
                         },
                         [state = state, quantile = quantile](const Result& r) {
                           return ErrorOfQuantile(*HistogramOf(r, state), quantile);
                         }});
    }
  }
}

// What all runs of both sides have.
std::vector<Metric> MetricsOf(const Runs& base, const Runs& now) {
  Runs all = base;
  all.insert(all.end(), now.begin(), now.end());
  std::vector<Metric> metrics;
  AddGoals(all, metrics);
  metrics.push_back(
      {"ok conn/s", "per_s", true, [](const Result& r) { return r.load.ok_per_s; }, ErrorOfRate});
  metrics.push_back({"failed share", "share", false,
                     [](const Result& r) { return FailedShare(r.counts); }, ErrorOfFailedShare});
  AddLatencies(all, metrics);
  return metrics;
}

// A metric compared, with the chances that decide its verdict.
struct Compared {
  MetricChange change;
  double chance_worse = 1, chance_better = 1;  // that it looks so though it is not
};

Compared CompareMetric(const Metric& metric, const Runs& base, const Runs& now,
                       double max_regress) {
  std::vector<double> a, b;
  for (const Result* r : base) a.push_back(metric.value(*r));
  for (const Result* r : now) b.push_back(metric.value(*r));
  const auto positive = [](double v) { return v > 0; };
  Compared compared;
  MetricChange& c = compared.change;
  c = {.metric = metric.name, .unit = metric.unit, .more_is_better = metric.more_is_better};
  c.relative =
      std::all_of(a.begin(), a.end(), positive) && std::all_of(b.begin(), b.end(), positive);
  if (c.relative) {
    for (double& v : a) v = std::log(v);
    for (double& v : b) v = std::log(v);
  }
  const auto mean = [&c](const std::vector<double>& values) {
    double sum = 0;
    for (const double v : values) sum += v;
    sum /= static_cast<double>(values.size());
    return c.relative ? std::exp(sum) : sum;
  };
  c.base = mean(a);
  c.now = mean(b);
  const auto ruler = [&](const Runs& runs) {
    double most = 0;
    for (const Result* r : runs) {
      most = std::max(most, metric.error(*r) / (c.relative ? metric.value(*r) : 1));
    }
    return most;
  };
  const MeanDifference d = Compare(a, b, ruler(base), ruler(now));
  const auto part = [&c](double v) { return c.relative ? std::expm1(v) : v; };
  c.change = part(d.difference);
  if (!d.has_interval()) return compared;
  c.has_interval = true;
  c.by_ruler = d.by_ruler;
  const double half = d.HalfWidth(kLevel);
  c.low = part(d.difference - half);
  c.high = part(d.difference + half);
  if (std::min(a.size(), b.size()) < kRunsMin) return compared;
  c.verdict = Change::kNoEvidence;
  // Without a ratio there is nothing to take a part of: any difference counts.
  const double allowed_part = metric.more_is_better ? 1 - max_regress : 1 + max_regress;
  const double allowed = c.relative ? std::log(allowed_part) : 0;
  compared.chance_worse = metric.more_is_better ? d.ChanceBelow(allowed) : d.ChanceAbove(allowed);
  compared.chance_better = metric.more_is_better ? d.ChanceAbove(0) : d.ChanceBelow(0);
  return compared;
}

// Those that may be compared; why the others may not goes into `notes`.
Runs Usable(std::span<const Result> results, const char* side, std::vector<std::string>& notes) {
  Runs usable;
  for (const Result& r : results) {
    if (r.verdict.outcome == Outcome::kInvalidGenerator || r.verdict.interrupted) {
      notes.push_back(std::string(side) + " " + r.run.id +
                      " is left out: " + VerdictText(r.verdict));
    } else {
      usable.push_back(&r);
    }
  }
  return usable;
}

void Judge(std::vector<Compared>& compared) {
  std::vector<double> worse, better;
  for (const Compared& c : compared) {
    worse.push_back(c.chance_worse);
    better.push_back(c.chance_better);
  }
  // Each side of the question gets half of what may go wrong, as a two-sided interval has it.
  const std::vector<bool> is_worse = Holm(worse, (1 - kLevel) / 2);
  const std::vector<bool> is_better = Holm(better, (1 - kLevel) / 2);
  for (size_t i = 0; i < compared.size(); ++i) {
    if (is_worse[i]) compared[i].change.verdict = Change::kWorse;
    if (is_better[i]) compared[i].change.verdict = Change::kBetter;
  }
}

}  // namespace

bool ResultDiff::regression() const {
  return std::any_of(metrics.begin(), metrics.end(),
                     [](const MetricChange& m) { return m.verdict == Change::kWorse; });
}

absl::StatusOr<ResultDiff> DiffResults(std::span<const Result> base, std::span<const Result> now,
                                       const DiffOptions& options) {
  ResultDiff diff;
  const Runs a = Usable(base, "base", diff.notes), b = Usable(now, "new", diff.notes);
  if (a.empty() || b.empty()) {
    std::string why = std::string("no valid run of the ") + (a.empty() ? "base" : "new") + " side";
    for (const std::string& note : diff.notes) why += "; " + Printable(note);
    return absl::InvalidArgumentError(why);
  }
  diff.base_runs = a.size();
  diff.new_runs = b.size();
  std::vector<Compared> compared;
  for (const Metric& metric : MetricsOf(a, b)) {
    compared.push_back(CompareMetric(metric, a, b, options.max_regress));
  }
  Judge(compared);
  for (Compared& c : compared) diff.metrics.push_back(std::move(c.change));
  FindDifferences(a, b, diff.different, diff.notes);
  return diff;
}

}  // namespace millrace::apps

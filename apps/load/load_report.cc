#include "apps/load/load_report.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <utility>

#include "apps/common/units.h"

namespace millrace::apps {
namespace {

double Share(uint64_t part, uint64_t whole) {
  return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

std::string Percent(double share) {
  std::array<char, 32> text;
  std::snprintf(text.data(), text.size(), "%.3g %%", share * 100);
  return text.data();
}

uint64_t PacketsOf(const dpdk::DpdkPortCounters& nic) { return nic.rx_packets + nic.tx_packets; }

// A frame that the device did not take at once is sent later and not lost, so it is not among them.
uint64_t DroppedBy(const dpdk::DpdkPortCounters& nic) {
  return nic.rx_missed + nic.rx_no_packet + nic.rx_errors + nic.tx_errors + nic.rx_linearize_failed;
}

uint64_t RequestsDue(const LoadCounts& counts) {
  return counts.requests_sent + counts.requests_unsent + counts.requests_missed;
}

std::string TargetText(const RunPlan& plan) {
  if (!plan.target_text.empty()) return plan.target_text;
  std::string text;
  for (const Target& target : plan.targets) text += (text.empty() ? "" : " ") + target.text;
  return text;
}

std::string ArrivalText(const RunPlan& plan) {
  if (!plan.open_loop()) return "";
  std::string text = ToString(plan.arrival.kind);
  if (plan.arrival.kind == ArrivalKind::kBurst) text += ":" + std::to_string(plan.arrival.burst);
  return text;
}

// `frames`: whether they were seen, so that octets on the wire are known.
LoadShape ShapeOf(const RunPlan& plan, const RunResult& load, bool frames) {
  const LoadCounts& counts = load.counts;
  // Rates are those of the connections that come and go.
  const uint64_t passing = counts.offered - counts.held_due;
  const auto bits_per_s = [&](uint64_t octets) {
    return frames ? std::optional(8 * load.PerSecond(octets)) : std::nullopt;
  };
  return {.target = TargetText(plan),
          .loop = plan.open_loop() ? "open" : "closed",
          .arrival = ArrivalText(plan),
          .close = ToString(plan.close),
          .offered_per_s = plan.open_loop() ? load.PerSecond(passing) : 0,
          .achieved_per_s = load.PerSecond(counts.started - counts.held_started),
          .ok_per_s = load.PerSecond(counts.ok - counts.held_ok),
          .requests_per_s = load.PerSecond(counts.requests_ok),
          .rx_bits_per_s = bits_per_s(load.traffic.rx_bytes),
          .tx_bits_per_s = bits_per_s(load.traffic.tx_bytes),
          .packets_per_connection = Share(load.traffic.segments, passing)};
}

void AddNotes(const RunPlan& plan, const LoadOutcome& outcome, LoadBench& bench, Result* result) {
  if (std::string note = bench.Note(); !note.empty()) result->notes.push_back(std::move(note));
  const RunResult& load = outcome.load;
  if (load.missing_target >= 0) {
    const Target& target = plan.targets[static_cast<size_t>(load.missing_target)];
    result->notes.push_back(target.text + " is not there: " + MeaningOf(load.missing_why));
    if (std::string why = bench.WhyMissing(); !why.empty()) result->notes.push_back(std::move(why));
  }
  if (outcome.started_late > Duration()) {
    result->notes.push_back("the clock started " + FormatDuration(outcome.started_late) +
                            " after --start-at: that was too soon to get ready");
  }
  if (!plan.timed) {
    result->notes.emplace_back("nothing was timed: whether starts were late is not judged");
  }
  if (outcome.time_waits_evicted > 0) {
    result->notes.push_back(GroupDigits(outcome.time_waits_evicted) +
                            " TIME-WAIT entries went early: the pool was full");
  }
  const uint64_t unsent = load.counts.requests_unsent + load.counts.requests_missed;
  if (unsent > 0) {
    result->notes.push_back(GroupDigits(unsent) + " of " + GroupDigits(RequestsDue(load.counts)) +
                            " requests were due and not sent");
  }
  if (load.counts.port_waited > 0) {
    result->notes.push_back(GroupDigits(load.counts.port_waited) +
                            " connections started late because the port took no more: the link was "
                            "full, or its other end read nothing");
  }
  load.counts.failures.ForEach([&](LoadFailure failure, uint64_t) {
    result->notes.push_back(std::string(ToString(failure)) + ": " + MeaningOf(failure));
  });
}

}  // namespace

Result ResultOf(const RunPlan& plan, const LoadOutcome& outcome, LoadBench& bench) {
  const RunResult& load = outcome.load;
  const LoadCounts& counts = load.counts;
  Result result;
  result.run.seed = plan.seed;
  result.window = outcome.window;
  result.rank = {.index = plan.rank.index, .count = plan.rank.count};
  result.load = ShapeOf(plan, load, outcome.nic.has_value());
  result.counts = {.due = counts.offered,
                   .opened = counts.started,
                   .ok = counts.ok,
                   .failed = counts.failures.total(),
                   .put_off = counts.put_off,
                   .requests = counts.requests_sent,
                   .responses = counts.requests_ok,
                   .held = counts.held};
  counts.failures.ForEach([&](LoadFailure failure, uint64_t count) {
    result.failures.emplace_back(ToString(failure), count);
  });
  for (size_t i = 0; plan.timed && i < kLatencyStates; ++i) {
    result.latency.push_back(
        {ToString(static_cast<LatencyState>(i)),
         {.intended = outcome.intended.intended.states[i], .actual = load.actual.states[i]}});
  }
  result.series = outcome.series;
  result.counters = outcome.counters;
  result.generator = {.cores = outcome.cores,
                      .worst_lag_ns = load.lag_ns.max(),
                      .packet_pool_low_share = outcome.packet_pool_low_share};
  if (outcome.nic) {
    const dpdk::DpdkPortCounters& nic = *outcome.nic;
    result.nic = {
        {"rx_packets", nic.rx_packets},     {"tx_packets", nic.tx_packets},
        {"rx_missed", nic.rx_missed},       {"rx_errors", nic.rx_errors},
        {"rx_no_packet", nic.rx_no_packet}, {"tx_errors", nic.tx_errors},
        {"tx_rejected", nic.tx_rejected},   {"rx_linearize_failed", nic.rx_linearize_failed}};
    result.generator.tx_dropped = nic.tx_errors;
    result.generator.rx_missed = nic.rx_missed + nic.rx_no_packet;
  }
  AddNotes(plan, outcome, bench, &result);
  return result;
}

std::vector<std::string> GeneratorLimits(const LoadOutcome& outcome) {
  std::vector<std::string> limits;
  const RunResult& load = outcome.load;
  const LoadCounts& counts = load.counts;
  if (outcome.overdue) limits.emplace_back("the generator did not end when it should have");
  if (!outcome.interrupted && counts.offered == 0) {
    limits.emplace_back("nothing was measured: no connection was due in the window");
  }
  const auto missing = [&limits](uint64_t part, uint64_t whole, const char* what) {
    if (Share(part, whole) <= kNotStartedShareMax) return;
    limits.push_back(GroupDigits(part) + " of " + GroupDigits(whole) + what);
  };
  missing(counts.failures.of_generator(), counts.offered, " connections could not be started");
  missing(counts.requests_missed, RequestsDue(counts), " requests could not be sent in time");
  const uint64_t lag_ns = load.own_lag_ns.ValueAtQuantile(0.99);
  if (lag_ns > kLagP99NsMax) {
    limits.push_back("one start in a hundred was more than " +
                     FormatDuration(Duration::Nanoseconds(static_cast<int64_t>(lag_ns))) + " late");
  }
  if (outcome.BusiestShare() > kBusyShareMax) {
    limits.push_back("a core of the generator was " + Percent(outcome.BusiestShare()) + " busy");
  }
  const double free_packets = outcome.packet_pool_low_share.value_or(1.0);
  if (free_packets < kPoolLowShareMin) {
    limits.push_back("the packet pool was used up to " + Percent(1 - free_packets));
  }
  const dpdk::DpdkPortCounters nic = outcome.nic.value_or(dpdk::DpdkPortCounters());
  const uint64_t dropped = DroppedBy(nic);
  if (Share(dropped, PacketsOf(nic)) > kDroppedShareMax) {
    limits.push_back("the driver dropped " + GroupDigits(dropped) + " packets");
  }
  return limits;
}

std::vector<std::string> TargetLimits(const RunPlan& plan, const LoadOutcome& outcome) {
  std::vector<std::string> limits;
  const RunResult& load = outcome.load;
  const LoadCounts& counts = load.counts;
  const uint64_t no_place = counts.failures[LoadFailure::kOpenMax];
  const bool late = load.lag_ns.ValueAtQuantile(0.99) > kLagP99NsMax;
  const auto waited = [&](uint64_t never, uint64_t sometime, uint64_t whole,
                          const std::string& what) {
    const bool some = late && sometime > 0;
    if (!some && Share(never, whole) <= kNotStartedShareMax) return;
    limits.push_back(GroupDigits(never + sometime) + " of " + GroupDigits(whole) + what);
  };
  waited(no_place, counts.waited, counts.offered - counts.held_due,
         " connections waited for one of " + GroupDigits(plan.open_max) +
             " to end: the target is slow, or --open-max too low");
  if (const uint64_t unsent = counts.failures[LoadFailure::kPortFull];
      Share(unsent, counts.offered) > kNotStartedShareMax) {
    limits.push_back(
        GroupDigits(unsent) + " of " + GroupDigits(counts.offered) +
        " connections found no room in the port: the link is full, or the target slow");
  }
  waited(counts.requests_unsent, counts.requests_waited, RequestsDue(counts),
         " requests waited for an idle one of " + GroupDigits(plan.hold) +
             " held connections: the target is slow, or they are too few");
  return limits;
}

void Judge(const RunPlan& plan, const LoadOutcome& outcome, const std::vector<Slo>& slos,
           Result* result) {
  Verdict& verdict = result->verdict;
  verdict.interrupted = outcome.interrupted;
  CheckObjectives(slos, result);
  const RunResult& load = outcome.load;
  if (load.missing_target >= 0) {
    verdict.reasons.push_back(plan.targets[static_cast<size_t>(load.missing_target)].text + ": " +
                              MeaningOf(load.missing_why));
  } else if (load.counts.offered > 0 && load.counts.ok == 0) {
    verdict.reasons.emplace_back("no connection succeeded");
  }
  for (std::string& limit : TargetLimits(plan, outcome)) {
    verdict.reasons.push_back(std::move(limit));
  }
  if (!verdict.reasons.empty()) verdict.outcome = Outcome::kFailObjective;
  // A target that is not there is not the generator's fault.
  if (load.missing_target >= 0) return;
  std::vector<std::string> limits = GeneratorLimits(outcome);
  if (limits.empty()) return;
  verdict.outcome = Outcome::kInvalidGenerator;
  verdict.reasons.insert(verdict.reasons.begin(), limits.begin(), limits.end());
}

void JudgeDemo(const LoadOutcome& outcome, Result* result) {
  result->verdict.interrupted = outcome.interrupted;
  const LoadCounts& counts = outcome.load.counts;
  if (counts.ok > 0 && counts.failures.total() == 0) return;
  result->verdict.outcome = Outcome::kFailObjective;
  result->verdict.reasons.push_back(counts.ok == 0 ? "no connection succeeded"
                                                   : GroupDigits(counts.failures.total()) +
                                                         " connections failed");
}

std::vector<std::string> WorseThan(const Result& baseline, const Result& result, double share) {
  std::vector<std::string> worse;
  const auto compare = [&](const std::string& name, double before, double now,
                           bool higher_is_worse) {
    if (before <= 0) return;
    const double change = now / before - 1;
    if ((higher_is_worse ? change : -change) <= share) return;
    worse.push_back(name + " is " + Percent(std::abs(change)) +
                    (change > 0 ? " higher" : " lower") + " than in the baseline");
  };
  if (result.search) {
    // The figures beside the goals are those of one trial.
    for (const Goal& goal : result.search->goals) {
      for (const Goal& before : baseline.search.value_or(Search()).goals) {
        if (before.goal != goal.goal) continue;
        compare("the maximum (" + goal.goal + ")", before.rate_per_s, goal.rate_per_s, false);
      }
    }
    return worse;
  }
  compare("the rate of success", baseline.load.ok_per_s, result.load.ok_per_s, false);
  for (const auto& [state, latency] : result.latency) {
    if (state == "total" || state == "last_byte") continue;
    for (const auto& [other, before] : baseline.latency) {
      if (other != state) continue;
      compare(state + ".p99", static_cast<double>(before.intended.ValueAtQuantile(0.99)),
              static_cast<double>(latency.intended.ValueAtQuantile(0.99)), true);
    }
  }
  return worse;
}

ExitCode ExitCodeOf(const Result& result) {
  if (result.verdict.interrupted) return kInterrupted;
  switch (result.verdict.outcome) {
    case Outcome::kValid:
      return kPass;
    case Outcome::kInvalidGenerator:
      return kInvalid;
    case Outcome::kFailObjective:
      return kFailed;
  }
  return kInternal;
}

}  // namespace millrace::apps

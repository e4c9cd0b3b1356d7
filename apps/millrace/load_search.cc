// apps/millrace/load_search.cc - `millrace load find-max` and `load sweep`: many short runs.

#include "apps/millrace/load_search.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "apps/common/exit_code.h"
#include "apps/common/flags.h"
#include "apps/load/rate_search.h"
#include "apps/load/trial.h"
#include "apps/millrace/load_flags.h"
#include "apps/millrace/load_output.h"
#include "apps/millrace/load_ranks.h"
#include "apps/millrace/load_streams.h"

namespace millrace::apps {
namespace {

struct FindMaxFlags {
  LoadFlags load;
  std::vector<std::string> goals;
  RateSearchOptions search{.highest_per_s = 1e8};
};

struct SweepFlags {
  LoadFlags load;
  std::vector<double> rates;
};

// The rows of a search as they come, and its result.
class Trials {
 public:
  Trials(const LoadFlags& flags, const LoadSetup& setup, Measurement& measurement,
         LoadStreams& streams)
      : out_(flags.text()),
        interval_(flags.interval),
        setup_(setup),
        measurement_(measurement),
        streams_(streams) {
    result_.search.emplace();
  }

  absl::StatusOr<TrialOutcome> Run(double rate_per_s, Duration length) {
    RunPlan plan = setup_.plan;
    plan.rate_per_s = rate_per_s;
    plan.duration = length;
    const LiveMode live = setup_.live == LiveMode::kTty     ? LiveMode::kProgress
                          : setup_.live == LiveMode::kPlain ? LiveMode::kPlain
                                                            : LiveMode::kNone;
    LiveView view(live, out_, plan.length(), streams_.listeners());
    auto trial = RunTrial(measurement_, plan, setup_.slos, interval_, view);
    log_ += view.log();
    return trial;
  }

  // Prints the row and keeps it; `verdict`: ok, fail or void. `again`: the next is the same.
  void Add(TrialOutcome&& trial, const char* verdict, bool again = false) {
    trial.row.verdict = verdict;
    std::array<char, 256> line;
    if (result_.search->trials.empty() || setup_.live == LiveMode::kPlain) {
      std::snprintf(line.data(), line.size(), "%5s %11s %11s %8s %10s %12s %9s  %s\n", "trial",
                    "offered", "achieved", "length", "failed", "connect p99", "gen busy",
                    "verdict");
      Print(line.data());
    }
    const Trial& row = trial.row;
    std::snprintf(
        line.data(), line.size(), "%5zu %11s %11s %7.3gs %9.3g%% %12s %8ld%%  %s%s\n",
        result_.search->trials.size() + 1, FormatCount(row.offered_per_s).c_str(),
        FormatCount(row.achieved_per_s).c_str(), row.length_s, row.failed_share * 100,
        FormatDuration(Duration::Nanoseconds(static_cast<int64_t>(row.connect_p99_ns))).c_str(),
        std::lround(row.generator_busy_share * 100), verdict, again ? ", tried again" : "");
    Print(line.data());
    streams_.OnTrial(row);
    std::optional<Search> search = std::move(result_.search);
    search->trials.push_back(row);
    // The figures of the result are those of the last trial that was good, or of the first.
    if (search->trials.size() == 1 || std::string_view(verdict) == "ok") {
      result_ = std::move(trial.result);
    }
    result_.search = std::move(search);
    interrupted_ = interrupted_ || trial.interrupted;
  }

  bool interrupted() const { return interrupted_; }
  Result& result() { return result_; }
  // What was shown, and the intervals of all trials.
  const std::string& log() const { return log_; }

 private:
  void Print(const char* line) {
    log_ += line;
    std::fputs(line, out_);
    std::fflush(out_);
  }

  FILE* out_;
  Duration interval_;
  std::string log_;
  const LoadSetup& setup_;
  Measurement& measurement_;
  LoadStreams& streams_;
  Result result_;
  bool interrupted_ = false;
};

const char* ToString(RateSearch::Limit limit) {
  switch (limit) {
    case RateSearch::Limit::kTarget:
      return "device under test";
    case RateSearch::Limit::kGenerator:
      return "generator";
    case RateSearch::Limit::kRange:
      break;
  }
  return "range asked for";
}

int Finish(Trials& trials, const LoadSetup& setup, LoadStreams& streams, bool holds = true) {
  Result& result = trials.result();
  result.verdict.interrupted = trials.interrupted();
  const int code = Deliver(result, setup.output, trials.log());
  return streams.Finish(result, code == kPass && !holds ? kRegression : code);
}

// The verdict of a search: a limit that is the generator's is none of the target.
void JudgeSearch(Result* result) {
  result->verdict = {};
  for (const Goal& goal : result->search->goals) {
    if (goal.limited_by == "generator") {
      result->verdict.outcome = Outcome::kInvalidGenerator;
      result->verdict.reasons.push_back(goal.goal + ": the generator was the limit");
    } else if (goal.rate_per_s == 0) {
      if (result->verdict.outcome == Outcome::kValid) {
        result->verdict.outcome = Outcome::kFailObjective;
      }
      result->verdict.reasons.push_back(goal.goal + ": no rate met it");
    }
  }
}

// That of a sweep: the worst of its trials, not that of the one whose figures are shown.
void JudgeSweep(Result* result) {
  result->verdict = {};
  const auto add = [result](const char* verdict, Outcome outcome, const char* what) {
    size_t n = 0;
    for (const Trial& trial : result->search->trials) n += trial.verdict == verdict ? 1 : 0;
    if (n == 0) return;
    result->verdict.outcome = outcome;
    result->verdict.reasons.push_back(std::to_string(n) + " of " +
                                      std::to_string(result->search->trials.size()) + what);
  };
  add("fail", Outcome::kFailObjective, " trials failed");
  add("void", Outcome::kInvalidGenerator, " trials are void: the generator was the limit");
}

absl::Status Search(const FindMaxFlags& flags, const std::vector<SearchGoal>& goals,
                    Trials& trials) {
  RateSearch search(flags.search, goals.size());
  while (const std::optional<RateSearch::Trial> next = search.Next()) {
    absl::StatusOr<TrialOutcome> trial = trials.Run(next->rate_per_s, next->length);
    if (!trial.ok()) return trial.status();
    std::vector<bool> passed;
    for (const SearchGoal& goal : goals) passed.push_back(Meets(goal, *trial));
    const bool all = std::all_of(passed.begin(), passed.end(), [](bool p) { return p; });
    const char* const verdict = trial->is_void ? "void" : all ? "ok" : "fail";
    const bool stop = trial->interrupted;
    if (!stop) trial->is_void ? search.OnVoid(*next) : search.OnTrial(*next, passed);
    const std::optional<RateSearch::Trial> after = search.Next();
    const bool good = all && !trial->is_void;
    const bool again = !stop && !good && after && after->rate_per_s == next->rate_per_s;
    trials.Add(*std::move(trial), verdict, again);
    if (stop) break;
  }
  for (size_t i = 0; i < goals.size(); ++i) {
    const RateSearch::Bounds bounds = search.BoundsOf(i);
    trials.result().search->goals.push_back({.goal = goals[i].text,
                                             .rate_per_s = bounds.lower_per_s,
                                             .above_per_s = bounds.upper_per_s,
                                             .limited_by = ToString(bounds.limit)});
  }
  return absl::OkStatus();
}

int FindMax(FindMaxFlags& flags, const CLI::App& app, StopSignals& signals) {
  absl::StatusOr<LoadSetup> setup = ReadLoadFlags(flags.load, app);
  if (!setup.ok()) return Report(setup.status());
  if (flags.search.width < 1e-4) return ReportUsage("--width: no closer than 0.01%");
  std::vector<SearchGoal> goals;
  if (flags.goals.empty()) flags.goals.emplace_back("ndr");
  const bool slo_goal =
      std::find(flags.goals.begin(), flags.goals.end(), "slo") != flags.goals.end();
  if (slo_goal && setup->slos.empty()) return ReportUsage("--goal slo: needs --slo");
  if (!slo_goal && !setup->slos.empty()) flags.goals.emplace_back("slo");
  for (const std::string& text : flags.goals) {
    if (std::string wrong = ParseGoal(text, &goals.emplace_back()); !wrong.empty()) {
      return ReportUsage("--goal: " + wrong);
    }
  }
  const auto baseline = ReadBaseline(flags.load.baseline, /*search=*/true);
  if (!baseline.ok()) return Report(baseline.status());
  setup->plan.rate_per_s = flags.search.first_per_s;
  return RunLoad(flags.load, *setup, signals, [&](Measurement& measurement, LoadStreams& streams) {
    Trials trials(flags.load, *setup, measurement, streams);
    const absl::Status searched = Search(flags, goals, trials);
    if (!searched.ok()) return static_cast<int>(Report(searched));
    JudgeSearch(&trials.result());
    const bool holds = trials.interrupted() ||
                       HoldsBaseline(*baseline, flags.load.regress_share, &trials.result());
    return Finish(trials, *setup, streams, holds);
  });
}

// "100k..1M/100k"; nullopt when it is no sweep.
std::optional<std::vector<double>> ParseSweep(std::string_view text) {
  constexpr size_t kStepsMax = 10'000;
  const size_t dots = text.find(".."), slash = text.find('/');
  if (dots == std::string_view::npos || slash == std::string_view::npos || slash < dots) {
    return std::nullopt;
  }
  const auto from = ParseRate(text.substr(0, dots));
  const auto to = ParseRate(text.substr(dots + 2, slash - dots - 2));
  const auto step = ParseRate(text.substr(slash + 1));
  if (!from || !to || !step || *from > *to || (*to - *from) / *step > kStepsMax) {
    return std::nullopt;
  }
  std::vector<double> rates;
  for (double i = 0; *from + i * *step <= *to * (1 + 1e-12); ++i) {
    rates.push_back(*from + i * *step);
  }
  return rates;
}

int Sweep(const SweepFlags& flags, const CLI::App& app, StopSignals& signals) {
  absl::StatusOr<LoadSetup> setup = ReadLoadFlags(flags.load, app);
  if (!setup.ok()) return Report(setup.status());
  setup->plan.rate_per_s = flags.rates.back();
  return RunLoad(flags.load, *setup, signals, [&](Measurement& measurement, LoadStreams& streams) {
    Trials trials(flags.load, *setup, measurement, streams);
    for (const double rate : flags.rates) {
      absl::StatusOr<TrialOutcome> trial = trials.Run(rate, setup->plan.duration);
      if (!trial.ok()) return static_cast<int>(Report(trial.status()));
      const Outcome outcome = trial->result.verdict.outcome;
      trials.Add(*std::move(trial), outcome == Outcome::kValid           ? "ok"
                                    : outcome == Outcome::kFailObjective ? "fail"
                                                                         : "void");
      if (trials.interrupted()) break;
    }
    JudgeSweep(&trials.result());
    return Finish(trials, *setup, streams);
  });
}

}  // namespace

Subcommand AddFindMax(CLI::App& load) {
  CLI::App* app = load.add_subcommand("find-max", "the highest rate that meets each goal");
  auto flags = std::make_shared<FindMaxFlags>();
  flags->load.AddTo(*app);
  flags->load.AddBaselineTo(*app);
  // A token bucket or a queue of the target sees bursts of random arrivals as overload.
  flags->load.plan.arrival.kind = ArrivalKind::kPaced;
  app->get_option("--arrival")->default_str("paced");
  flags->load.plan.warmup = Duration::Milliseconds(200);
  app->get_option("--warmup")->default_str("200ms");
  CheckBy(app->add_option(
              "--goal", flags->goals,
              "ndr: nothing fails; pdr:0.5%: so much may; repeatable (default: ndr, and --slo)"),
          [](const std::string& text) {
            SearchGoal ignored;
            return ParseGoal(text, &ignored);
          })
      ->type_name("GOAL");
  AddRate(*app, {"--start", "N", "rate of the first trial", "1k"}, &flags->search.first_per_s);
  AddRate(*app, {"--max", "N", "highest rate that is tried", "100M"}, &flags->search.highest_per_s);
  AddParsed(*app, {"--width", "SHARE", "how close the bounds come", "0.5%"}, &flags->search.width,
            "a share (write 0.5%)", ParseShare);
  AddDuration(*app, {"--trial", "TIME", "length of the first trials", "1s"},
              &flags->search.first_length, Duration::Milliseconds(50), Duration::Seconds(3600));
  app->get_option("--duration")->description("length of the trials that decide");
  app->footer(
      "A trial that did not do what was asked is made again at once: only a rate that failed "
      "twice\n"
      "is out of reach, so that what disturbs the machine for a moment decides nothing.");
  return {.app = app,
          .run =
              [app, flags](StopSignals& signals) {
                flags->search.final_length = flags->load.plan.duration;
                return FindMax(*flags, *app, signals);
              },
          .check = [app, flags] { return CheckLoadFlags(flags->load, *app); }};
}

Subcommand AddSweep(CLI::App& load) {
  CLI::App* app = load.add_subcommand("sweep", "one run at each of several rates");
  auto flags = std::make_shared<SweepFlags>();
  flags->load.AddTo(*app);
  AddParsed(*app, {"--rate", "FROM..TO/STEP", "from, to and step: 100k..1M/100k", ""},
            &flags->rates, "a sweep of up to 10 000 rates (write 100k..1M/100k)", ParseSweep)
      ->required();
  return {.app = app,
          .run = [app, flags](StopSignals& signals) { return Sweep(*flags, *app, signals); },
          .check = [app, flags] { return CheckLoadFlags(flags->load, *app); }};
}

}  // namespace millrace::apps

#include "apps/load/measure.h"

#include <algorithm>
#include <string>
#include <utility>

#include "apps/common/exit_code.h"
#include "apps/common/units.h"
#include "apps/load/load_report.h"
#include "apps/load/load_watch.h"
#include "apps/result/merge.h"

namespace millrace::apps {
namespace {

constexpr Duration kWait = Duration::Milliseconds(20);

absl::Status OverBy(const GroupFailure& failure) {
  return absl::FailedPreconditionError(failure.why);
}

// What a reader of logs of several machines has to know.
void NoteClock(const RankSession& ranks, Result* result) {
  constexpr Duration kNoteworthy = Duration::Milliseconds(10);
  const Duration ahead = Duration::Nanoseconds(ranks.clock_ahead_ns());
  const Duration by = std::max(ahead, Duration() - ahead);
  if (by < kNoteworthy) return;
  result->notes.push_back("the clock of " + result->machine.host + " is " + FormatDuration(by) +
                          (ahead > Duration() ? " ahead of" : " behind") +
                          " that of rank 0; times here are by the latter");
}

// What goes to rank 0 has to fit a message (ranks/message.h): 60,000 rows of a series do.
Result Sendable(const Result& own) {
  constexpr size_t kRowsMax = 60'000;
  Result sent = own;
  if (sent.series.size() <= kRowsMax) return sent;
  sent.notes.push_back("the " + std::to_string(sent.series.size()) + " intervals of rank " +
                       std::to_string(own.rank.index) +
                       " are too many to send; its own result has them (-o)");
  sent.series.clear();
  return sent;
}

std::vector<Result> ResultsOf(std::vector<ResultMessage> messages) {
  std::vector<Result> results;
  for (ResultMessage& message : messages) results.push_back(std::move(message.result));
  return results;
}

}  // namespace

absl::StatusOr<Result> Measurement::RunPart(const RunPlan& plan, const std::vector<Slo>& slos,
                                            Duration interval, LiveView& view, RankSession* ranks) {
  auto run = bench_.Start(plan);
  if (!run.ok()) {
    if (ranks != nullptr) ranks->Fail(std::string(run.status().message()), kEnvironment);
    return run.status();
  }
  const LoadOutcome outcome = Watch(bench_, **run, interval, view, signals_, ranks);
  Result result = ResultOf(plan, outcome, bench_);
  describe_(**run, ranks, &result);
  Judge(plan, outcome, slos, &result);
  if (ranks != nullptr) NoteClock(*ranks, &result);
  if (ranks != nullptr && outcome.load.missing_target >= 0) {
    ranks->Fail(result.verdict.reasons.front(), kFailed);
  }
  return result;
}

absl::StatusOr<Result> Measurement::Run(const RunPlan& plan, const std::vector<Slo>& slos,
                                        Duration interval, LiveView& view) {
  if (group_ == nullptr) return RunPart(plan, slos, interval, view, nullptr);
  RunPlan part = plan;
  part.together = true;
  group_->group().Begin(plan.rate_per_s, plan.duration, plan.length() + plan.drain, ReadRankTime());
  absl::StatusOr<Result> own = RunPart(part, {}, interval, view, group_);
  if (!own.ok()) return own.status();
  own_ = *std::move(own);
  group_->SetResult({.interrupted = own_->verdict.interrupted, .result = Sendable(*own_)});
  return Gather(slos);
}

absl::StatusOr<Result> Measurement::Gather(const std::vector<Slo>& slos) {
  while (!group_->group().step_over() && !group_->failure()) {
    group_->Poll(kWait);
    if (signals_.Wait(Duration())) group_->AskToStop();
  }
  if (group_->failure()) return OverBy(*group_->failure());
  absl::StatusOr<Result> merged = MergeResults(ResultsOf(group_->group().TakeResults()));
  if (!merged.ok()) {
    return absl::FailedPreconditionError("the results of the ranks cannot be added up: " +
                                         std::string(merged.status().message()));
  }
  merged->run.command = own_->run.command;
  CheckObjectives(slos, &*merged);
  return merged;
}

absl::Status Measurement::Follow(RankClient& client, const RunPlan& plan, Duration interval,
                                 const std::function<LiveView(Duration length)>& view) {
  while (!client.failure()) {
    client.Poll(kWait);
    if (signals_.Wait(Duration())) client.AskToStop();
    if (!client.member().step() || client.failure()) continue;
    const StepMessage& step = *client.member().step();
    RunPlan part = plan;
    part.together = true;
    if (step.rate_per_s > 0) part.rate_per_s = step.rate_per_s;
    part.duration = Duration::Nanoseconds(step.length_ns);
    LiveView shown = view(part.length());
    absl::StatusOr<Result> own = RunPart(part, {}, interval, shown, &client);
    if (!own.ok()) return own.status();
    own_ = *own;
    client.SetResult({.interrupted = own->verdict.interrupted, .result = Sendable(*own)});
  }
  return absl::OkStatus();
}

}  // namespace millrace::apps

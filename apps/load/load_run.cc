// load/load_run.cc - one run as its controlling thread sees it: its members, how far it is, its
// start, its end.

#include <algorithm>

#include "apps/load/load_bench.h"

namespace millrace::apps {

absl::Status LoadBench::CheckShares(const RunPlan& plan, uint32_t workers) {
  const uint32_t generators = workers * plan.rank.count;
  if (plan.held_requests_per_s > 0 && plan.hold < generators) {
    return absl::InvalidArgumentError("--hold: fewer connections than the " +
                                      std::to_string(generators) + " workers that make requests");
  }
  if (!plan.open_loop() && plan.concurrency > 0 && plan.concurrency < generators) {
    return absl::InvalidArgumentError("fewer connections at a time than the " +
                                      std::to_string(generators) + " workers that open them");
  }
  return absl::OkStatus();
}

absl::Status LoadBench::TooMany(const RunPlan& plan) {
  return absl::ResourceExhaustedError("no memory for the state of " +
                                      std::to_string(PlanOf(plan, {}).open_limit()) +
                                      " connections; --open-max, --conns and --hold say how many");
}

LoadMember& LoadRun::AddMember(uint32_t of) {
  const auto index = static_cast<uint32_t>(members.size());
  LoadMember& member = *members.emplace_back(std::make_unique<LoadMember>());
  member.plan = PlanOf(plan, {index, of});
  if (of > 1 || plan.together) member.live.start_at_ns = LiveRun::kNotYet;
  return member;
}

LoadStage LoadRun::stage() const {
  LoadStage stage = LoadStage::kDone;
  for (const auto& member : members) {
    stage = std::min(stage, member->live.stage.load(std::memory_order_acquire));
  }
  return stage;
}

bool LoadRun::GaveUp() const {
  return std::any_of(members.begin(), members.end(), [](const auto& member) {
    return member->live.stage.load(std::memory_order_acquire) >= LoadStage::kDraining;
  });
}

bool LoadRun::StartIsFar(int64_t unix_ns) const {
  constexpr Duration kSoon = Duration::Milliseconds(100);
  return Duration::Nanoseconds(plan.start_unix_ns - unix_ns) > kSoon;
}

Instant LoadRun::AskedStart(Instant soonest, int64_t unix_ns, Duration* late) {
  if (plan.start_unix_ns == 0) return soonest;
  const Instant asked = clock.Now() + Duration::Nanoseconds(plan.start_unix_ns - unix_ns);
  if (asked < soonest) *late = soonest - asked;
  return std::max(asked, soonest);
}

void LoadRun::Release(Instant start) {
  if (GaveUp()) AskToStop();
  for (auto& member : members) {
    member->live.start_at_ns.store(start.ns(), std::memory_order_release);
  }
}

void LoadRun::AskToStop() {
  for (auto& member : members) member->live.stop.store(true, std::memory_order_relaxed);
}

void LoadRun::Stop() {
  std::vector<dpdk::Worker*> workers;
  for (auto& member : members) {
    workers.push_back(member->server_worker.get());
    workers.push_back(member->worker.get());
  }
  for (dpdk::Worker* worker : workers) {
    if (worker != nullptr) worker->RequestStop();
  }
  for (dpdk::Worker* worker : workers) {
    if (worker != nullptr) worker->Join();
  }
}

}  // namespace millrace::apps

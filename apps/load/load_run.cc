// load/load_run.cc - one run as its controlling thread sees it: how far it is, its start, its end.

#include <algorithm>

#include "apps/load/load_bench.h"

namespace millrace::apps {

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

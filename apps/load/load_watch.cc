#include "apps/load/load_watch.h"

#include <time.h>

#include <algorithm>
#include <string>
#include <utility>

#include "apps/load/run_limit.h"
#include "apps/load/schedule.h"

namespace millrace::apps {
namespace {

constexpr Duration kTick = Duration::Milliseconds(5);

int64_t UnixNs() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return static_cast<int64_t>(now.tv_sec) * 1'000'000'000 + now.tv_nsec;
}

dpdk::WorkerLoad Since(const dpdk::WorkerLoad& now, const dpdk::WorkerLoad& before) {
  return {.busy_cycles = now.busy_cycles - before.busy_cycles,
          .idle_cycles = now.idle_cycles - before.idle_cycles,
          .polls = now.polls - before.polls};
}

dpdk::DpdkPortCounters Since(const dpdk::DpdkPortCounters& now,
                             const dpdk::DpdkPortCounters& before) {
  return {.rx_linearize_failed = now.rx_linearize_failed - before.rx_linearize_failed,
          .tx_rejected = now.tx_rejected - before.tx_rejected,
          .rx_packets = now.rx_packets - before.rx_packets,
          .tx_packets = now.tx_packets - before.tx_packets,
          .rx_missed = now.rx_missed - before.rx_missed,
          .rx_errors = now.rx_errors - before.rx_errors,
          .rx_no_packet = now.rx_no_packet - before.rx_no_packet,
          .tx_errors = now.tx_errors - before.tx_errors};
}

class Watcher {
 public:
  Watcher(LoadBench& bench, LoadRun& run, Duration interval, LiveView& view, RankSession* ranks)
      : bench_(bench),
        run_(run),
        interval_(interval),
        view_(view),
        ranks_(ranks),
        limit_(run.plan) {
    for (const auto& member : run.members) workers_.push_back(member->worker.get());
    for (const auto& member : run.members) {
      if (member->server_worker) workers_.push_back(member->server_worker.get());
    }
    before_interval_ = before_window_ = Loads();
  }

  LoadOutcome Run(StopSignals& signals) {
    const int64_t begun_ns = dpdk::MonotonicNs();
    while (run_.stage() != LoadStage::kDone && dpdk::MonotonicNs() < give_up_ns_) {
      const bool signal = signals.Wait(kTick);
      // A second signal, or a generator that does not hear: no longer than this.
      if (signal && outcome_.interrupted) break;
      if (ranks_ != nullptr) {
        if (signal) ranks_->AskToStop();
        ranks_->Poll(Duration());
      }
      if ((signal || (ranks_ != nullptr && ranks_->stopped())) && !outcome_.interrupted) {
        outcome_.interrupted = true;
        AskToStop();
      }
      Tick(begun_ns);
      if (!outcome_.overdue && limit_.Over(run_.stage(), Progress(), dpdk::MonotonicNs())) {
        outcome_.overdue = true;
        AskToStop();
      }
    }
    if (measuring_) EndInterval();
    busy_ = Since(Loads());
    view_.Finish();
    run_.Stop();
    Collect();
    return std::move(outcome_);
  }

 private:
  using LoadsOf = std::vector<dpdk::WorkerLoad>;

  void AskToStop() {
    run_.AskToStop();
    give_up_ns_ = dpdk::MonotonicNs() + (run_.plan.drain + RunLimit::kGrace).ns();
  }
  // Changes with all that happens.
  uint64_t Progress() const { return Sum(&LiveRun::started) + Sum(&LiveRun::failed) + Open(); }

  LoadsOf Loads() const {
    LoadsOf loads;
    for (const dpdk::Worker* worker : workers_) loads.push_back(worker->Load());
    return loads;
  }
  static double Busiest(const LoadsOf& now, const LoadsOf& before) {
    double most = 0;
    for (size_t i = 0; i < now.size(); ++i) {
      most = std::max(most, apps::Since(now[i], before[i]).busy_share());
    }
    return most;
  }
  std::vector<double> Since(const LoadsOf& now) const {
    std::vector<double> shares;
    for (size_t i = 0; i < now.size(); ++i) {
      shares.push_back(apps::Since(now[i], before_window_[i]).busy_share());
    }
    return shares;
  }

  void Tick(int64_t begun_ns) {
    const int64_t now_ns = dpdk::MonotonicNs();
    const LoadStage stage = run_.stage();
    if (stage >= LoadStage::kReady && !released_) Release();
    if (stage >= LoadStage::kLeading && start_ns_ == 0) BeginClock(now_ns);
    if (stage == LoadStage::kMeasuring && !measuring_) BeginWindow(now_ns);
    if (stage >= LoadStage::kDraining && measuring_ && !drained_) {
      drained_ = true;
      drained_ns_ = now_ns;
      busy_in_window_ = Since(Loads());
    }
    SamplePool();
    if (flipping_ && Flipped()) FinishInterval();
    if (start_ns_ != 0 && !flipping_ && now_ns - interval_ns_ >= interval_.ns() && !drained_) {
      for (auto& member : run_.members) member->live.intervals.Ask();
      flipping_ = true;
    }
    if (now_ns - progress_ns_ >= 200'000'000) {
      progress_ns_ = now_ns;
      view_.ShowProgress(stage,
                         Duration::Nanoseconds(now_ns - (start_ns_ != 0 ? start_ns_ : begun_ns)));
      if (ranks_ != nullptr) {
        ranks_->SetAlive(
            {Sum(&LiveRun::started), Sum(&LiveRun::ok), Sum(&LiveRun::failed), Open()});
        if (const auto sum = ranks_->Sum()) view_.SetGroup(sum->ok, sum->failed, sum->open);
      }
    }
  }

  // When all of this process are ready: the clock starts, or, in a group, when the group says.
  void Release() {
    // Long enough for every worker to see it in time.
    constexpr Duration kNotice = Duration::Milliseconds(1);
    if (run_.StartIsFar(UnixNs()) && !run_.GaveUp()) return;
    Instant start = run_.AskedStart(run_.clock.Now() + kNotice, UnixNs(), &outcome_.started_late);
    if (ranks_ != nullptr && !run_.GaveUp()) {
      ranks_->SetReady();
      const std::optional<int64_t> unix_ns = ranks_->start_unix_ns();
      if (!unix_ns) return;
      start = run_.clock.Now() + Duration::Nanoseconds(*unix_ns - UnixNs());
    }
    released_ = true;
    if (run_.members.size() > 1 || run_.plan.together) run_.Release(start);
  }
  int64_t GroupUnixNs() const {
    return UnixNs() - (ranks_ == nullptr ? 0 : ranks_->clock_ahead_ns());
  }

  void BeginClock(int64_t now_ns) {
    start_ns_ = interval_ns_ = window_ns_ = now_ns;
    Snapshot();
  }
  // Warm-up shows its own rows, and the first measured one begins with the window: what was asked
  // for before it has no row, its times are those of the first.
  void BeginWindow(int64_t now_ns) {
    measuring_ = true;
    no_row_ = flipping_;
    interval_ns_ = window_ns_ = now_ns;
    window_unix_ns_ = GroupUnixNs();
    before_window_ = Loads();
    Snapshot();
  }

  void Snapshot() {
    started_ = Sum(&LiveRun::started);
    ok_ = Sum(&LiveRun::ok);
    failed_ = Sum(&LiveRun::failed);
    retransmits_ = Sum(&LiveRun::retransmits);
    before_interval_ = Loads();
  }

  uint64_t Sum(std::atomic<uint64_t> LiveRun::*count) const {
    uint64_t sum = 0;
    for (const auto& member : run_.members) {
      sum += (member->live.*count).load(std::memory_order_relaxed);
    }
    return sum;
  }
  uint32_t Open() const {
    uint32_t open = 0;
    for (const auto& member : run_.members) {
      open += member->live.open.load(std::memory_order_relaxed);
    }
    return open;
  }

  // One that is done flips no more, and writes no more either.
  bool Flipped() const {
    return std::all_of(run_.members.begin(), run_.members.end(), [](const auto& member) {
      return member->live.intervals.Ready() || member->live.done();
    });
  }

  void FinishInterval() {
    flipping_ = false;
    for (auto& member : run_.members) member->live.intervals.TakeInto(&taken_);
    if (!std::exchange(no_row_, false)) AddRow();
  }

  // Until when a row is at most. What ends well in the drain is in the last one, but that has the
  // length of what was measured, because rates are made from it.
  int64_t RowEndNs() const {
    const int64_t now_ns = drained_ ? drained_ns_ : dpdk::MonotonicNs();
    const Duration whole = run_.plan.duration;
    return measuring_ && whole != Duration() ? std::min(now_ns, window_ns_ + whole.ns()) : now_ns;
  }

  // The last one, unless it is much shorter than the others: then it has no row.
  void EndInterval() {
    const auto length_s = static_cast<double>(RowEndNs() - interval_ns_) * 1e-9;
    if (run_.stage() != LoadStage::kDone || length_s < interval_.seconds() / 2) return;
    for (auto& member : run_.members) member->live.intervals.FinishInto(&taken_);
    AddRow();
  }

  // From what was taken.
  void AddRow() {
    const int64_t end_ns = std::max(RowEndNs(), interval_ns_);
    const LoadsOf loads = Loads();
    const Histogram& connect = taken_.intended[LatencyState::kConnect];
    Interval row{.start_s = static_cast<double>(interval_ns_ - window_ns_) * 1e-9,
                 .length_s = static_cast<double>(end_ns - interval_ns_) * 1e-9,
                 .opened = Sum(&LiveRun::started) - started_,
                 .ok = Sum(&LiveRun::ok) - ok_,
                 .failed = Sum(&LiveRun::failed) - failed_,
                 .retransmits = Sum(&LiveRun::retransmits) - retransmits_,
                 .open = Open(),
                 .connect_p50_ns = connect.ValueAtQuantile(0.5),
                 .connect_p99_ns = connect.ValueAtQuantile(0.99),
                 .busiest_core_share = Busiest(loads, before_interval_),
                 .worst_lag_ns = taken_.worst_lag_ns};
    const auto due_until = [this](int64_t ns) {
      return StartsDue(run_.plan, measuring_, window_ns_ - start_ns_, ns - start_ns_);
    };
    const double due = due_until(end_ns) - due_until(interval_ns_);
    row.due = run_.plan.open_loop() ? static_cast<uint64_t>(due + 0.5) : row.opened;
    outcome_.intended.Add(taken_);
    view_.OnInterval(row, taken_.intended,
                     measuring_ ? LoadStage::kMeasuring : LoadStage::kLeading);
    taken_.Clear();
    if (measuring_) outcome_.series.push_back(row);
    interval_ns_ = end_ns;
    Snapshot();
  }

  void SamplePool() {
    if (++ticks_ % 4 != 0) return;
    const std::optional<double> share = bench_.FreePacketsShare();
    if (share) {
      outcome_.packet_pool_low_share =
          std::min(*share, outcome_.packet_pool_low_share.value_or(1.0));
    }
  }

  void Collect() {
    for (auto& member : run_.members) {
      member->ends->Finish();
      outcome_.load.Add(member->ends->result());
      member->live.intervals.FinishInto(&taken_);
    }
    outcome_.intended.Add(taken_);
    // A run that ended before its window is found by when it ended.
    if (window_unix_ns_ == 0) window_unix_ns_ = GroupUnixNs();
    outcome_.window.start_unix_ns = window_unix_ns_;
    outcome_.window.end_unix_ns = window_unix_ns_ + outcome_.load.window.ns();
    const std::vector<double>& busy = drained_ ? busy_in_window_ : busy_;
    for (size_t i = 0; i < busy.size(); ++i) {
      const int cpu = i < bench_.cpus().size() ? bench_.cpus()[i] : -1;
      const char* const role = i < run_.members.size() ? run_.members[i]->role : "server";
      outcome_.cores.push_back(
          {.cpu = static_cast<uint32_t>(std::max(cpu, 0)), .role = role, .busy_share = busy[i]});
    }
    CollectCounters();
  }

  void CollectCounters() {
    if (const std::optional<dpdk::DpdkPortCounters> now = bench_.ReadCounters()) {
      outcome_.nic = apps::Since(*now, run_.nic_before);
    }
    const auto add = [this](const std::string& name, uint64_t value) {
      if (value == 0) return;
      ByName<uint64_t>& all = outcome_.counters;
      const auto same = std::find_if(all.begin(), all.end(),
                                     [&](const auto& counter) { return counter.first == name; });
      if (same == all.end()) {
        all.emplace_back(name, value);
      } else {
        same->second += value;
      }
    };
    for (const auto& member : run_.members) {
      member->ends->ForEachCounter(add);
      outcome_.time_waits_evicted += member->ends->time_waits_evicted();
    }
  }

  LoadBench& bench_;
  LoadRun& run_;
  Duration interval_;
  LiveView& view_;
  RankSession* ranks_;
  RunLimit limit_;
  std::vector<const dpdk::Worker*> workers_;
  LoadOutcome outcome_;
  LoadsOf before_interval_, before_window_;
  std::vector<double> busy_, busy_in_window_;
  int64_t start_ns_ = 0, window_ns_ = 0, interval_ns_ = 0, progress_ns_ = 0;
  int64_t window_unix_ns_ = 0, drained_ns_ = 0, give_up_ns_ = INT64_MAX;
  bool released_ = false, measuring_ = false, drained_ = false, flipping_ = false;
  bool no_row_ = false;  // what is asked for now
  IntervalLoad taken_;   // of the row that comes next
  uint64_t started_ = 0, ok_ = 0, failed_ = 0, retransmits_ = 0;
  uint32_t ticks_ = 0;
};

}  // namespace

double LoadOutcome::BusiestShare() const {
  double most = 0;
  for (const CoreHealth& core : cores) {
    if (core.role != "server") most = std::max(most, core.busy_share);
  }
  return most;
}

LoadOutcome Watch(LoadBench& bench, LoadRun& run, Duration interval, LiveView& view,
                  StopSignals& signals, RankSession* ranks) {
  return Watcher(bench, run, interval, view, ranks).Run(signals);
}

}  // namespace millrace::apps

// load/load_app_stages.h - the stages of a run before its clock starts and after its window.
// load_app.cc alone includes this.
#ifndef MILLRACE_APPS_LOAD_LOAD_APP_STAGES_H_
#define MILLRACE_APPS_LOAD_LOAD_APP_STAGES_H_

#include <algorithm>
#include <utility>

#include "apps/load/load_app.h"

namespace millrace::apps {

// One connection to each target in turn, reset as soon as it is open. It counts only when it ends
// the run: behind an address that ARP is still asking for, all but a few SYNs of a run would be
// dropped and come again a second later.
template <class N>
void LoadAppOf<N>::Probe(Engine& engine) {
  if (!N::HasAddress(engine)) return;
  if (live_.stop.load(std::memory_order_relaxed)) return EndWindow();
  if (probed_ == targets_.size()) {
    stage_ = LoadStage::kHolding;
    return Hold(engine);
  }
  if (probe_ != Flow::kNone) {
    // --timeout connect=0 does not mean that we ask for ever.
    if (now_ - begun_ < kProbeFor) return;
    return Fail(Socket(&engine, flows_[probe_].id), probe_, LoadFailure::kSynTimeout);
  }
  if (now_ < next_probe_) return;
  probe_ = Take(now_);
  flows_[probe_].probe = true;
  const std::optional<LoadFailure> failure = Open(engine, probe_, probed_);
  if (failure) OnProbeOver(*failure);
}

template <class N>
void LoadAppOf<N>::OnProbeOver(LoadFailure failure) {
  Give(std::exchange(probe_, Flow::kNone));
  if (stage_ != LoadStage::kProbing) return;
  const bool silent = failure == LoadFailure::kSynTimeout || failure == LoadFailure::kUnreachable ||
                      failure == LoadFailure::kNoRoute;
  if (!silent) {
    ++probed_;  // a target that refuses is there, too
    begun_ = now_;
    return;
  }
  next_probe_ = now_ + Duration::Milliseconds(10);
  if (now_ - begun_ < kProbeFor) return;
  result_.missing_target = static_cast<int>(targets_[probed_].target.number);
  result_.missing_why = failure;
  result_.counts.offered = result_.counts.started = 1;
  ++result_.counts.failures[failure];
  ++finished_failed_;
  EndWindow();
}

template <class N>
void LoadAppOf<N>::Hold(Engine& engine) {
  const bool stopped = live_.stop.load(std::memory_order_relaxed);
  // A held connection that failed is not tried again: its failure is counted.
  if ((held_tried_ == plan_.hold && held_opening_ == 0) || stopped) return BeginClock();
  for (int i = 0; i < kStartsPerPollMax; ++i) {
    if (held_tried_ == plan_.hold || held_opening_ == kHeldOpeningMax) return;
    now_ = N::Now(engine, now_);
    const uint32_t index = Take(now_);
    flows_[index].held = true;
    const auto target = static_cast<uint32_t>(next_target_.Next());
    const std::optional<LoadFailure> failure = Open(engine, index, target);
    if (failure == LoadFailure::kNoMemory) {
      ++result_.counts.put_off;
      return Give(index);
    }
    ++held_tried_;
    ++result_.counts.offered;
    ++result_.counts.held_due;
    if (failure) {
      Count(flows_[index], *failure);
      Give(index);
    } else {
      ++held_opening_;
      ++result_.counts.started;
      ++result_.counts.held_started;
    }
  }
}

template <class N>
void LoadAppOf<N>::BeginClock() {
  stage_ = LoadStage::kReady;
  AwaitStart();
}

template <class N>
void LoadAppOf<N>::AwaitStart() {
  const int64_t at_ns = live_.start_at_ns.load(std::memory_order_acquire);
  if (now_.ns() < at_ns) {
    // A run that is stopped before its clock has measured nothing.
    if (live_.stop.load(std::memory_order_relaxed)) EndWindow();
    return;
  }
  start_ = at_ns == 0 ? now_ : Instant::FromNanoseconds(at_ns);
  measure_from_ = start_ + plan_.lead();
  end_ = plan_.duration == Duration() ? Instant::Never() : start_ + plan_.length();
  stage_ = LoadStage::kLeading;
}

// The window is over: what was meant to start in it and did not has failed.
template <class N>
void LoadAppOf<N>::EndWindow() {
  if (stage_ == LoadStage::kMeasuring) {
    const Instant end = std::min(end_, now_);
    result_.window = end - measure_from_;
    if (schedule_) CountUnstarted(end);
    if (held_schedule_) CountUnsent(end);
    result_.counts.held = held_open_;
    end_ = end;  // requests that start later are not measured
  }
  stage_ = LoadStage::kDraining;
  begun_ = now_;
}

template <class N>
void LoadAppOf<N>::CountUnstarted(Instant end) {
  const bool others = full_.Covers(start_ + schedule_->next());
  finished_failed_ += schedule_->SkipTo(measure_from_ - start_);
  const uint64_t left = std::min(schedule_->SkipTo(end - start_), plan_.count - counted_);
  counted_ += left;
  finished_failed_ += left;
  result_.counts.offered += left;
  result_.counts.failures[others ? full_why_ : LoadFailure::kNotStarted] += left;
}

template <class N>
void LoadAppOf<N>::CountUnsent(Instant end) {
  const bool others = busy_.Covers(start_ + held_schedule_->next());
  held_schedule_->SkipTo(measure_from_ - start_);
  LoadCounts& counts = result_.counts;
  (others ? counts.requests_unsent : counts.requests_missed) +=
      held_schedule_->SkipTo(end - start_);
}

// What is under way may still end well. Held connections without a request are reset, they have
// done their part.
template <class N>
void LoadAppOf<N>::Drain(Engine& engine) {
  const bool give_up = now_ - begun_ >= plan_.drain;
  for (int i = 0; i < kDrainStep && open() > 0 && (give_up || held_open_ > 0); ++i) {
    const uint32_t index = drain_at_;
    drain_at_ = (drain_at_ + 1) % static_cast<uint32_t>(flows_.size());
    Flow& flow = flows_[index];
    if (flow.phase == FlowPhase::kFree) continue;
    if (!give_up && flow.phase != FlowPhase::kIdle) continue;
    const Socket socket(&engine, flow.id);
    if (flow.phase == FlowPhase::kIdle) {
      socket.Abort();
    } else {
      Fail(socket, index, LoadFailure::kUnfinished);
    }
  }
  if (open() == 0) stage_ = LoadStage::kDone;
}

template <class N>
void LoadAppOf<N>::Finish() {
  if (stage_ == LoadStage::kDone) return;
  if (stage_ == LoadStage::kMeasuring) EndWindow();
  for (Flow& flow : flows_) {
    if (flow.phase == FlowPhase::kFree || flow.probe) continue;
    const bool whole = flow.phase == FlowPhase::kIdle;
    const bool named = flow.failure != LoadFailure::kNone;
    Count(flow, whole ? LoadFailure::kNone : named ? flow.failure : LoadFailure::kUnfinished);
  }
  stage_ = LoadStage::kDone;
}

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_LOAD_LOAD_APP_STAGES_H_

// load/load_app.cc - the stages of a run. What happens on one connection is in load_flow.cc.

#include "apps/load/load_app.h"

#include <algorithm>
#include <utility>

namespace millrace::apps {
namespace {

RequestTemplate TemplateOf(const Target& target, const RunPlan& plan, bool last) {
  if (!plan.request.empty()) return RequestTemplate::FromText(plan.request, target);
  // Only who waits for the server's FIN has to ask for it.
  return RequestTemplate::Get(target, last && plan.close == CloseMode::kServer);
}

Traffic TrafficOf(const stack::Engine& engine) {
  const stack::Counters& c = engine.counters();
  return {.rx_bytes = c.rx_bytes,
          .tx_bytes = c.tx_bytes,
          .segments = engine.tcp_counters().in_segs + engine.tcp_counters().out_segs};
}

}  // namespace

LoadApp::TargetState::TargetState(const Target& t, const RunPlan& plan)
    : target(t), request(TemplateOf(t, plan, false)), last_request(TemplateOf(t, plan, true)) {}

LoadApp::LoadApp(const RunPlan& plan, const Pattern& pattern, LiveRun& live)
    : plan_(plan),
      pattern_(pattern),
      live_(live),
      next_target_(plan.targets, plan.rank.index),
      next_exchange_(plan.mix, plan.rank.index),
      flows_(plan.open_limit()),
      phase_limits_{plan.timeouts.connect, plan.timeouts.first_byte, plan.timeouts.last_byte,
                    plan.think, plan.timeouts.close} {
  for (const Target& target : plan.targets) {
    targets_.emplace_back(target, plan);
    if (target.http()) readers_.resize(flows_.size());
  }
  free_.reserve(flows_.size());
  for (auto i = static_cast<uint32_t>(flows_.size()); i > 0; --i) free_.push_back(i - 1);
  if (plan_.open_loop()) {
    schedule_.emplace(plan_.rate_per_s, plan_.arrival, plan_.ramp, plan_.rank, plan_.seed);
  }
  if (plan_.held_requests_per_s > 0) {
    held_schedule_.emplace(plan_.held_requests_per_s, plan_.arrival, plan_.ramp, plan_.rank,
                           plan_.seed + 0x9e37'79b9'7f4a'7c15);
  }
}

void LoadApp::OnPoll(stack::Engine& engine, Instant now) {
  now_ = now;
  if (!begun_once_) {
    begun_once_ = true;
    begun_ = now;
  }
  Expire(engine);
  switch (stage_) {
    case LoadStage::kProbing:
      Probe(engine);
      break;
    case LoadStage::kHolding:
      Hold(engine);
      break;
    case LoadStage::kLeading:
    case LoadStage::kMeasuring:
      Run(engine);
      break;
    case LoadStage::kDraining:
      Drain(engine);
      break;
    case LoadStage::kDone:
      return;
  }
  if (now >= next_publish_ || stage_ == LoadStage::kDone) Publish(engine);
}

// One connection to each target in turn, reset as soon as it is open. It counts only when it ends
// the run: behind an address that ARP is still asking for, all but a few SYNs of a run would be
// dropped and come again a second later.
void LoadApp::Probe(stack::Engine& engine) {
  if (engine.host_v6().address_state() == stack::AddressState::kTentative) return;
  if (live_.stop.load(std::memory_order_relaxed)) return EndWindow();
  if (probed_ == targets_.size()) {
    stage_ = LoadStage::kHolding;
    return Hold(engine);
  }
  if (probe_ != Flow::kNone) {
    // --timeout connect=0 does not mean that we ask for ever.
    if (now_ - begun_ < kProbeFor) return;
    return Fail(stack::Socket(&engine, flows_[probe_].id), probe_, LoadFailure::kSynTimeout);
  }
  if (now_ < next_probe_) return;
  probe_ = Take(now_);
  flows_[probe_].probe = true;
  const std::optional<LoadFailure> failure = Open(engine, probe_, probed_);
  if (failure) OnProbeOver(*failure);
}

void LoadApp::OnProbeOver(LoadFailure failure) {
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
  result_.missing_target = static_cast<int>(probed_);
  result_.missing_why = failure;
  result_.counts.offered = result_.counts.started = 1;
  ++result_.counts.failures[failure];
  ++finished_failed_;
  EndWindow();
}

void LoadApp::Hold(stack::Engine& engine) {
  const bool stopped = live_.stop.load(std::memory_order_relaxed);
  // A held connection that failed is not tried again: its failure is counted.
  if ((held_tried_ == plan_.hold && held_opening_ == 0) || stopped) return BeginClock();
  for (int i = 0; i < kStartsPerPollMax; ++i) {
    if (held_tried_ == plan_.hold || held_opening_ == kHeldOpeningMax) return;
    const uint32_t index = Take(now_);
    flows_[index].held = true;
    flows_[index].measured = true;
    const auto target = static_cast<uint32_t>(next_target_.Next());
    const std::optional<LoadFailure> failure = Open(engine, index, target);
    if (failure == LoadFailure::kNoMemory) {
      ++result_.counts.put_off;
      return Give(index);
    }
    ++held_tried_;
    if (failure) {
      Count(flows_[index], *failure);
      Give(index);
    } else {
      ++held_opening_;
    }
  }
}

void LoadApp::BeginClock() {
  start_ = now_;
  measure_from_ = start_ + plan_.lead();
  end_ = plan_.duration == Duration() ? Instant::Never() : start_ + plan_.length();
  result_.window_start = measure_from_;
  stage_ = LoadStage::kLeading;
}

void LoadApp::Run(stack::Engine& engine) {
  if (stage_ == LoadStage::kLeading && now_ >= measure_from_) {
    stage_ = LoadStage::kMeasuring;
    traffic_before_ = TrafficOf(engine);
  }
  // With a count the window lasts until the last of them is over.
  const bool over = now_ >= end_ || live_.stop.load(std::memory_order_relaxed) ||
                    (AllStarted() && open() == held_open_ && !held_schedule_);
  if (schedule_) {
    StartScheduled(engine);
  } else {
    if (!over) StartClosedLoop(engine);
  }
  if (held_schedule_) RequestOnHeld(engine);
  if (!over) return;
  if (stage_ == LoadStage::kMeasuring) result_.traffic = TrafficOf(engine) - traffic_before_;
  EndWindow();
}

void LoadApp::StartScheduled(stack::Engine& engine) {
  for (int i = 0; i < kStartsPerPollMax && !AllStarted(); ++i) {
    const Instant intended = start_ + schedule_->next();
    if (intended > now_ || intended >= end_) return;
    if (!Start(engine, intended)) return;
    schedule_->Advance();
  }
}

void LoadApp::StartClosedLoop(stack::Engine& engine) {
  for (int i = 0; i < kStartsPerPollMax && !AllStarted(); ++i) {
    if (open() - held_open_ >= plan_.concurrency) return;
    if (!Start(engine, now_)) return;
  }
}

// Starts one connection, or counts its failure. False when it has to be put off.
bool LoadApp::Start(stack::Engine& engine, Instant intended) {
  if (free_.size() <= 1) {  // one is the probe's
    ++result_.counts.put_off;
    return false;
  }
  const uint32_t index = Take(intended);
  Flow& flow = flows_[index];
  flow.measured = Measured(intended);
  const auto target = static_cast<uint32_t>(next_target_.Next());
  const std::optional<LoadFailure> failure = Open(engine, index, target);
  if (failure == LoadFailure::kNoMemory) {
    ++result_.counts.put_off;
    Give(index);
    return false;
  }
  ++started_;
  if (flow.measured) ++result_.counts.offered;
  RecordLag(flow.measured, intended);
  if (failure) {
    Count(flow, *failure);
    Give(index);
  } else if (flow.measured) {
    ++result_.counts.started;
  }
  return true;
}

// The request that has waited longest goes to the connection that has been idle longest.
void LoadApp::RequestOnHeld(stack::Engine& engine) {
  for (int i = 0; i < kStartsPerPollMax; ++i) {
    const Instant intended = start_ + held_schedule_->next();
    if (intended > now_ || intended >= end_) return;
    const uint32_t index = idle_.first();
    if (index == Flow::kNone) return;
    flows_[index].requests_left = 1;
    RecordLag(Measured(intended), intended);
    SendRequest(stack::Socket(&engine, flows_[index].id), index, intended);
    held_schedule_->Advance();
  }
}

// The window is over: what was meant to start in it and did not has failed.
void LoadApp::EndWindow() {
  if (stage_ == LoadStage::kMeasuring) {
    const Instant end = std::min(end_, now_);
    result_.window = end - measure_from_;
    if (schedule_) {
      for (; start_ + schedule_->next() < end && !AllStarted(); schedule_->Advance()) {
        ++started_;
        ++finished_failed_;
        if (!Measured(start_ + schedule_->next())) continue;
        ++result_.counts.offered;
        ++result_.counts.failures[LoadFailure::kNotStarted];
      }
    }
    if (held_schedule_) {
      for (; start_ + held_schedule_->next() < end; held_schedule_->Advance()) {
        if (Measured(start_ + held_schedule_->next())) ++result_.counts.requests_offered;
      }
    }
    result_.counts.held = held_open_;
  }
  stage_ = LoadStage::kDraining;
  begun_ = now_;
}

// What is under way may still end well; held connections are reset, they have done their part.
void LoadApp::Drain(stack::Engine& engine) {
  const bool give_up = now_ - begun_ >= plan_.drain;
  for (int i = 0; i < kDrainStep && open() > 0 && (give_up || held_open_ > 0); ++i) {
    const uint32_t index = drain_at_;
    drain_at_ = (drain_at_ + 1) % static_cast<uint32_t>(flows_.size());
    Flow& flow = flows_[index];
    if (flow.phase == FlowPhase::kFree) continue;
    if (!give_up && flow.phase != FlowPhase::kIdle) continue;
    const stack::Socket socket(&engine, flow.id);
    flow.held ? socket.Abort() : Fail(socket, index, LoadFailure::kUnfinished);
  }
  if (open() == 0) stage_ = LoadStage::kDone;
}

void LoadApp::Expire(stack::Engine& engine) {
  constexpr std::array<LoadFailure, kTimedPhases> kFailures{
      LoadFailure::kSynTimeout, LoadFailure::kFirstByteTimeout, LoadFailure::kLastByteTimeout,
      LoadFailure::kNone, LoadFailure::kCloseTimeout};
  int expired = 0;
  for (size_t i = 0; i < kTimedPhases; ++i) {
    while (waiting_[i].first() != Flow::kNone && expired < kExpiriesPerPollMax) {
      const uint32_t index = waiting_[i].first();
      Flow& flow = flows_[index];
      if (flow.deadline > now_) break;
      ++expired;
      const stack::Socket socket(&engine, flow.id);
      if (flow.phase == FlowPhase::kThinking) {
        SendRequest(socket, index, flow.deadline);
      } else {
        Fail(socket, index, kFailures[i]);
      }
    }
  }
}

Instant LoadApp::NextDeadline() const {
  if (!begun_once_) return Instant();
  if (stage_ == LoadStage::kDone) return Instant::Never();
  Instant next = Instant::Never();
  for (const PhaseQueue& queue : waiting_) {
    if (queue.first() != Flow::kNone) next = std::min(next, flows_[queue.first()].deadline);
  }
  switch (stage_) {
    case LoadStage::kProbing:
      return std::min(next, probe_ == Flow::kNone ? next_probe_ : begun_ + kProbeFor);
    case LoadStage::kHolding:
      return held_opening_ == kHeldOpeningMax || held_tried_ == plan_.hold ? next : now_;
    case LoadStage::kLeading:
    case LoadStage::kMeasuring:
      next = std::min({next, end_, stage_ == LoadStage::kLeading ? measure_from_ : end_});
      if (!schedule_ && !AllStarted() && open() - held_open_ < plan_.concurrency) return now_;
      if (schedule_ && free_.size() > 1) next = std::min(next, start_ + schedule_->next());
      if (held_schedule_ && idle_.first() != Flow::kNone) {
        next = std::min(next, start_ + held_schedule_->next());
      }
      return next;
    default:
      return std::min(next, std::max(now_, begun_ + plan_.drain));
  }
}

void LoadApp::Publish(const stack::Engine& engine) {
  constexpr auto kRelaxed = std::memory_order_relaxed;
  next_publish_ = now_ + Duration::Milliseconds(1);
  live_.started.store(started_, kRelaxed);
  live_.ok.store(finished_ok_, kRelaxed);
  live_.failed.store(finished_failed_, kRelaxed);
  live_.requests_ok.store(requests_ok_, kRelaxed);
  live_.open.store(open(), kRelaxed);
  live_.held.store(held_open_, kRelaxed);
  live_.retransmits.store(engine.tcp_counters().retrans_segs, kRelaxed);
  live_.intervals.FlipIfAsked();
  live_.stage.store(stage_, std::memory_order_release);
}

}  // namespace millrace::apps

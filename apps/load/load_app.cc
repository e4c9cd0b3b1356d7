// load/load_app.cc - what the generator does in every poll, and while the clock runs. The stages
// before and after that are in load_app_stages.h, what happens on one connection in
// load_app_flow.h.

#include "apps/load/load_app.h"

#include <algorithm>

#include "apps/load/load_app_flow.h"
#include "apps/load/load_app_stages.h"

namespace millrace::apps {
namespace {

RequestTemplate TemplateOf(const Target& target, const RunPlan& plan, bool last) {
  if (!plan.request.empty()) return RequestTemplate::FromText(plan.request, target);
  // Only who waits for the server's FIN has to ask for it.
  return RequestTemplate::Get(target, last && plan.close == CloseMode::kServer);
}

uint64_t NsBetween(Instant start, Instant end) {
  return static_cast<uint64_t>(std::max<int64_t>(0, (end - start).ns()));
}

}  // namespace

template <class N>
LoadAppOf<N>::TargetState::TargetState(const Target& t, const RunPlan& plan)
    : target(t), request(TemplateOf(t, plan, false)), last_request(TemplateOf(t, plan, true)) {}

template <class N>
LoadAppOf<N>::LoadAppOf(const RunPlan& plan, const Pattern& pattern, LiveRun& live)
    : plan_(plan),
      pattern_(pattern),
      live_(live),
      next_target_(plan.targets, plan.rank.index),
      next_exchange_(plan.mix, plan.rank.index),
      flows_(plan.open_limit()),
      phase_limits_{plan.timeouts.connect, plan.timeouts.first_byte, plan.timeouts.last_byte,
                    plan.think, plan.timeouts.close},
      gate_(plan.arrival.burst) {
  // What is not answered is over at once: without a pause all requests of a connection would be
  // made in one poll, which gets long.
  const bool unanswered = std::any_of(plan.mix.begin(), plan.mix.end(),
                                      [](const Exchange& e) { return e.response_bytes == 0; });
  Duration& think = phase_limits_[static_cast<size_t>(FlowPhase::kThinking)];
  if (unanswered) think = std::max(think, Duration::Nanoseconds(1));
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

template <class N>
void LoadAppOf<N>::OnPoll(Engine& engine, Instant now) {
  now_ = N::Now(engine, now);
  if (!begun_once_) {
    begun_once_ = true;
    begun_ = now_;
  }
  if (recorder_ != nullptr) recorder_->Settle();
  Expire(engine);
  switch (stage_) {
    case LoadStage::kProbing:
      Probe(engine);
      break;
    case LoadStage::kHolding:
      Hold(engine);
      break;
    case LoadStage::kReady:
      AwaitStart();
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
  if (now_ >= next_publish_ || stage_ == LoadStage::kDone) Publish(engine);
}

template <class N>
void LoadAppOf<N>::Run(Engine& engine) {
  if (stage_ == LoadStage::kLeading && now_ >= measure_from_) {
    stage_ = LoadStage::kMeasuring;
    traffic_before_ = N::TrafficOf(engine);
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
  if (stage_ == LoadStage::kMeasuring) result_.traffic = N::TrafficOf(engine) - traffic_before_;
  EndWindow();
}

template <class N>
void LoadAppOf<N>::StartScheduled(Engine& engine) {
  for (int i = 0; i < kScheduledPerPollMax && !AllStarted(); ++i) {
    const Instant intended = start_ + schedule_->next();
    if (intended > now_ || intended >= end_) return;
    if (KeptBack(engine, intended) || !Start(engine, intended)) return;
    schedule_->Advance();
  }
}

// What could not be sent now, or answered, is better off in the schedule, where it costs nothing.
// Its latency counts from the intended start all the same.
template <class N>
bool LoadAppOf<N>::KeptBack(const Engine& engine, Instant intended) {
  if (N::IsFull(engine)) {
    full_.Wait(intended, now_);
    full_why_ = LoadFailure::kPortFull;
    return true;
  }
  if (!gate_.Hold(intended, now_)) return false;
  full_.CatchUp(intended, now_);
  return true;
}

template <class N>
void LoadAppOf<N>::StartClosedLoop(Engine& engine) {
  for (int i = 0; i < kStartsPerPollMax && !AllStarted(); ++i) {
    if (open() - held_open_ >= plan_.concurrency) return;
    now_ = N::Now(engine, now_);
    if (!Start(engine, now_)) return;
  }
}

// Starts one connection, or counts its failure. False when it has to be put off.
template <class N>
bool LoadAppOf<N>::Start(Engine& engine, Instant intended) {
  now_ = N::Now(engine, now_);
  if (free_.size() <= 1) {  // one is the probe's
    ++result_.counts.put_off;
    full_.Wait(intended, now_);
    full_why_ = LoadFailure::kOpenMax;
    return false;
  }
  const uint32_t index = Take(intended);
  Flow& flow = flows_[index];
  flow.measured = Measured(intended);
  const auto target = static_cast<uint32_t>(next_target_.Next());
  const std::optional<LoadFailure> failure = Open(engine, index, target);
  // A schedule goes on without a port, a closed loop waits for one.
  const bool later =
      failure == LoadFailure::kNoMemory || (failure == LoadFailure::kNoSourcePort && !schedule_);
  if (later) {
    ++result_.counts.put_off;
    Give(index);
    return false;
  }
  ++started_;
  if (flow.measured) {
    ++counted_;
    ++result_.counts.offered;
    const bool port = full_why_ == LoadFailure::kPortFull;
    RecordLag(intended, full_, port ? &result_.counts.port_waited : &result_.counts.waited);
  }
  if (failure) {
    Count(flow, *failure);
    Give(index);
  } else if (flow.measured) {
    ++result_.counts.started;
  }
  return true;
}

// The request that has waited longest goes to the connection that has been idle longest.
template <class N>
void LoadAppOf<N>::RequestOnHeld(Engine& engine) {
  for (int i = 0; i < kStartsPerPollMax; ++i) {
    now_ = N::Now(engine, now_);
    const Instant intended = start_ + held_schedule_->next();
    if (intended > now_ || intended >= end_) return;
    const uint32_t index = idle_.first();
    if (index == Flow::kNone) return busy_.Wait(intended, now_);
    flows_[index].requests_left = 1;
    if (Measured(intended)) RecordLag(intended, busy_, &result_.counts.requests_waited);
    SendRequest(Socket(&engine, flows_[index].id), index, intended);
    held_schedule_->Advance();
  }
}

template <class N>
void LoadAppOf<N>::Expire(Engine& engine) {
  constexpr std::array<LoadFailure, kTimedPhases> kFailures{
      LoadFailure::kSynTimeout, LoadFailure::kFirstByteTimeout, LoadFailure::kLastByteTimeout,
      LoadFailure::kNone, LoadFailure::kCloseTimeout};
  int expired = 0;
  for (size_t i = 0; i < kTimedPhases; ++i) {
    while (waiting_[i].first() != Flow::kNone && expired < kExpiriesPerPollMax) {
      const uint32_t index = waiting_[i].first();
      Flow& flow = flows_[index];
      if (flow.deadline > now_) break;
      now_ = N::Now(engine, now_);
      ++expired;
      const Socket socket(&engine, flow.id);
      if (flow.phase == FlowPhase::kThinking) {
        SendRequest(socket, index, flow.deadline);
      } else {
        Fail(socket, index, kFailures[i]);
      }
    }
  }
}

template <class N>
void LoadAppOf<N>::RecordLag(Instant intended, const OthersTime& others, uint64_t* waited) {
  if (others.Covers(intended)) ++*waited;
  if (!plan_.timed) return;
  const uint64_t lag_ns = NsBetween(intended, now_);
  result_.lag_ns.Record(lag_ns);
  result_.own_lag_ns.Record(static_cast<uint64_t>(others.OwnLag(intended, now_).ns()));
  uint64_t& worst_ns = live_.intervals.current().worst_lag_ns;
  worst_ns = std::max(worst_ns, lag_ns);
}

template <class N>
void LoadAppOf<N>::RecordLatency(const Flow& flow, LatencyState state, Instant intended,
                                 Instant started) {
  // A request counts by its own start: one of a connection that lasts may be in the window though
  // the connection began before it, and behind its end though it began inside.
  const bool of_request = state == LatencyState::kFirstByte || state == LatencyState::kLastByte;
  if (!plan_.timed || !(of_request ? Measured(intended) : flow.measured)) return;
  live_.intervals.current().intended[state].Record(NsBetween(intended, now_));
  result_.actual[state].Record(NsBetween(started, now_));
}

template <class N>
void LoadAppOf<N>::Count(const Flow& flow, LoadFailure failure) {
  const bool ok = failure == LoadFailure::kNone;
  if (flow.held && ok) {  // it ends with the run, and is in no interval
    ++result_.counts.ok;
    ++result_.counts.held_ok;
    return;
  }
  ++(ok ? finished_ok_ : finished_failed_);
  if (!flow.measured && !flow.held) return;
  ++(ok ? result_.counts.ok : result_.counts.failures[failure]);
}

template <class N>
Instant LoadAppOf<N>::NextDeadline() const {
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
      if (held_opening_ == 0) return now_;
      return held_opening_ == kHeldOpeningMax || held_tried_ == plan_.hold ? next : now_;
    case LoadStage::kReady:
      return std::min(next,
                      Instant::FromNanoseconds(live_.start_at_ns.load(std::memory_order_relaxed)));
    case LoadStage::kLeading:
    case LoadStage::kMeasuring:
      next = std::min({next, end_, stage_ == LoadStage::kLeading ? measure_from_ : end_});
      if (!schedule_ && !AllStarted() && open() - held_open_ < plan_.concurrency) return now_;
      // What waits for others has nothing to do but notice when it began to.
      if (schedule_) {
        const Instant due = start_ + schedule_->next();
        if (gate_.Holds(due, now_)) {
          next = std::min(next, gate_.silent_from());
        } else if (free_.size() > 1 || !full_.Covers(due)) {
          next = std::min(next, due);
        }
      }
      if (held_schedule_) {
        const Instant due = start_ + held_schedule_->next();
        if (idle_.first() != Flow::kNone || !busy_.Covers(due)) next = std::min(next, due);
      }
      return next;
    default:
      return std::min(next, std::max(now_, begun_ + plan_.drain));
  }
}

template <class N>
void LoadAppOf<N>::Publish(const Engine& engine) {
  constexpr auto kRelaxed = std::memory_order_relaxed;
  next_publish_ = now_ + Duration::Milliseconds(1);
  if (stage_ == LoadStage::kLeading || stage_ == LoadStage::kMeasuring) gate_.Sample();
  live_.started.store(started_, kRelaxed);
  live_.ok.store(finished_ok_, kRelaxed);
  live_.failed.store(finished_failed_, kRelaxed);
  live_.requests_ok.store(requests_ok_, kRelaxed);
  live_.open.store(open(), kRelaxed);
  live_.held.store(held_open_, kRelaxed);
  live_.retransmits.store(N::RetransmitsOf(engine), kRelaxed);
  live_.intervals.FlipIfAsked();
  live_.stage.store(stage_, std::memory_order_release);
}

template class LoadAppOf<EngineNetwork>;
template class LoadAppOf<KernelNetwork>;

}  // namespace millrace::apps

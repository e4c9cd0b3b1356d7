// tcp/bbr_recovery.cc - what joins BBR and a connection's recovery record: the model is told what
// was delivered and lost, and the window follows it.

#include <algorithm>

#include "millrace/tcp/bbr.h"
#include "millrace/tcp/loss_recovery.h"

namespace millrace::tcp {
namespace {

void SetWindow(Tcb& tcb, uint32_t cwnd, const Env& env) {
  tcb.congestion.cwnd = std::clamp<uint32_t>(
      cwnd, tcb.snd_mss, std::max<uint32_t>(tcb.snd_mss, env.config.congestion_window_max_bytes));
}

// After what was delivered and lost is known.
void UpdateModel(Tcb& tcb, Recovery& r, uint32_t rtt_us, const Env& env) {
  const MinRtt& min_rtt = r.rack.min_rtt();
  const Bbr::Ack ack{.now_us = env.us,
                     .in_flight = PipeOf(tcb, r),
                     .rtt_us = rtt_us,
                     .min_rtt_us = min_rtt.valid() ? min_rtt.us() : 0,
                     .mss = tcb.snd_mss,
                     .in_recovery = tcb.Has(kFastRecovery | kTimeoutRecovery)};
  SetWindow(tcb, r.congestion.bbr->OnAck(ack, tcb.congestion.cwnd), env);
}

}  // namespace

void TakeModel(const Tcb& tcb, Recovery& r, Env& env) {
  if (!tcb.Has(kSackOn)) return;
  const uint32_t index = env.recovery_pool.bbrs.Take();
  if (index == kNoIndex) {
    ++env.counters.recovery_full;
    return;
  }
  Bbr& bbr = env.recovery_pool.bbrs[index];
  // Waits of different lengths need no secret, only that connections differ.
  bbr = Bbr(tcb.snd_mss, Congestion::InitialWindow(tcb.snd_mss, env.config), tcb.rtt.srtt_us(),
            env.us, uint64_t{tcb.iss.value()} << 32 | tcb.irs.value());
  r.congestion.bbr = &bbr;
}

void NoteLosses(Tcb& tcb, Recovery& r, Env& env) {
  if (r.board.lost_bytes() == 0) return;
  r.board.ForEach(env.recovery_pool.runs, [&](SentRun& run) {
    if (!run.Has(kRunLost) || run.Has(kRunLossNoted | kRunRetransmitted)) return true;
    run.bits |= kRunLossNoted;
    const SendMark& mark = env.recovery_pool.runs.mark(env.recovery_pool.runs.IndexOf(run));
    r.congestion.bbr->OnLost(run, mark, tcb.congestion.cwnd, env.us);
    return true;
  });
}

void FollowModel(Tcb& tcb, Recovery& r, uint32_t rtt_us, Env& env) {
  const bool recovering = tcb.Has(kFastRecovery | kTimeoutRecovery);
  if (recovering && tcb.snd_una >= tcb.recover) EndRecovery(tcb, r);
  if (!tcb.Has(kFastRecovery | kTimeoutRecovery) && r.board.unrepaired_bytes() > 0) {
    EnterFastRecovery(tcb, r, env, 0, 0);
  }
  NoteLosses(tcb, r, env);
  UpdateModel(tcb, r, rtt_us, env);
}

void FollowModelAlone(Tcb& tcb, Recovery& r, uint32_t acked, uint32_t rtt_us, Env& env) {
  DeliveryRate& rate = r.congestion.bbr->rate();
  rate.BeginAck();
  // Nothing followed it, so the application, or the peer's window, was the limit.
  SentRun run{};
  run.end = tcb.snd_una;
  run.begin = tcb.snd_una - acked;
  run.sent_us = env.us - rtt_us;
  SendMark mark = *rate.OnSent(0, acked, run.sent_us);
  mark.app_limited = true;
  rate.OnDelivered(run, mark, env.us);
  UpdateModel(tcb, r, rtt_us, env);
}

void NoteSendLimit(Tcb& tcb, Recovery& r) {
  Bbr& bbr = *r.congestion.bbr;
  const uint32_t pipe = PipeOf(tcb, r);
  const bool all_sent = tcb.rtx_nxt >= tcb.data_end() && tcb.rtx_nxt >= tcb.snd_nxt &&
                        r.board.unrepaired_bytes() == 0;
  bbr.NoteLimit(!all_sent && pipe + tcb.snd_mss > tcb.congestion.cwnd);
  // CheckIfApplicationLimited. The draft asks when the application writes, an ACK comes or a timer
  // expires; what holds when all was sent holds until the first of them.
  if (all_sent && pipe < tcb.congestion.cwnd) bbr.rate().MarkAppLimited(pipe);
}

}  // namespace millrace::tcp

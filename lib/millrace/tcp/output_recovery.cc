// tcp/output_recovery.cc - what a connection with a recovery record sends beyond the plain order:
// repairs, probes, limited transmit, SACK blocks (RFC 6675, 8985, 3042, 5681 4.1, 2883).

#include <algorithm>
#include <span>

#include "millrace/tcp/connection.h"
#include "millrace/tcp/loss_recovery.h"

namespace millrace::tcp {
namespace {

// What a scoreboard knows to be lost, before anything new (RFC 6675 section 4, NextSeg). False:
// nothing.
bool SendRepair(Tcb& tcb, Recovery& r, bool idle, Env& env, Outbox& out) {
  Repair repair = NextRepair(tcb, r, idle, env);
  if (repair.length == 0) return false;
  const SeqNum edge = tcb.snd_una + tcb.snd_wnd;
  if (repair.seq >= edge) return false;
  repair.length = std::min(repair.length, edge.Since(repair.seq));
  const SeqNum end = repair.seq + repair.length;
  const bool fin = end > tcb.data_end();
  SendText(tcb, env, out, repair.seq, repair.length - (fin ? 1 : 0), fin);
  return true;
}

// RFC 8985 7.3: "If an unsent segment exists AND the receive window allows new data to be sent",
// that; "Else: retransmit the highest sequence segment".
void SendTailProbe(Tcb& tcb, Recovery& r, Env& env, Outbox& out) {
  r.probe_due = false;
  if (tcb.snd_una == tcb.snd_nxt) return;
  ++env.counters.loss_probes;
  const SeqNum before = tcb.snd_nxt;
  // Also what Nagle or a cork holds back, as Linux does.
  const uint32_t wishes = tcb.bits & (kNoDelay | kCork);
  tcb.bits = (tcb.bits | kNoDelay) & ~uint32_t{kCork};
  const bool sent = SendNext(tcb, env, out, 0xFFFF'FFFF);
  tcb.bits = (tcb.bits & ~uint32_t{kNoDelay | kCork}) | wishes;
  if (!sent) {
    const SeqNum data_end = Min(tcb.data_end(), tcb.snd_nxt);
    const bool fin = tcb.snd_nxt > data_end;
    // The segment sent last may have been shorter, a FIN alone: it begins with its run.
    const SeqNum begin =
        Min(Max(tcb.snd_una, r.board.last_awaited_begin(env.recovery_pool.runs)), data_end);
    const uint32_t length = std::min(data_end.Since(begin), uint32_t{tcb.snd_mss});
    SendText(tcb, env, out, data_end - length, length, fin);
  }
  r.probe = {.end_seq = tcb.snd_nxt, .in_flight = true, .is_retrans = tcb.snd_nxt == before};
  ArmLossTimer(tcb, r, true, env);
}

// Whether the gate that pacing or ECE has put before the next segment is open; if not, a timer is
// set for when it will be.
bool IsGateOpen(Tcb& tcb, Recovery& r, const Env& env) {
  if (!r.gated) return true;
  const int32_t wait_us = static_cast<int32_t>(r.gate_us - env.us);
  if (wait_us <= 0) {
    r.gated = false;
    return true;
  }
  const uint32_t tick = env.tick + TicksOf(Duration::Microseconds(wait_us));
  if (!tcb.timers.IsArmed(Timer::kMemory) ||
      TickReached(tick, tcb.timers.at[static_cast<int>(Timer::kMemory)])) {
    tcb.timers.Set(Timer::kMemory, tick);
  }
  return false;
}

constexpr uint32_t kPacingGapMaxUs = 1'000'000;  // whatever a model says of a path

// A segment of `length` octets has gone: the next one may follow when its share of the round trip
// is over. The rate is above cwnd per SRTT, twice in slow start and 5/4 later as Linux, so that
// pacing does not limit the window. Credit of one tick makes up for the timer's lateness. BBR has a
// rate of its own, whatever the configuration says of pacing.
void Pace(Tcb& tcb, Recovery& r, uint32_t length, Env& env) {
  uint64_t span_ns;
  if (const Bbr* const bbr = r.congestion.bbr; bbr != nullptr) {
    span_ns = uint64_t{length} * 1'000'000'000 / bbr->pacing_rate();
  } else if (env.config.pacing && tcb.rtt.has_sample()) {
    const uint64_t percent = tcb.congestion.InSlowStart() ? 200 : 125;
    span_ns = uint64_t{length} * tcb.rtt.srtt_us() * 100'000 / (tcb.congestion.cwnd * percent);
  } else {
    return;
  }
  const uint32_t credit_from = env.us - static_cast<uint32_t>(kTick.us());
  // A gate that was left half an hour ago may look as if it were to come: none is that far ahead.
  if (r.gate_us - credit_from > kPacingGapMaxUs + kTick.us()) r.gate_us = credit_from;
  span_ns += r.gate_ns;
  r.gate_us += static_cast<uint32_t>(std::min<uint64_t>(span_ns / 1000, kPacingGapMaxUs));
  r.gate_ns = static_cast<uint16_t>(span_ns % 1000);
  r.gated = static_cast<int32_t>(r.gate_us - env.us) > 0;
  if (r.gated) ++env.counters.paced;
}

}  // namespace

SendProgress SendWithRecord(Tcb& tcb, Env& env, Outbox& out) {
  Recovery& r = RecordOf(tcb, env);
  if (tcb.snd_una == tcb.snd_nxt && tcb.send.size_bytes() > 0 &&
      env.tick - r.sent_tick > TicksOf(RetransmitTimeout(tcb, env.config))) {
    if (env.config.restart_after_idle) {
      RestartAfterIdle(tcb.congestion, r.congestion, tcb.snd_mss, env.config);
    }
  }
  Bbr* const bbr = r.congestion.bbr;
  if (bbr != nullptr && tcb.flight() == 0 && tcb.send.size_bytes() > 0) {
    tcb.congestion.cwnd = bbr->OnRestart(tcb.congestion.cwnd, env.us);
  }
  size_t before = out.size();
  for (;;) {
    if (out.size() > before) {
      r.sent_tick = env.tick;
      Pace(tcb, r, out.segments().back().payload_length, env);
    }
    if (out.room() == 0) return SendProgress::kMore;
    before = out.size();
    if (!IsGateOpen(tcb, r, env)) break;
    if (r.board.empty()) {
      uint32_t cwnd = tcb.congestion.cwnd;
      if (r.limited_transmit) {
        // RFC 3042: "the amount of outstanding data would remain less than or equal to the
        // congestion window plus 2 segments".
        cwnd += uint32_t{tcb.duplicate_acks} * tcb.snd_mss;
      }
      if (!SendNext(tcb, env, out, cwnd)) break;
      const bool beyond = tcb.flight() > tcb.congestion.cwnd;
      if (r.limited_transmit && beyond) ++env.counters.limited_transmits;
      continue;
    }
    if (r.probe_due) {
      SendTailProbe(tcb, r, env, out);
      continue;
    }
    // Behind a zero-window probe the ordinary order comes first (rtx_nxt); F-RTO wants new data.
    const bool new_first = tcb.rtx_nxt < tcb.snd_nxt || r.frto == Frto::kNewSent;
    if (new_first && SendNext(tcb, env, out, WindowOf(tcb, r))) continue;
    if (SendRepair(tcb, r, false, env, out)) continue;
    if (!new_first && SendNext(tcb, env, out, WindowOf(tcb, r))) continue;
    if (!SendRepair(tcb, r, true, env, out)) break;
  }
  r.limited_transmit = false;
  if (bbr != nullptr) NoteSendLimit(tcb, r);
  return SendProgress::kDone;
}

// RFC 2883 section 4: "A D-SACK block is only used to report a duplicate contiguous sequence of
// data received by the receiver in the most recent packet", once, before the other blocks.
void AddSack(Tcb& tcb, Env& env, TxSegment& segment) {
  std::span<SackBlock> blocks = segment.sack;
  if (tcb.Has(kRecord)) {
    Recovery& r = RecordOf(tcb, env);
    if (r.duplicate_due) {
      r.duplicate_due = false;
      blocks[0] = r.duplicate;
      blocks = blocks.subspan(1);
      ++env.counters.dsack_sent;
    }
  }
  const size_t taken = segment.sack.size() - blocks.size();
  // The duplicate ACKs of one burst are each about another of its segments, so that none of several
  // holes is left out.
  const uint32_t newer = (tcb.bits & kDuplicateAckMask) / kDuplicateAckUnit;
  segment.sack_count =
      static_cast<uint8_t>(taken + tcb.receive.FillSack(env.receive_pool, blocks, newer));
  if (!tcb.receive.has_gap()) tcb.Clear(kSackDue);
}

}  // namespace millrace::tcp

// tcp/recovery_ack.cc - what an acknowledgment does to a tracked connection: SACK (RFC 2018, 2883),
// loss detection (RFC 8985, 6675), PRR (RFC 9937), undo (RFC 5682, 3522, 4015).

#include <algorithm>

#include "millrace/tcp/loss_recovery.h"
#include "millrace/tcp/recovery.h"

namespace millrace::tcp {
namespace {

using wire::SackBlock;
using wire::Segment;

// What an acknowledgment reported.
struct Delivered {
  uint32_t bytes = 0;     // that were not reported before
  uint32_t longest = 0;   // text of a segment
  uint32_t rtt_us = 0;    // of the octets sent last, among those sent once; 0: none
  bool sacked = false;    // a SACK block told something new
  bool original = false;  // octets arrived that were sent once, before `recover`
  bool dsack = false;
  SeqNum dsack_end;
};

// True when the timestamp echo is older than the last transmission of the piece: then it was an
// earlier copy that arrived.
bool EchoBeforeSent(const Tcb& tcb, const Segment& segment, const SentRun& piece, const Env& env) {
  if (!tcb.Has(kTimestampsOn) || !segment.HasOption(wire::kTimestampsOption)) return false;
  // The timestamp clock's value then, or the one before: rounding must not make it later.
  constexpr uint32_t kTsTickUs = 1000;
  const uint32_t age_ts = (env.us - piece.sent_us) / kTsTickUs + 1;
  const uint32_t sent_ts = env.ts_clock + tcb.ts_offset - age_ts;
  return static_cast<int32_t>(segment.tsecr - sent_ts) < 0;
}

// Collects what arrived; a function object because acknowledging and SACKing both visit with it.
struct Collector {
  const Tcb& tcb;
  Recovery& r;
  const Segment& segment;
  const Env& env;
  Delivered& delivered;

  void operator()(const SentRun& piece, uint32_t run) const {
    if (r.congestion.bbr != nullptr) {
      r.congestion.bbr->rate().OnDelivered(piece, env.recovery_pool.runs.mark(run), env.us);
    }
    delivered.bytes += piece.length();
    const uint32_t segment_max = piece.segment == 1 ? r.longest_sent : piece.segment;
    delivered.longest = std::max(delivered.longest, std::min(piece.length(), segment_max));
    const bool repeated = piece.Has(kRunRepeated);
    if (!repeated) {
      delivered.rtt_us = std::max<uint32_t>(env.us - piece.sent_us, 1);
      if (piece.end <= tcb.recover) delivered.original = true;
    }
    r.rack.OnDelivered(piece, repeated && EchoBeforeSent(tcb, segment, piece, env), env.us);
  }
};

// RFC 2883 section 4: the first block is a D-SACK when it lies below the cumulative ACK or inside
// the second block.
bool IsDsack(const Segment& segment, const SackBlock& first) {
  if (first.left >= first.right) return false;
  if (first.right <= segment.ack) return true;
  if (segment.sack_count < 2) return false;
  const SackBlock second = wire::LoadSackBlock(segment.sack, 1);
  return second.left <= first.left && first.right <= second.right;
}

void OnDsack(Recovery& r, const SackBlock& block, Delivered& delivered, Env& env) {
  ++env.counters.dsack_received;
  delivered.dsack = true;
  delivered.dsack_end = block.right;
  Undo& undo = r.undo;
  if (!undo.possible || block.left < undo.from || block.right > undo.repeated_end) return;
  undo.repeated_bytes -= std::min(undo.repeated_bytes, block.right.Since(block.left));
}

// SACK blocks after the cumulative ACK was taken. A block that cannot be true is ignored and
// counted: inverted, of octets never sent, or below SND.UNA without being a D-SACK.
void ReadSack(Tcb& tcb, Recovery& r, const Segment& segment, const Collector& collect, Env& env) {
  // RFC 2018 section 4 has the block of the latest segment first: backwards they are in the order
  // in which they came, and what overtook what is to be seen.
  for (uint32_t i = segment.sack_count; i-- > 0;) {
    const SackBlock block = wire::LoadSackBlock(segment.sack, i);
    if (i == 0 && IsDsack(segment, block)) {
      OnDsack(r, block, collect.delivered, env);
      continue;
    }
    const bool valid =
        block.left < block.right && block.left >= tcb.snd_una && block.right <= tcb.snd_nxt;
    if (!valid) {
      ++env.counters.sack_invalid;
      continue;
    }
    const uint32_t before = collect.delivered.bytes;
    // RFC 2018 section 5: the data sender "will turn on the SACKed bits for segments that have been
    // selectively acknowledged"; octets within one say nothing of the rest of it.
    if (!r.board.MarkSacked(block.left, block.right, env.config.sent_runs_max,
                            env.recovery_pool.runs, collect)) {
      ++env.counters.sack_not_believed;
    }
    if (collect.delivered.bytes != before) collect.delivered.sacked = true;
  }
}

// RFC 8985 7.4.1, TLP_process_ack. `advances`: SND.UNA moved.
void OnProbeAck(Tcb& tcb, Recovery& r, const Segment& segment, const Delivered& delivered,
                bool advances, Env& env) {
  TailProbe& probe = r.probe;
  if (!probe.in_flight || segment.ack < probe.end_seq) return;
  if (!probe.is_retrans || (delivered.dsack && delivered.dsack_end == probe.end_seq)) {
    probe.in_flight = false;  // new data, or both copies arrived
  } else if (segment.ack > probe.end_seq) {
    // "The TLP episode ended with the probe repairing a single loss": to be answered like any.
    probe.in_flight = false;
    ++env.counters.loss_probe_recovery;
    ReduceForProbe(tcb.congestion, r.congestion, tcb.snd_mss, tcb.snd_mss, env.us, env.config);
    r.cwr_due = tcb.Has(kEcnOn);
  } else if (!advances && !segment.HasOption(wire::kSackOption)) {
    probe.in_flight = false;  // a duplicate ACK: the original had arrived
  }
}

// RFC 6675 section 4, IsLost, of every run; and the duplicate ACKs of section 5 step 1.
void FindLossesBySack(Tcb& tcb, Recovery& r, Env& env) {
  Scoreboard& board = r.board;
  uint32_t above_bytes = board.sacked_bytes();
  uint32_t above_runs = board.sacked_runs();
  const bool head_lost = tcb.duplicate_acks >= Rack::kDupThresh;
  bool head = true;
  board.ForEach(env.recovery_pool.runs, [&](SentRun& run) {
    if (run.Has(kRunSacked)) {
      above_bytes -= run.length();
      --above_runs;
    } else if (!run.Has(kRunLost) &&
               (above_runs >= Rack::kDupThresh ||
                above_bytes > (Rack::kDupThresh - 1) * tcb.snd_mss || (head && head_lost))) {
      board.MarkLost(run);
    }
    head = false;
    return above_runs > 0 || head_lost;
  });
}

// RFC 5682 section 3 (SACK): after a time-out, did octets arrive that were not sent again? True:
// the time-out was spurious.
bool FrtoSaysSpurious(Tcb& tcb, Recovery& r, const Delivered& delivered, bool advances) {
  if (r.frto == Frto::kOff) return false;
  if (tcb.snd_una >= tcb.recover) {
    r.frto = Frto::kOff;  // step 2a: everything arrived at once, which tells nothing
    return false;
  }
  if (delivered.original) return true;
  if (r.frto == Frto::kHeadSent && advances && tcb.data_end() > tcb.snd_nxt) {
    r.frto = Frto::kNewSent;  // step 2b: new segments go before more retransmissions
  } else if (r.frto == Frto::kNewSent || delivered.sacked) {
    r.frto = Frto::kOff;  // step 3a: a real loss
  }
  return false;
}

bool IsSpurious(Tcb& tcb, Recovery& r, const Segment& segment, const Delivered& delivered,
                bool advances) {
  Undo& undo = r.undo;
  if (!undo.possible) return false;
  if (segment.Has(wire::kEce) && tcb.Has(kEcnOn)) {
    undo.possible = false;  // RFC 4015 section 3.1: congestion there was
    return false;
  }
  // RFC 3522 step (5): only "the first acceptable ACK that arrives".
  const bool older_echo = advances && EchoIsOlder(tcb, r, segment);
  if (advances) undo.has_retransmit_ts = false;
  // RFC 3708, by D-SACK: all that was repeated had arrived before.
  const bool all_duplicates = undo.repeated && undo.repeated_bytes == 0 && delivered.dsack;
  const bool frto = tcb.Has(kTimeoutRecovery) && FrtoSaysSpurious(tcb, r, delivered, advances);
  return older_echo || all_duplicates || frto;
}

// Cuts or grows the window after the scoreboard was brought up to date.
void GovernWindow(Tcb& tcb, Recovery& r, const AckSample& sample, const Delivered& delivered,
                  bool safe, Env& env) {
  Congestion& c = tcb.congestion;
  if (tcb.Has(kFastRecovery) && tcb.snd_una >= tcb.recover) {
    EndRecovery(tcb, r);
    c.cwnd = std::max<uint32_t>(c.ssthresh, tcb.snd_mss);
    return;
  }
  if (tcb.Has(kTimeoutRecovery)) {
    if (tcb.snd_una >= tcb.recover) EndRecovery(tcb, r);
    if (delivered.bytes > 0) GrowWindow(c, r.congestion, sample, env.config);
    return;
  }
  if (!tcb.Has(kFastRecovery)) {
    if (r.board.unrepaired_bytes() == 0) {
      // What SACK told of before has let new segments go already (RFC 3042).
      AckSample fresh = sample;
      fresh.acked_bytes = std::min(sample.acked_bytes, delivered.bytes);
      if (fresh.acked_bytes > 0) GrowWindow(c, r.congestion, fresh, env.config);
      return;
    }
    EnterFastRecovery(tcb, r, env, delivered.bytes, sample.acked_bytes);
    FollowPrr(tcb, r, delivered.bytes, safe, env);  // also when time alone told of the loss
    return;
  }
  if (delivered.bytes > 0) FollowPrr(tcb, r, delivered.bytes, safe, env);
}

// The most octets outstanding since the window that was out when there were more was acknowledged:
// what tells whether the window is used does not fall while its ACKs come in (RFC 7661's pipeACK,
// as Linux simplifies it).
uint32_t LargestFlight(const Tcb& tcb, Recovery& r) {
  if (tcb.snd_una >= r.flight_end || tcb.flight() > r.flight_max) {
    r.flight_max = tcb.flight();
    r.flight_end = tcb.snd_nxt;
  }
  return r.flight_max;
}

void OnTrackedAck(Tcb& tcb, Recovery& r, const Segment& segment, Env& env) {
  Delivered delivered;
  const Collector collect{tcb, r, segment, env, delivered};
  if (r.congestion.bbr != nullptr) r.congestion.bbr->rate().BeginAck();
  const uint32_t flight = LargestFlight(tcb, r);
  const bool advances = segment.ack > tcb.snd_una;
  uint32_t acked = 0;
  if (advances) {
    r.board.Acknowledge(segment.ack, env.recovery_pool.runs, collect);
    acked = Advance(tcb, segment, env);
  }
  if (segment.HasOption(wire::kSackOption)) ReadSack(tcb, r, segment, collect, env);
  NoteArrived(tcb, delivered.longest);
  if (!advances && delivered.sacked && tcb.duplicate_acks < 255) ++tcb.duplicate_acks;
  r.rack.UpdateReorderWindow(delivered.dsack, tcb.snd_una, tcb.snd_nxt);
  OnProbeAck(tcb, r, segment, delivered, advances, env);
  if (IsSpurious(tcb, r, segment, delivered, advances)) {
    UndoReduction(tcb, r, std::min(acked, delivered.bytes), env);
  }
  const uint32_t unrepaired = r.board.unrepaired_bytes();
  FindLosses(tcb, r, env);
  const bool safe = advances && r.board.unrepaired_bytes() <= unrepaired;
  const AckSample sample{.acked_bytes = acked,
                         .flight_bytes = flight,
                         .mss = tcb.snd_mss,
                         .now_us = env.us,
                         .srtt_us = tcb.rtt.srtt_us(),
                         .rtt_us = delivered.rtt_us,
                         .snd_una = tcb.snd_una,
                         .snd_nxt = tcb.snd_nxt};
  if (tcb.Has(kEcnOn)) CountMarks(r.congestion, sample, segment.Has(wire::kEce));
  if (r.congestion.bbr != nullptr) {
    FollowModel(tcb, r, delivered.rtt_us, env);
  } else {
    GovernWindow(tcb, r, sample, delivered, safe, env);
  }
  if (tcb.flight() == 0) {
    tcb.timers.Stop(Timer::kRetransmit);
    r.reorder_pending = false;
    r.probe_due = false;
    MaybeGiveRecord(tcb, env);
  } else if (advances) {
    ArmLossTimer(tcb, r, true, env);
  } else {
    KeepLossTimer(tcb, r, env);
  }
}

}  // namespace

void EndRecovery(Tcb& tcb, Recovery& r) {
  r.rack.OnRecoveryEnd();
  r.frto = Frto::kOff;
  tcb.Clear(kFastRecovery | kTimeoutRecovery);
}

void FindLosses(Tcb& tcb, Recovery& r, Env& env) {
  r.reorder_pending = false;
  if (r.board.empty()) return;
  const uint32_t retransmitted = r.board.retransmitted_bytes();
  if (!env.config.rack) {
    FindLossesBySack(tcb, r, env);
    return;
  }
  const uint32_t again_us =
      r.rack.DetectLoss(r.board, env.recovery_pool.runs, env.us, tcb.rtt.srtt_us(), tcb.snd_mss,
                        tcb.Has(kFastRecovery | kTimeoutRecovery));
  if (r.board.retransmitted_bytes() < retransmitted) ++env.counters.lost_retransmit;
  if (again_us == 0) return;
  r.reorder_pending = true;
  r.reorder_tick = env.tick + TicksOf(Duration::Microseconds(again_us)) + 1;
}

void OnRecordAck(Tcb& tcb, const Segment& segment, Env& env) {
  Recovery& r = RecordOf(tcb, env);
  if (r.claim_mss != 0 && segment.ack > r.claim_seq) [[unlikely]] {
    r.claim_mss = 0;  // RFC 5927 7.2: the segment that was "too big" has arrived
    ++env.counters.path_mtu_disproved;
  }
  if (!r.board.empty()) {
    OnTrackedAck(tcb, r, segment, env);
    return;
  }
  Delivered delivered;
  const uint32_t flight = LargestFlight(tcb, r);
  const bool timed = tcb.Has(kRttTiming) && segment.ack >= tcb.rtt_seq;
  const uint32_t told = tcb.duplicate_acks;
  const uint32_t acked = Advance(tcb, segment, env);
  OnProbeAck(tcb, r, segment, delivered, true, env);
  OnNewRenoAck(tcb, &r, segment, acked, flight, told, env);
  if (r.congestion.bbr != nullptr) {
    FollowModelAlone(tcb, r, acked, timed ? env.us - tcb.rtt_start_us : 0, env);
  }
  if (tcb.flight() == 0) MaybeGiveRecord(tcb, env);
}

bool OnRecordRepeatedAck(Tcb& tcb, const Segment& segment, Env& env) {
  Recovery& r = RecordOf(tcb, env);
  if (!r.board.empty()) {
    OnTrackedAck(tcb, r, segment, env);
    return true;
  }
  if (!segment.HasOption(wire::kSackOption) || !tcb.Has(kSackOn)) return false;
  // Nothing is outstanding that could be SACKed, but D-SACK speaks of what was.
  Delivered delivered;
  const Collector collect{tcb, r, segment, env, delivered};
  ReadSack(tcb, r, segment, collect, env);
  OnProbeAck(tcb, r, segment, delivered, false, env);
  if (IsSpurious(tcb, r, segment, delivered, false)) UndoReduction(tcb, r, 0, env);
  return delivered.dsack;
}

}  // namespace millrace::tcp

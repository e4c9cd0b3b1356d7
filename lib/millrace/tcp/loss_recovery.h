// tcp/loss_recovery.h - loss recovery of a connection with a recovery record: what acknowledgments,
// timers and sending do to it. Not for use outside of this folder.
//
// tcp/recovery.cc has the record's life and the sending side, tcp/recovery_ack.cc the rules for
// acknowledgments, tcp/undo.cc what takes a reduction back. A connection is tracked while its
// scoreboard is not empty.
#ifndef MILLRACE_TCP_LOSS_RECOVERY_H_
#define MILLRACE_TCP_LOSS_RECOVERY_H_

#include <algorithm>
#include <cstdint>

#include "millrace/tcp/env.h"
#include "millrace/tcp/internal.h"
#include "millrace/tcp/recovery.h"
#include "millrace/tcp/tcb.h"

namespace millrace::tcp {

// REQUIRES: kRecord.
inline Recovery& RecordOf(const Tcb& tcb, Env& env) {
  return env.recovery_pool.records[tcb.recovery];
}
inline const Recovery& RecordOf(const Tcb& tcb, const Env& env) {
  return env.recovery_pool.records[tcb.recovery];
}
inline bool IsTracked(const Tcb& tcb, const Env& env) {
  return tcb.Has(kRecord) && !RecordOf(tcb, env).board.empty();
}
// The record, taken from the pool if there is none yet; null when the pool is empty (counted).
Recovery* TakeRecord(Tcb& tcb, Env& env);
// Gives the record back when it says nothing that a fresh one would not.
void MaybeGiveRecord(Tcb& tcb, Env& env);
// REQUIRES: kRecord.
void GiveRecord(Tcb& tcb, Env& env);

inline uint32_t PipeOf(const Tcb& tcb, const Recovery& r) { return r.board.Pipe(tcb.flight()); }

// Sending, called before snd_nxt moves. New octets [seq, end) go out behind others in flight.
void OnSentBehindOthers(Tcb& tcb, SeqNum seq, SeqNum end, Env& env);
// Begins a scoreboard with what is in flight, as one run. False: no run is left. REQUIRES: not
// tracked, and something is.
[[nodiscard]] bool TrackFlight(const Tcb& tcb, Recovery& r, Env& env);
// Octets [seq, end) go out again, maybe with new ones behind them. REQUIRES: kRecord.
void OnSentAgain(Tcb& tcb, SeqNum seq, SeqNum end, Env& env);

// A stretch that is to be retransmitted.
struct Repair {
  SeqNum seq;
  uint32_t length = 0;  // 0: none
};
// RFC 6675 section 4, NextSeg rules (1), and with `idle` (no new data can go) (3) and (4); what the
// congestion window allows of it. REQUIRES: tracked.
Repair NextRepair(const Tcb& tcb, Recovery& r, bool idle, Env& env);
// How far beyond snd_una the congestion window reaches. REQUIRES: tracked.
inline uint32_t WindowOf(const Tcb& tcb, const Recovery& r) {
  return tcb.congestion.cwnd + tcb.flight() - PipeOf(tcb, r);
}

// Octets that ACKs have let go and that have not gone yet: the ACKs of a burst are all taken before
// anything is sent. Who sends after each ACK has them in flight when a later one of the burst tells
// of a loss, so a reduction counts them; without them the next window would follow from what the
// burst happened to leave outstanding. Without the last `acked` octets before snd_una: those that
// the ACK at hand let go.
inline uint32_t KeptByBurst(const Tcb& tcb, uint32_t acked = 0) {
  const SeqNum una = tcb.snd_una - acked;
  const SeqNum edge = una + std::min<uint32_t>(tcb.snd_wnd, tcb.congestion.cwnd);
  const int32_t kept = Min(tcb.data_end(), edge) - tcb.snd_nxt;
  return kept < tcb.snd_mss ? 0 : static_cast<uint32_t>(kept - kept % tcb.snd_mss);
}

// FlightSize for a reduction, still to be limited by cwnd: the most that was outstanding within the
// last round trip, with what a burst has kept. As RFC 7661 4.4.1, which takes the larger of pipeACK
// and FlightSize: a window that the peer closes for the moment in which it tells of a loss, because
// it has not read yet what came before, says nothing of the path.
inline uint32_t FlightOfRound(const Tcb& tcb, const Recovery& r) {
  const uint32_t flight = tcb.flight() + (r.gated ? 0 : KeptByBurst(tcb));  // not what pacing keeps
  return tcb.snd_una < r.flight_end ? std::max(flight, r.flight_max) : flight;
}

// Timers. Chooses among retransmission, probe and reordering timer and arms it; `restart` begins a
// new retransmission time-out and a new probe. REQUIRES: tracked.
void ArmLossTimer(Tcb& tcb, Recovery& r, bool restart, Env& env);
// The same behind an ACK that does not advance SND.UNA: RFC 8985 7.2 restarts the probe's timer
// "after transmitting new data ... or upon receiving an ACK that cumulatively acknowledges new
// data" only.
void KeepLossTimer(Tcb& tcb, Recovery& r, Env& env);
// The timer was due. False: it was (or has become) the retransmission timer, which the caller acts
// on. REQUIRES: tracked.
[[nodiscard]] bool OnLossTimer(Tcb& tcb, Env& env);
// A retransmission time-out of data: what is lost, and what may be undone. `first` as in
// ReduceForTimeout.
void OnRecordTimeout(Tcb& tcb, Recovery& r, bool first, Env& env);

// Reductions and their end.
// Marks what RACK, or RFC 6675 where it is off, finds lost, and when to look again.
void FindLosses(Tcb& tcb, Recovery& r, Env& env);
// Losses are on the scoreboard and no recovery is in force: RFC 6675 section 5 step 4. `delivered`:
// octets that the ACK which told of it has reported, of which it moved SND.UNA by `acked`.
void EnterFastRecovery(Tcb& tcb, Recovery& r, Env& env, uint32_t delivered, uint32_t acked);
// The window in fast recovery, after an ACK or timer that reported `delivered` octets.
void FollowPrr(Tcb& tcb, Recovery& r, uint32_t delivered, bool safe, const Env& env);
void EndRecovery(Tcb& tcb, Recovery& r);

// tcp/undo.cc.
// Remembers what Undo needs. Before any reduction.
void RememberForUndo(Tcb& tcb, Recovery& r);
// RFC 4015: the reduction was for nothing. `acked`: octets that this ACK acknowledged.
void UndoReduction(Tcb& tcb, Recovery& r, uint32_t acked, Env& env);
// RFC 3522: the ACK echoes a timestamp from before the first retransmission.
bool EchoIsOlder(const Tcb& tcb, const Recovery& r, const wire::Segment& segment);

// tcp/bbr_recovery.cc: what joins BBR and the record. REQUIRES: r.congestion.bbr.
// A model for a fresh record, if the configuration asks for one and the peer has SACK.
void TakeModel(const Tcb& tcb, Recovery& r, Env& env);
// Losses that were found since the last call.
void NoteLosses(Tcb& tcb, Recovery& r, Env& env);
// After an ACK whose pieces the model was told of: recovery begins or ends, window and rate follow.
void FollowModel(Tcb& tcb, Recovery& r, uint32_t rtt_us, Env& env);
// An ACK of `acked` octets that were on no scoreboard: a segment alone in the network.
void FollowModelAlone(Tcb& tcb, Recovery& r, uint32_t acked, uint32_t rtt_us, Env& env);
// After sending as much as may go.
void NoteSendLimit(Tcb& tcb, Recovery& r);

// Acknowledgments, of a connection with a record.
// An ACK above SND.UNA, within SND.NXT.
void OnRecordAck(Tcb& tcb, const wire::Segment& segment, Env& env);
// An ACK of SND.UNA. False: the rules without SACK apply to it.
[[nodiscard]] bool OnRecordRepeatedAck(Tcb& tcb, const wire::Segment& segment, Env& env);

// tcp/input_ack.cc: SND.UNA moves to SEG.ACK; returns the octets acknowledged.
uint32_t Advance(Tcb& tcb, const wire::Segment& segment, Env& env);
// After Advance, without SACK information: RFC 5681, 6582, 5682. `r` may be null. Before the ACK
// there were `flight` octets, of which duplicate ACKs had told that `told` segments arrived.
void OnNewRenoAck(Tcb& tcb, Recovery* r, const wire::Segment& segment, uint32_t acked,
                  uint32_t flight, uint32_t told, Env& env);

// tcp/output.cc. Sends `length` octets at `seq` and the FIN behind them if `fin`.
void SendText(Tcb& tcb, Env& env, Outbox& out, SeqNum seq, uint32_t length, bool fin);
// One segment from rtx_nxt on, if the peer's window and `cwnd` allow one. False: nothing to send
// now.
bool SendNext(Tcb& tcb, Env& env, Outbox& out, uint32_t cwnd);
// tcp/output_recovery.cc. All that a connection with a record has to send but ACKs.
SendProgress SendWithRecord(Tcb& tcb, Env& env, Outbox& out);
// The SACK option of an ACK, with kSackDue.
void AddSack(Tcb& tcb, Env& env, TxSegment& segment);

}  // namespace millrace::tcp

#endif  // MILLRACE_TCP_LOSS_RECOVERY_H_

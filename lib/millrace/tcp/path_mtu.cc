// tcp/path_mtu.cc - segments that are too long for the path: a router says so (RFC 1191, RFC 8201),
// or nobody does and they vanish (RFC 4821, RFC 8899).

#include <algorithm>
#include <utility>

#include "millrace/tcp/connection.h"
#include "millrace/tcp/internal.h"
#include "millrace/tcp/loss_recovery.h"

namespace millrace::tcp {
namespace {

// Of `mss` octets what is left beside the options of every segment.
uint16_t TextOf(const Tcb& tcb, uint16_t mss) {
  return static_cast<uint16_t>(mss - tcb.OptionBytes());
}

// Whether the octet at `seq` was SACKed, in flight as it is.
bool IsSacked(const Recovery& r, SeqNum seq, Env& env) {
  bool sacked = false;
  r.board.ForEach(env.recovery_pool.runs, [&](const SentRun& run) {
    if (run.end <= seq) return true;
    sacked = run.begin <= seq && run.Has(kRunSacked);
    return false;
  });
  return sacked;
}

}  // namespace

bool OnPathMtu(Tcb& tcb, uint16_t mss, Env& env) {
  const uint16_t effective = TextOf(tcb, mss);
  if (effective >= tcb.snd_mss) return false;
  tcb.snd_mss = effective;
  tcb.longest_arrived = std::min(tcb.longest_arrived, effective);
  ++env.counters.path_mtu_lowered;
  if (tcb.flight() <= effective || !IsIn(tcb.state, kSendingStates)) return true;
  // RFC 1191 6.5: what was too long is lost, and is sent again at once, without "the slow-start
  // procedure": the path is not congested. All that is in flight goes again, because none of it
  // says which router dropped what.
  if (IsTracked(tcb, env)) {
    Recovery& r = RecordOf(tcb, env);
    r.board.Clear(env.recovery_pool.runs);
    r.reorder_pending = false;
    r.probe = TailProbe();
  }
  tcb.Clear(kRttTiming | kRetransmitHead);
  tcb.rtx_nxt = tcb.snd_una;
  tcb.duplicate_acks = 0;
  ArmRetransmit(tcb, env);
  return true;
}

// RFC 5927 4.1 and 7.2. A message about a segment that is not in flight, or was no longer than it
// says may pass, is forged ("claimedmtu" not below "maxsizesent"). While nothing longer has passed
// ("maxsizeacked"), as at the beginning, it is believed at once. If something has, either the path
// has changed or somebody forges: a segment that is too long is not acknowledged, so the message
// waits for its time-out, with the RFC's MAXSEGRTO of one.
PathClaim OnPacketTooBig(Tcb& tcb, SeqNum seq, uint16_t mss, Env& env) {
  const uint16_t effective = TextOf(tcb, mss);
  if (seq < tcb.snd_una || seq >= tcb.snd_nxt) return PathClaim::kNotCredible;
  const SeqNum text_end = Min(tcb.data_end(), tcb.snd_nxt);
  if (effective >= tcb.snd_mss || text_end <= seq + effective) return PathClaim::kNotCredible;
  // "nsegrto", of the segment that times out first.
  const bool timed_out = tcb.timeouts != 0 && seq == tcb.snd_una;
  if (effective >= tcb.longest_arrived || timed_out) {
    return OnPathMtu(tcb, mss, env) ? PathClaim::kBelieved : PathClaim::kNotCredible;
  }
  Recovery* const r = TakeRecord(tcb, env);
  if (r == nullptr) return PathClaim::kNotCredible;  // the next copy will meet the same router
  r->claim_seq = seq;
  r->claim_mss = mss;
  return PathClaim::kAwaited;
}

bool OnAwaitedPathMtu(Tcb& tcb, Env& env) {
  if (!tcb.Has(kRecord)) return false;
  Recovery& r = RecordOf(tcb, env);
  if (r.claim_mss == 0) return false;
  const uint16_t mss = std::exchange(r.claim_mss, uint16_t{0});
  if (IsSacked(r, r.claim_seq, env)) {
    ++env.counters.path_mtu_disproved;
    return false;
  }
  r.probe_due = false;
  const bool lowered = OnPathMtu(tcb, mss, env);
  // The next one is the first that tells of congestion, unless one before did.
  if (lowered && tcb.timeouts == 1) r.timeout_explained = true;
  return lowered;
}

// In the spirit of RFC 4821 7.7 and RFC 8899 4.3, without their probes: a full-size segment that
// timed out `black_hole_timeouts` times in a row may be too long for a path whose routers are
// silent, so it goes again as a shorter one.
void DetectBlackHole(Tcb& tcb, Env& env) {
  const uint8_t limit = env.config.black_hole_timeouts;
  if (limit == 0 || tcb.timeouts < limit || tcb.flight() < tcb.snd_mss) return;
  const uint16_t mss =
      tcb.timeouts >= 2 * limit ? env.config.black_hole_mss_least : env.config.black_hole_mss;
  if (mss >= tcb.snd_mss) return;
  tcb.snd_mss = mss;
  ++env.counters.path_mtu_black_holes;
}

}  // namespace millrace::tcp

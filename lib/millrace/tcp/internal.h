// tcp/internal.h - steps that several files of tcp/ share; not for use outside of this folder.
#ifndef MILLRACE_TCP_INTERNAL_H_
#define MILLRACE_TCP_INTERNAL_H_

#include <algorithm>
#include <cstdint>

#include "millrace/base/inline.h"
#include "millrace/tcp/connection.h"
#include "millrace/tcp/env.h"
#include "millrace/tcp/tcb.h"
#include "millrace/wire/segment.h"

namespace millrace::tcp {

// An ACK that an attacker could provoke: one per Config::challenge_ack_interval and connection.
inline void AckLimited(Tcb& tcb, Env& env) {
  if (env.tick - tcb.challenge_tick < env.challenge_ticks) {
    ++env.counters.challenge_acks_skipped;
    return;
  }
  tcb.challenge_tick = env.tick;
  tcb.Set(kAckNow);
}

// tcp/urgent.cc: a segment with URG. REQUIRES: not a SYN.
void OnUrgent(Tcb& tcb, const wire::Segment& segment, Env& env);
// Forgets a pointer that was read past, before sequence numbers come round to it again.
void WatchUrgent(const Tcb& tcb, Extra& extra);

// Octets [left, right) arrived a second time: a D-SACK tells the peer (RFC 2883).
void NoteDuplicate(Tcb& tcb, SeqNum left, SeqNum right, Env& env);

// The ACK for an unacceptable segment. One with text or a FIN cannot be an answer to an ACK of
// ours, so it cannot loop and is always acknowledged: our ACK may have been lost.
inline void AckUnacceptable(Tcb& tcb, const wire::Segment& segment, Env& env) {
  if (segment.payload_length > 0 || segment.Has(wire::kFin)) {
    tcb.Set(kAckNow);
    const SeqNum end = segment.seq + segment.payload_length;
    if (segment.payload_length > 0 && end <= tcb.rcv_nxt) {
      NoteDuplicate(tcb, segment.seq, end, env);
    }
  } else {
    AckLimited(tcb, env);
  }
}

// RFC 6298 5.5: the time-out, doubled for each expiry in a row, at most rto_max.
inline Duration RetransmitTimeout(const Tcb& tcb, const Config& config) {
  // RFC 6298 5.7: "If the timer expires awaiting the ACK of a SYN segment and the TCP
  // implementation is using an RTO less than 3 seconds, the RTO MUST be re-initialized to 3
  // seconds when data transmission begins".
  const bool syn_lost =
      !tcb.rtt.has_sample() && tcb.Has(kSynRetransmitted) && IsSynchronized(tcb.state);
  const Duration rto = syn_lost ? config.rto_after_syn_loss : tcb.rtt.Rto(config);
  const int shift = std::min<int>(tcb.backoff, 16);
  return Duration::Nanoseconds(std::min(rto.ns() << shift, config.rto_max.ns()));
}

// (Re)starts the retransmission timer. Nearly always for rto_min, whose end is known (50
// instructions a connection).
inline void ArmRetransmit(Tcb& tcb, const Env& env) {
  const bool is_min = tcb.backoff == 0 && tcb.rtt.IsRtoMin(env.rto_min_us);
  tcb.timers.Set(Timer::kRetransmit, is_min
                                         ? env.rto_min_tick
                                         : TickCeil(env.now + RetransmitTimeout(tcb, env.config)));
}

// The same for a connection that may have a record, whose timer may have stood for something else.
void RestartRetransmit(Tcb& tcb, Env& env);

inline void CountTimeout(Tcb& tcb) {
  if (tcb.backoff < 31) ++tcb.backoff;
  if (tcb.timeouts < 7) ++tcb.timeouts;
}

// RFC 6298 section 5: a sample computes the RTO anew, which ends the back-off.
inline void SampleRtt(Tcb& tcb, uint32_t rtt_us) {
  tcb.rtt.OnSample(rtt_us);
  tcb.backoff = 0;
}

// A round-trip time from the echoed timestamp; an echo that we cannot have sent is ignored.
inline void SampleRttByTimestamp(Tcb& tcb, const wire::Segment& segment, const Env& env) {
  if (!tcb.Has(kTimestampsOn) || !segment.HasOption(wire::kTimestampsOption)) return;
  const uint32_t age = env.ts_clock + tcb.ts_offset - segment.tsecr;
  constexpr uint32_t kAgeMaxMs = 1u << 16;  // 65 s; in microseconds it still fits 32 bits
  if (age < kAgeMaxMs) SampleRtt(tcb, age * 1000);
}

// RFC 9293 3.8.6.3: when the next ACK goes out.
inline void ScheduleAck(Tcb& tcb, bool had_gap, Env& env) {
  // (SHLD-19): "an ACK SHOULD be generated for at least every second full-sized segment"; and
  // RFC 5681 4.2: at once when a gap is there or was just filled.
  if (had_gap || tcb.receive.has_gap() ||
      tcb.rcv_nxt.Since(tcb.last_ack_sent) >= 2u * tcb.snd_mss ||
      tcb.rcv_nxt.Since(tcb.irs) <= env.config.quick_ack_bytes) {
    tcb.Set(kAckNow);
  } else if (!tcb.timers.IsArmed(Timer::kDelayedAck)) {
    tcb.timers.Set(Timer::kDelayedAck, TickCeil(env.now + env.config.delayed_ack));
  }
}

// There may be room again for what Send could not take.
inline void OnRoomToSend(Tcb& tcb, const Env& env) {
  if (tcb.send.size_bytes() > env.config.send_buffer_bytes / 2) return;
  tcb.Clear(kWritableWanted);
  tcb.events |= kEventWritable;
}

// FIN-WAIT-2 without an application behind it ends after Config::fin_wait_2_orphan.
inline void ArmOrphan(Tcb& tcb, const Env& env) {
  tcb.timers.Set(Timer::kLifetime, TickCeil(env.now + env.config.fin_wait_2_orphan));
}

// RFC 5927 7.2, maxsizeacked: a segment with `text` octets, and maybe a FIN, was acknowledged.
// Short ones pass everywhere, and no "packet too big" that is believed says otherwise.
inline void NoteArrived(Tcb& tcb, uint32_t text) {
  constexpr uint32_t kPassesEverywhere = 500;  // 552 less IPv4's header and TCP's with timestamps
  if (text <= kPassesEverywhere) [[likely]]
    return;
  const auto length = static_cast<uint16_t>(std::min<uint32_t>(text, tcb.snd_mss));
  tcb.longest_arrived = std::max(tcb.longest_arrived, length);
}
// A retransmission time-out: true when a "packet too big" was waiting for it, which is now
// believed.
bool OnAwaitedPathMtu(Tcb& tcb, Env& env);
// A retransmission time-out in a row of them: segments may be too long for the path.
void DetectBlackHole(Tcb& tcb, Env& env);
// A fresh block in state CLOSED with everything but the state's own business set.
void InitTcb(Tcb& tcb, SeqNum iss, uint32_t ts_offset, const Env& env);
// Straight to CLOSED, nothing is sent.
void CloseNow(Tcb& tcb, CloseReason reason, Env& env);
void EnterTimeWait(Tcb& tcb);
// SYN-SENT or SYN-RECEIVED to ESTABLISHED by a segment that acknowledges our SYN and offers
// `window` octets. Opens the congestion window.
void EnterEstablished(Tcb& tcb, const wire::Segment& segment, uint32_t window, Env& env);
// Stores what a SYN negotiates (RFC 7323 2.2, RFC 9293 3.7.1).
void Negotiate(Tcb& tcb, const wire::Segment& syn, const Env& env);
// RFC 9293 section 3.10.7.4, "Fifth, check the ACK field". False: the segment is dropped. `window`
// is what the segment offers, in octets.
[[nodiscard]] bool CheckAck(Tcb& tcb, const wire::Segment& segment, uint32_t window, Env& env,
                            InputResult& result);
// Parts of it that the straight path uses too: "<SEG.ACK covers new data>" of a connection in which
// nothing went wrong; "SND.WND <- SEG.WND" unless the segment is older than what the window was
// taken from (inline: 59 instructions a connection), with what follows when it was closed; and what
// the acknowledgment of our FIN does (true: the connection is over).
void OnNewAck(Tcb& tcb, const wire::Segment& segment, Env& env);
[[gnu::noinline]] void OnWindowOpened(Tcb& tcb, Env& env);
MR_ALWAYS_INLINE void UpdateSendWindow(Tcb& tcb, const wire::Segment& segment, uint32_t window,
                                       Env& env) {
  if (tcb.snd_wl1 < segment.seq || (tcb.snd_wl1 == segment.seq && tcb.snd_wl2 <= segment.ack)) {
    if (tcb.snd_wnd == 0 && window > 0) [[unlikely]]
      OnWindowOpened(tcb, env);
    tcb.snd_wnd = window;
    tcb.snd_wnd_max = std::max(tcb.snd_wnd_max, window);
    tcb.snd_wl1 = segment.seq;
    tcb.snd_wl2 = segment.ack;
  }
}
bool AfterFinAcked(Tcb& tcb, Env& env);

// What is left of a segment's text after it was cut to the window.
struct Text {
  SeqNum seq;
  const std::byte* data = nullptr;
  uint32_t length = 0;
  bool fin = false;
};
// "Seventh, process the segment text", and "Eighth, check the FIN bit": the latter also when
// reassembly has reached a FIN that came early.
PayloadFate TakeText(Tcb& tcb, const wire::Segment& segment, const Text& text, Env& env);
void TakeFin(Tcb& tcb, const Env& env);

// The segment that nearly all are, straight through (tcp/input_plain.cc). False: it is not one, and
// nothing was changed. True: `result` is that of the eight steps, and so is everything else.
[[nodiscard]] bool TakePlainSegment(Tcb& tcb, const wire::Segment& segment, Env& env,
                                    InputResult& result);
// OnSegment without the straight path: what tests compare it with. Not inlined, so that the
// straight path saves no registers for it (17 instructions a connection).
[[gnu::noinline]] InputResult OnSegmentInSteps(Tcb& tcb, const wire::Segment& segment, Env& env);

// RFC 9293 section 3.10.7.3.
Reply OnSynSentSegment(Tcb& tcb, const wire::Segment& segment, Env& env);

// PSH on the last segment of each burst in `out` (Config::push_burst_segments).
void PushBursts(const Tcb& tcb, const Config& config, Outbox& out);

// RFC 9293 3.7.1 (MUST-16): what we send at most per segment, options subtracted.
inline uint16_t EffectiveMss(uint16_t peer_mss, uint16_t our_mss, bool timestamps,
                             const Config& config) {
  uint16_t mss = our_mss;
  if (peer_mss < our_mss) [[unlikely]]
    mss = std::max(peer_mss, std::min(config.mss_min, our_mss));
  return static_cast<uint16_t>(mss - (timestamps ? 12 : 0));
}

}  // namespace millrace::tcp

#endif  // MILLRACE_TCP_INTERNAL_H_

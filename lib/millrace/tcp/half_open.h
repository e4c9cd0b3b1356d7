// tcp/half_open.h - SYN-RECEIVED of a passive open: what is known of a peer before it has shown
// that it receives what is sent to it.
//
// 24 octets instead of a Tcb: a flood of SYNs costs little. The engine adds the tuple and its place
// in a queue, 52 octets in all (stack/records.h).
#ifndef MILLRACE_TCP_HALF_OPEN_H_
#define MILLRACE_TCP_HALF_OPEN_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "millrace/base/inline.h"
#include "millrace/base/seq.h"
#include "millrace/tcp/connection.h"
#include "millrace/tcp/env.h"
#include "millrace/tcp/isn.h"
#include "millrace/tcp/window.h"
#include "millrace/wire/segment.h"

namespace millrace::tcp {

struct HalfOpen {
  SeqNum iss, irs;
  uint32_t ts_recent;
  uint32_t ts_offset;
  uint32_t sent_us;  // Env::us of the SYN-ACK that nobody asked for: the first, then each timeout's
  uint16_t peer_mss;  // as received; 536 when there was no option
  uint8_t peer_window_scale : 4;
  uint8_t retransmits : 4;
  wire::OptionBits options : 4;  // of the SYN that we agree to: of kFixedOptions
  bool ecn : 1;                  // agreed to (RFC 3168 6.1.1)
  uint8_t answers : 3;           // SYN-ACKs and challenge ACKs sent since sent_us, as asked for
  static constexpr uint8_t kAnswersMax = 7, kRetransmitsMax = 15;
};
static_assert(sizeof(HalfOpen) == 24);

enum class HalfOpenVerdict : uint8_t {
  kDrop,
  kSendSynAck,  // again
  kSendAck,     // challenge ACK
  kSendReset,   // MakeReset of the segment; the entry stays (ACK-09)
  kRemove,      // RST: back to LISTEN, the application is not told
  kEstablish,   // make a Tcb by Establish and give it the segment
};

// True for a SYN that may open: SYN alone among SYN, ACK, RST, FIN (RFC 9293 3.10.7.2).
inline bool IsOpeningSyn(const wire::Segment& segment) {
  return (segment.flags & (wire::kSyn | wire::kAck | wire::kRst | wire::kFin)) == wire::kSyn;
}

MR_ALWAYS_INLINE HalfOpen MakeHalfOpen(const wire::Segment& syn, const TupleSecrets& secrets,
                                       const Env& env);

// RFC 9293 section 3.10.7.4 in SYN-RECEIVED after a passive open.
HalfOpenVerdict OnHalfOpenSegment(HalfOpen& half_open, const wire::Segment& segment, Env& env);

MR_ALWAYS_INLINE TxSegment SynAckOf(const HalfOpen& half_open, const Env& env);
// Both where they are to lie, whatever lay there before.
MR_ALWAYS_INLINE void FillHalfOpen(const wire::Segment& syn, const TupleSecrets& secrets,
                                   const Env& env, HalfOpen& half_open);
MR_ALWAYS_INLINE void FillSynAck(const HalfOpen& half_open, const Env& env, TxFields& segment);
TxSegment ChallengeAckOf(const HalfOpen& half_open, const Env& env);

// Called when the deadline is reached: true, send the SYN-ACK again; false, given up. `crowded`:
// its listener is short of room, so that one retransmission has to do (SFL-08, SFL-12).
[[nodiscard]] bool OnHalfOpenTimeout(HalfOpen& half_open, bool crowded, Env& env);
// How long the deadline is behind sent_us: 1, 2, 4, ... s, never early. At most 30 minutes, because
// microseconds wrap after 71.
inline uint32_t HalfOpenWaitUs(const HalfOpen& half_open, const Config& config) {
  constexpr int64_t kMostUs = int64_t{30} * 60 * 1'000'000;
  const int64_t wait_us =
      std::min(config.rto_initial.us() << half_open.retransmits, config.rto_max.us());
  return static_cast<uint32_t>(std::min(wait_us, kMostUs)) + 1;
}

// Makes `tcb` a SYN-RECEIVED connection that OnSegment completes with the peer's ACK.
void Establish(Tcb& tcb, const HalfOpen& half_open, Env& env);

// Inline definitions. Where a record is built on the stack by narrow stores and copied by wide
// loads, each of those loads waits: three of them, with the reply, were 1.2 % of the exchange.

MR_ALWAYS_INLINE HalfOpen MakeHalfOpen(const wire::Segment& syn, const TupleSecrets& secrets,
                                       const Env& env) {
  HalfOpen h;
  FillHalfOpen(syn, secrets, env, h);
  return h;
}

MR_ALWAYS_INLINE void FillHalfOpen(const wire::Segment& syn, const TupleSecrets& secrets,
                                   const Env& env, HalfOpen& h) {
  const Config& config = env.config;
  h.iss = secrets.iss;
  h.irs = syn.seq;
  h.ts_offset = secrets.ts_offset;
  h.sent_us = env.us;
  h.ts_recent = syn.tsval;
  h.peer_mss = syn.HasOption(wire::kMssOption) ? syn.mss : config.mss_default;
  // RFC 3168 6.1.1: "ECN-setup SYN packet": ECE and CWR.
  constexpr wire::Flags kBoth = wire::kEce | wire::kCwr;
  const bool ecn = config.ecn != Ecn::kOff && (syn.flags & kBoth) == kBoth;
  // The rest is bits: cleared at once, what lay there is not read (5 instructions).
  constexpr size_t kBitsAt = offsetof(HalfOpen, peer_mss) + sizeof h.peer_mss;
  std::memset(reinterpret_cast<std::byte*>(&h) + kBitsAt, 0, sizeof h - kBitsAt);
  h.peer_window_scale = std::min(syn.window_scale, kWindowShiftMax) & 0x0F;
  h.options = static_cast<wire::OptionBits>(syn.options & env.syn_options) & wire::kFixedOptions;
  if (ecn) h.ecn = true;
}

MR_ALWAYS_INLINE TxSegment SynAckOf(const HalfOpen& h, const Env& env) {
  TxSegment segment;
  FillSynAck(h, env, segment);
  return segment;
}

MR_ALWAYS_INLINE void FillSynAck(const HalfOpen& h, const Env& env, TxFields& segment) {
  segment.seq = h.iss;
  segment.ack = h.irs + 1;
  segment.flags = wire::kSyn | wire::kAck | (h.ecn ? wire::kEce : 0);
  segment.window = env.syn_window;
  segment.options = h.options | wire::kMssOption;
  segment.mss = env.config.mss;
  segment.window_scale = env.window_shift;
  segment.tsval = env.ts_clock + h.ts_offset;
  segment.tsecr = h.ts_recent;
  segment.payload_length = 0;
  segment.sack_count = 0;
  segment.traffic_class = 0;
}

}  // namespace millrace::tcp

#endif  // MILLRACE_TCP_HALF_OPEN_H_

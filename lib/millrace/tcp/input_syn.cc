// tcp/input_syn.cc - RFC 9293 section 3.10.7.3: a segment in SYN-SENT, and what opening shares.

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "millrace/tcp/connection.h"
#include "millrace/tcp/fast_open.h"
#include "millrace/tcp/internal.h"
#include "millrace/tcp/liveness.h"
#include "millrace/tcp/window.h"

namespace millrace::tcp {

using wire::Segment;

void OpenActive(Tcb& tcb, const OpenParameters& parameters, Env& env) {
  InitTcb(tcb, parameters.iss, parameters.ts_offset, env);
  tcb.state = State::kClosed;
  Transition(tcb, State::kSynSent);
  tcb.snd_mss = parameters.mss;
  tcb.Set(env.active_bits);
  ++env.counters.active_opens;
}

void InitTcb(Tcb& tcb, SeqNum iss, uint32_t ts_offset, const Env& env) {
  // By the widest loads and stores that there are: GCC has "rep movs" for it, which is slow to
  // begin. Made in place, what is not zero takes 58 instructions. Aligned no more than a Tcb, or
  // the stack would have to be as well (8 instructions).
  using Wide [[gnu::vector_size(32), gnu::aligned(8)]] = uint64_t;
  static_assert(sizeof(Tcb) % sizeof(Wide) == 0);
  for (size_t at = 0; at < sizeof(Tcb); at += sizeof(Wide)) {
    Wide part;
    std::memcpy(&part, reinterpret_cast<const std::byte*>(&env.fresh) + at, sizeof part);
    std::memcpy(reinterpret_cast<std::byte*>(&tcb) + at, &part, sizeof part);
  }
  tcb.iss = iss;
  tcb.snd_una = tcb.snd_nxt = tcb.rtx_nxt = iss;
  tcb.ts_offset = ts_offset;
}

void Negotiate(Tcb& tcb, const Segment& syn, const Env& env) {
  const Config& config = env.config;
  tcb.irs = syn.seq;
  tcb.rcv_nxt = tcb.last_ack_sent = syn.seq + 1;
  // RFC 7323 2.2: "The window field in a segment where the SYN bit is set (i.e., a <SYN> or
  // <SYN,ACK>) MUST NOT be scaled."
  tcb.rcv_adv = tcb.rcv_nxt + env.syn_window;
  tcb.Clear(kNegotiated & ~syn.options);
  // RFC 3168 6.1.1: a SYN that asks has ECE and CWR, a SYN-ACK that agrees has ECE alone.
  const int ecn_flags = syn.flags & (wire::kEce | wire::kCwr);
  const bool ecn = syn.Has(wire::kAck)
                       ? tcb.Has(kEcnOn) && ecn_flags == wire::kEce
                       : config.ecn != Ecn::kOff && ecn_flags == (wire::kEce | wire::kCwr);
  tcb.bits = ecn ? tcb.bits | kEcnOn : tcb.bits & ~uint32_t{kEcnOn};
  if (tcb.Has(kTimestampsOn)) {
    tcb.ts_recent = syn.tsval;
    tcb.ts_recent_s = env.seconds;
    tcb.Set(kTsRecentValid);
  }
  if (tcb.Has(kWindowScalingOn)) {
    const int send_shift = std::min(syn.window_scale, kWindowShiftMax);
    tcb.window_scales = static_cast<uint8_t>(env.window_shift << 4 | send_shift);
  } else {
    tcb.receive_buffer_bytes = env.syn_window;
  }
  // RFC 9293 3.7.1 (MUST-15): "If an MSS Option is not received at connection setup, TCP
  // implementations MUST assume a default send MSS of 536".
  const uint16_t peer = syn.HasOption(wire::kMssOption) ? syn.mss : config.mss_default;
  tcb.snd_mss = EffectiveMss(peer, tcb.snd_mss, tcb.Has(kTimestampsOn), config);
}

namespace {

// What was asked for before the handshake was complete, and who watches it. `events` are those from
// before. Out of line, for the registers that it needs (28 instructions a connection).
[[gnu::noinline]] void SettleOpening(Tcb& tcb, const Segment& segment, uint8_t events, Env& env) {
  if (tcb.Has(kFastOpen)) {
    SettleFastOpen(tcb, segment, events, env);
  } else if (tcb.snd_nxt != tcb.snd_una) {
    tcb.rtx_nxt = tcb.snd_nxt;  // the FIN is out already
    ArmRetransmit(tcb, env);
  }
  // RFC 9293 3.10.4: a close is to "queue for processing after entering ESTABLISHED state".
  if (tcb.Has(kFinQueued)) Transition(tcb, State::kFinWait1);
  if (tcb.Has(kWatched)) WatchSegment(tcb, segment, env);
}

}  // namespace

void EnterEstablished(Tcb& tcb, const Segment& segment, uint32_t window, Env& env) {
  if (tcb.Has(kRttTiming)) {
    tcb.Clear(kRttTiming);
    tcb.rtt.OnSample(env.us - tcb.rtt_start_us);
  } else {
    SampleRttByTimestamp(tcb, segment, env);
  }
  Transition(tcb, State::kEstablished);
  tcb.snd_una = tcb.iss + 1;
  tcb.rtx_nxt = tcb.snd_una;
  tcb.snd_wnd = tcb.snd_wnd_max = window;
  tcb.snd_wl1 = segment.seq;
  tcb.snd_wl2 = segment.ack;
  tcb.backoff = tcb.timeouts = 0;
  tcb.progress_tick = env.tick;
  tcb.timers.Stop(Timer::kRetransmit);
  // RFC 5681 3.1: a lost SYN makes the initial window one segment.
  const bool syn_lost = tcb.Has(kSynRetransmitted);
  tcb.congestion.Open(syn_lost ? tcb.snd_mss : env.InitialWindow(tcb.snd_mss), env.config);
  const uint8_t events = tcb.events;
  tcb.events |= kEventOpened;
  if (tcb.Has(kFinQueued | kWatched | kFastOpen)) [[unlikely]]
    SettleOpening(tcb, segment, events, env);
}

Reply OnSynSentSegment(Tcb& tcb, const Segment& segment, Env& env) {
  // First: "check the ACK bit". With <=, not ==: data on our SYN could be acknowledged in part.
  const bool has_ack = segment.Has(wire::kAck);
  if (has_ack && (segment.ack <= tcb.iss || segment.ack > tcb.snd_nxt)) {
    ++env.counters.ack_invalid;
    if (!segment.Has(wire::kRst)) return Reply::kReset;
    ++env.counters.rst_ignored;
    return Reply::kNone;
  }
  // Second: "check the RST bit": believed only with an acceptable ACK.
  if (segment.Has(wire::kRst)) {
    if (!has_ack) {
      ++env.counters.rst_ignored;
      return Reply::kNone;
    }
    ++env.counters.rst_received;
    ++env.counters.attempt_fails;
    CloseNow(tcb, CloseReason::kRefused, env);
    return Reply::kNone;
  }
  // Fifth: "if neither of the SYN or RST bits is set, then drop the segment and return".
  if (!segment.Has(wire::kSyn)) {
    ++env.counters.ack_missing;
    return Reply::kNone;
  }
  // Text or a FIN on a SYN is left for the peer to send again: we acknowledge the SYN alone.
  if (segment.payload_length > 0 || segment.Has(wire::kFin)) ++env.counters.syn_data_ignored;
  // Fourth: "check the SYN bit".
  Negotiate(tcb, segment, env);
  tcb.Set(kAckNow);
  if (has_ack) {
    const bool asked = tcb.Has(kFastOpen);
    EnterEstablished(tcb, segment, segment.window, env);
    if (asked) [[unlikely]]
      return Reply::kLearnFastOpen;
  } else {
    // (MUST-10) simultaneous open: "enter SYN-RECEIVED, form a SYN,ACK segment ... and send it".
    Transition(tcb, State::kSynReceived);
    tcb.snd_wnd = tcb.snd_wnd_max = segment.window;
    tcb.snd_wl1 = segment.seq;
    tcb.Clear(kRttTiming);
    tcb.rtx_nxt = tcb.iss;
  }
  return Reply::kNone;
}

}  // namespace millrace::tcp

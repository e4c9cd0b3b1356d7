// tcp/env.h - what protocol code of one core shares: configuration, counters, pools, the present.
//
// An argument of every call; there are no globals. The engine sets the time once per poll, so all
// inside a poll see one instant.
#ifndef MILLRACE_TCP_ENV_H_
#define MILLRACE_TCP_ENV_H_

#include <algorithm>
#include <cstdint>

#include "millrace/base/time.h"
#include "millrace/tcp/config.h"
#include "millrace/tcp/counters.h"
#include "millrace/tcp/extra.h"
#include "millrace/tcp/fast_open_resets.h"
#include "millrace/tcp/receive_queue.h"
#include "millrace/tcp/recovery.h"
#include "millrace/tcp/send_buffer.h"
#include "millrace/tcp/tcb.h"
#include "millrace/tcp/timers.h"
#include "millrace/tcp/window.h"

namespace millrace::tcp {

struct Env {
  Env(const Config& config_in, uint32_t extents_max, uint32_t chunks_max, uint32_t nodes_max,
      uint32_t receive_chunks_max = 0, uint32_t extras_max = 0, uint32_t recoveries_max = 64,
      uint32_t sent_runs_max = 1024)
      : config(config_in),
        send_pool(extents_max, chunks_max),
        receive_pool(nodes_max, receive_chunks_max),
        extras(extras_max),
        recovery_pool(recoveries_max, sent_runs_max, config_in.congestion == CongestionKind::kBbr),
        challenge_ticks(TicksOf(config_in.challenge_ack_interval)),
        rto_min_us(RttEstimator::SumForRtoMin(config_in)),
        window_shift(OurWindowShift(config_in)),
        syn_options(SynOptions(config_in)),
        active_bits(ActiveBits(config_in)),
        plain_send_states(PlainSendStates(config_in)) {
    SetFresh();
  }

  static uint32_t ActiveBits(const Config& config) {
    const uint32_t ecn = config.ecn == Ecn::kActive ? uint32_t{kEcnOn} : 0;
    return (SynOptions(config) & kNegotiated) | ecn;
  }
  // No state when PSH is at the end of bursts.
  static unsigned PlainSendStates(const Config& config) {
    constexpr unsigned kStates =
        kSendingStates | StateBit(State::kFinWait2) | StateBit(State::kTimeWait);
    return config.push_burst_segments == 0 ? kStates : 0;
  }
  static wire::OptionBits SynOptions(const Config& config) {
    wire::OptionBits options = wire::kMssOption;
    if (config.timestamps) options |= wire::kTimestampsOption;
    if (config.window_scaling) options |= wire::kWindowScaleOption;
    if (config.sack_permitted) options |= wire::kSackPermittedOption;
    return options;
  }
  // For what happens from now on; what a connection has negotiated or allocated stays.
  // REQUIRES: the receive window's sizes and scaling stay, unless there is no connection.
  void SetConfig(const Config& next) {
    config = next;
    challenge_ticks = TicksOf(next.challenge_ack_interval);
    rto_min_us = RttEstimator::SumForRtoMin(next);
    window_shift = OurWindowShift(next);
    syn_options = SynOptions(next);
    active_bits = ActiveBits(next);
    plain_send_states = PlainSendStates(next);
    SetFresh();
  }
  void SetFresh() {
    syn_window = static_cast<uint16_t>(OfferedBuffer(config.receive_buffer_bytes, 0));
    initial_window_mss = 0;
    fresh.bits = config.liveness.Any() ? uint32_t{kWatched} : 0;
    fresh.receive_buffer_bytes = OfferedBuffer(config.receive_buffer_bytes, window_shift);
    SetNow(now);
  }

  void SetNow(Instant t) {
    now = t;
    tick = TickFloor(t);
    us = static_cast<uint32_t>(t.ns() / 1'000);
    seconds = static_cast<uint32_t>(t.ns() / 1'000'000'000);
    // RFC 7323 5.4: the timestamp clock ticks between once per second and once per millisecond.
    ts_clock = static_cast<uint32_t>(t.ns() / 1'000'000);
    rto_min_tick = TickCeil(t + config.rto_min);
    rto_initial_tick = TickCeil(t + std::min(config.rto_initial, config.rto_max));
    fresh.challenge_tick = tick - challenge_ticks;  // the first one is free
    fresh.progress_tick = tick;
  }

  // Congestion::InitialWindow; that of the last MSS is known.
  uint32_t InitialWindow(uint16_t mss) {
    if (mss != initial_window_mss) [[unlikely]] {
      initial_window_mss = mss;
      initial_window_bytes = Congestion::InitialWindow(mss, config);
    }
    return initial_window_bytes;
  }

  Config config;  // changed by SetConfig only
  Counters counters;
  SendPool send_pool;
  ReceivePool receive_pool;
  Slab<Extra> extras;
  uint32_t fast_open_pending = 0;  // of passive Fast Opens whose handshake is not complete
  FastOpenResets fast_open_resets;
  uint64_t receive_tuned_bytes = 0;  // growth of all receive buffers together
  RecoveryPool recovery_pool;
  ReleasedPackets released;  // packets that nothing holds any more; the shell frees them in bulk

  Instant now;
  uint32_t tick = 0;  // floor, see timers.h
  uint32_t us = 0;    // wraps after 71 minutes
  uint32_t seconds = 0;
  uint32_t ts_clock = 0;      // before the offset of a connection is added
  uint32_t rto_min_tick = 0;  // Config::rto_min from now
  uint32_t rto_initial_tick = 0;

  // Of the configuration.
  uint32_t challenge_ticks;
  uint32_t rto_min_us;   // RttEstimator::IsRtoMin
  uint8_t window_shift;  // what our SYN says
  uint16_t syn_window;   // what our SYN and SYN-ACK say: not scaled
  uint16_t initial_window_mss;
  uint32_t initial_window_bytes;
  wire::OptionBits syn_options;  // that our SYN offers or agrees to, of wire::kFixedOptions
  uint32_t active_bits;          // TcbBit, what our SYN offers
  unsigned plain_send_states;    // StateBit, in which tcp/output_plain.h sends

  // What a connection begins as, at this instant, but for its numbers: InitTcb copies it.
  Tcb fresh{};
};

}  // namespace millrace::tcp

#endif  // MILLRACE_TCP_ENV_H_

// tcp/extra.h - what few connections need and no other pays for: liveness limits, the tuning of the
// receive window, Fast Open, Diffserv, soft errors, urgent data.
//
// A record from a pool of the core (Env::extras), taken when it is needed for the first time and
// given back with the connection; Tcb::extra names it. When the pool is empty the connection goes
// without, which is counted. Times are in ticks (tcp/timers.h), at most kSpanMax of them.
#ifndef MILLRACE_TCP_EXTRA_H_
#define MILLRACE_TCP_EXTRA_H_

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "millrace/base/seq.h"
#include "millrace/tcp/config.h"
#include "millrace/tcp/soft_error.h"
#include "millrace/tcp/timers.h"

namespace millrace::tcp {

struct Extra {
  static constexpr uint32_t kSpanMax = 1u << 30;  // 3 days

  // What was asked for; 0 is off, or for user_timeout: R2 of the configuration.
  uint32_t keepalive_idle, keepalive_interval;
  uint32_t user_timeout;
  uint32_t close_wait;
  uint8_t keepalive_probes;  // unanswered ones that mean death
  bool adopt_user_timeout;   // the peer may set it (RFC 5482)
  // Liveness (tcp/liveness.h).
  uint8_t probes_sent;    // since the peer was heard
  bool tuning;            // the two members below are valid
  uint32_t probe_tick;    // when the next keepalive is due, if nothing is heard
  uint32_t waiting_tick;  // since when octets wait for their acknowledgment
  SeqNum waiting_una;     // snd_una then
  // Receive window (tcp/receive_tuning.h).
  SeqNum tuning_mark;        // what the application had taken up to ...
  uint32_t tuning_start_us;  // ... this Env::us
  uint32_t tuned_bytes;      // how much of the buffer it was given
  // The SYN of an active Fast Open (tcp/fast_open.h).
  uint16_t syn_mss;
  uint8_t cookie_bytes;  // 0: one is asked for
  uint8_t diffserv;      // for the upper six bits of the traffic class, where they are
  SoftError soft_error;  // the last one that the application has not taken
  bool urgent;           // octets before urgent_end (RCV.UP) were not read when a segment came last
  SeqNum urgent_end;
  std::array<std::byte, 16> cookie;

  static constexpr uint8_t kNoCookieNeeded = 0xFF;  // of cookie_bytes: no option at all

  static uint32_t Span(Duration d) {
    return static_cast<uint32_t>(std::min<int64_t>(d.ns() >> kTickShift, kSpanMax));
  }
  void Init(const Liveness& wanted) {
    *this = Extra();
    Ask(wanted);
  }
  void Ask(const Liveness& wanted) {
    keepalive_idle = wanted.keepalive ? std::max<uint32_t>(Span(wanted.keepalive_idle), 1) : 0;
    keepalive_interval = std::max<uint32_t>(Span(wanted.keepalive_interval), 1);
    keepalive_probes = wanted.keepalive_probes;
    user_timeout = Span(wanted.user_timeout);
    close_wait = Span(wanted.close_wait);
    adopt_user_timeout = wanted.adopt_user_timeout;
  }
};

}  // namespace millrace::tcp

#endif  // MILLRACE_TCP_EXTRA_H_

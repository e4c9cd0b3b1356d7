// tcp/time_wait.h - TIME-WAIT: what must be remembered of a connection for 2MSL after it closed
// (RFC 9293 section 3.6, RFC 1337, RFC 6191).
//
// At a million closes per second and 60 s there are 60 million of these, so it is 20 octets; the
// engine adds the tuple and its timer link (stack/records.h, 48 octets in all).
#ifndef MILLRACE_TCP_TIME_WAIT_H_
#define MILLRACE_TCP_TIME_WAIT_H_

#include <cstdint>

#include "millrace/base/inline.h"
#include "millrace/base/seq.h"
#include "millrace/tcp/connection.h"
#include "millrace/tcp/env.h"
#include "millrace/tcp/window.h"
#include "millrace/wire/segment.h"

namespace millrace::tcp {

struct TimeWait {
  SeqNum snd_nxt, rcv_nxt;
  uint32_t ts_recent;
  uint32_t reply_tick;  // Env::tick of the last limited ACK
  uint16_t window;      // as last advertised
  bool timestamps;
  bool replied;  // reply_tick is valid
};

enum class TimeWaitVerdict : uint8_t {
  kDrop,
  kSendAck,
  kRestart,    // send the ACK again and restart 2MSL: the peer's FIN came again
  kAcceptSyn,  // RFC 6191: the old incarnation may go, treat as a SYN to LISTEN
  kRemove,     // RST, only with Config::time_wait_honours_rst
};

// Makes `t` that of a connection, whatever it was.
MR_ALWAYS_INLINE void FillTimeWait(const Tcb& tcb, TimeWait& t) {
  t.snd_nxt = tcb.snd_nxt;
  t.rcv_nxt = tcb.rcv_nxt;
  t.ts_recent = tcb.ts_recent;
  t.window = WindowField(tcb.rcv_wnd(), tcb.rcv_window_shift());
  t.timestamps = tcb.Has(kTimestampsOn);
  t.replied = false;
}

TimeWaitVerdict OnTimeWaitSegment(TimeWait& time_wait, const wire::Segment& segment, Env& env);

// The ACK. `ts_offset` is that of the tuple (tcp/isn.h): it is not stored.
TxSegment AckOf(const TimeWait& time_wait, uint32_t ts_offset, const Env& env);

// RFC 9293 3.6.1 (MAY-2): "assigns its initial sequence number for the new connection to be larger
// than the largest sequence number it used on the previous connection incarnation".
inline SeqNum IssAbove(const TimeWait& time_wait, SeqNum iss) {
  constexpr uint32_t kGap = 1u << 16;
  return iss > time_wait.snd_nxt ? iss : time_wait.snd_nxt + kGap;
}

}  // namespace millrace::tcp

#endif  // MILLRACE_TCP_TIME_WAIT_H_

// stack/records.h - what the three pools of an engine hold: a connection costs what its state
// needs.
//
//   HalfOpen    64 octets   SYN-RECEIVED of a passive open
//   Connection  256 octets  SYN-SENT to LAST-ACK
//   TimeWait    48 octets   TIME-WAIT
// A record has one entry in the flow table, which moves from kind to kind in place, and one in the
// wheel of its pool; a TimeWait in a queue (stack/time_wait_queue.h) instead. The timer link
// belongs to the slab slot and survives Give and Take: no record is made by assigning to the whole
// of it.
#ifndef MILLRACE_STACK_RECORDS_H_
#define MILLRACE_STACK_RECORDS_H_

#include <cstdint>

#include "millrace/stack/flow_key.h"
#include "millrace/stack/timer_wheel.h"
#include "millrace/tcp/half_open.h"
#include "millrace/tcp/tcb.h"
#include "millrace/tcp/time_wait.h"

namespace millrace::stack {

struct HalfOpen {
  FlowKey key;
  tcp::HalfOpen tcp;
  TimerLink timer;
  uint32_t deadline_tick;  // tcp/timers.h; the wheel may pop the entry earlier
  uint16_t neighbor;       // next hop, held by Neighbors::Ref
  uint16_t listener;       // kNone: the slot is free
  static constexpr uint16_t kFree = 0xFFFF;
};
static_assert(sizeof(HalfOpen) == 64);

struct alignas(64) Connection {
  tcp::Tcb tcb;
  FlowKey key;
  uint64_t user_data;  // the application's
  TimerLink timer;
  uint32_t dirty_next;  // list of connections that need a visit; kNotListed when not on it
  uint32_t generation;  // counts the users of the slot: tells a stale handle
  uint16_t neighbor;    // next hop, held by Neighbors::Ref
  uint16_t listener;    // of a passive open
  bool in_use;
  bool detached;  // over for the network, but the application has not read all
  static constexpr uint32_t kNotListed = 0;  // fresh slab memory is zero; indices are stored + 1
};
static_assert(sizeof(Connection) == 256);

struct TimeWait {
  FlowKey key;
  tcp::TimeWait tcp;
  TimerLink timer;  // the tick is the end of 2MSL itself: a restart moves the entry
};
static_assert(sizeof(TimeWait) == 48);

}  // namespace millrace::stack

#endif  // MILLRACE_STACK_RECORDS_H_

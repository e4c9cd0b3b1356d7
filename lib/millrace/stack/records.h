// stack/records.h - what the three pools of an engine hold: a connection costs what its state
// needs.
//
//   HalfOpen    52 octets   SYN-RECEIVED of a passive open
//   Connection  240 octets  SYN-SENT to LAST-ACK
//   TimeWait    48 octets   TIME-WAIT
// and 12 octets of the flow table for each: 64, 252 and 60 all told. The entry of the table moves
// from kind to kind in place. A Connection has a timer in a wheel, whose link belongs to the slab
// slot and survives Give and Take: no record is made by assigning to the whole of it. The others
// wait in queues (stack/half_open_queue.h, stack/time_wait_queue.h).
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
  uint32_t prev, next;  // in stack/half_open_queue.h: index + 1, 0 is none
  uint16_t neighbor;    // next hop, held by Neighbors::Ref
  uint16_t listener;
};
static_assert(sizeof(HalfOpen) == 52);

struct alignas(16) Connection {
  tcp::Tcb tcb;
  FlowKey key;
  uint64_t user_data;  // the application's
  TimerLink timer;
  // Not 0: needs a visit (stack/visit_list.h), or is visited. Above 1: FlowTable::NumberOf its
  // entry, when it enters TIME-WAIT in that visit.
  uint32_t listed;
  uint32_t use;       // kInUse, kDetached and a count of the users of the slot
  uint16_t neighbor;  // next hop, held by Neighbors::Ref
  uint16_t listener;  // of a passive open

  static constexpr uint32_t kInUse = 1u << 0;
  static constexpr uint32_t kDetached = 1u << 1;  // over, but the application has not read all
  bool in_use() const { return (use & kInUse) != 0; }
  bool detached() const { return (use & kDetached) != 0; }
  // Tells this user of the slot from those before; never 0.
  uint32_t generation() const { return use & ~kDetached; }
  // A new user of the slot.
  void BeginUse() { use = ((use | kInUse | kDetached) + 1) | kInUse; }
};
static_assert(sizeof(Connection) == 240);

struct TimeWait {
  FlowKey key;
  tcp::TimeWait tcp;
  TimerLink timer;  // the tick is the end of 2MSL itself: a restart moves the entry

  // FlowTable::NumberOf its entry; 0 when it is not known. It lies where the first limited ACK,
  // which few ever send, will put its time.
  uint32_t place() const { return tcp.replied ? 0 : tcp.reply_tick; }
  void set_place(uint32_t place) { tcp.reply_tick = place; }  // REQUIRES: !tcp.replied
};
static_assert(sizeof(TimeWait) == 48);

}  // namespace millrace::stack

#endif  // MILLRACE_STACK_RECORDS_H_

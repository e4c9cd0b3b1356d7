// stack/memory_report.h - where an engine's memory is: its pools, their records, and what a
// connection in each state takes.
//
// Cost: a walk over a dozen pools; for operators and tests, not for the packet path.
#ifndef MILLRACE_STACK_MEMORY_REPORT_H_
#define MILLRACE_STACK_MEMORY_REPORT_H_

#include <array>
#include <cstddef>
#include <cstdint>

#include "millrace/stack/engine.h"

namespace millrace::stack {

// One pool. Records are taken in address order, so `touched` of them have memory behind them when
// pages are plain; with huge pages it is whole pages of them.
struct PoolMemory {
  const char* name;       // as the field of Limits
  uint32_t record_bytes;  // of the table: of a bucket, which has room for several
  uint32_t capacity, used, touched;

  uint64_t reserved_bytes() const { return uint64_t{record_bytes} * capacity; }
};

struct MemoryReport {
  std::array<PoolMemory, 13> pools;

  // Of one flow over IPv4 that is at rest: its record, with the timer's links in it, and its share
  // of the table. An idle connection holds nothing else. Over IPv6 the pair of addresses comes to
  // it, which all flows of the pair share (AddressPairs::Pair).
  double half_open_bytes, connection_bytes, time_wait_bytes;

  uint64_t reserved_bytes() const {
    uint64_t sum = 0;
    for (const PoolMemory& pool : pools) sum += pool.reserved_bytes();
    return sum;
  }
  const PoolMemory& Find(const char* name) const;  // REQUIRES: there is one
};

// `engine` is not changed.
MemoryReport ReportMemory(Engine& engine);

}  // namespace millrace::stack

#endif  // MILLRACE_STACK_MEMORY_REPORT_H_

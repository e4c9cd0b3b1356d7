// bench/rate/plan.h - what is measured: the work, its sizes, for how long.
#ifndef MILLRACE_BENCH_RATE_PLAN_H_
#define MILLRACE_BENCH_RATE_PLAN_H_

#include <cstdint>

#include "bench/common/loopback.h"

namespace millrace::bench {

enum class Work : uint8_t {
  kConnections,   // open, request, response with FIN, close: six packets
  kTransactions,  // request and response again and again on connections that stay
  kBulk,          // octets from client to server as fast as the windows let them
};

struct Plan {
  Work work = Work::kConnections;
  bool null = false;         // the floor: the same packets without a TCP (connections only)
  bool metered = false;      // the driver's cycles are counted too, which costs some of them
  uint64_t idle = 0;         // connections that stand beside, opened first (connections only)
  LoopbackOptions exchange;  // load, TCP, memory
};

// What one end of a run counted.
struct EndReport {
  uint64_t units = 0;      // connections, transactions or octets in the window
  uint64_t all_units = 0;  // and outside of it, for cycles per unit
  double seconds = 0;      // the window
  uint64_t failed = 0, packets = 0, retransmits = 0, evicted = 0;
  uint64_t busy_cycles = 0;         // in polls that had work
  uint64_t driver_cycles = 0;       // of these in RxBurst and TxBurst; 0 when not metered
  uint64_t p50_ns = 0, p99_ns = 0;  // of a transaction's round trip
};

}  // namespace millrace::bench

#endif  // MILLRACE_BENCH_RATE_PLAN_H_

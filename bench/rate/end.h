// bench/rate/end.h - one end of an exchange over a port: an engine with its application, or the
// null exchange.
#ifndef MILLRACE_BENCH_RATE_END_H_
#define MILLRACE_BENCH_RATE_END_H_

#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "bench/rate/plan.h"
#include "millrace/base/time.h"
#include "millrace/dpdk/clock.h"
#include "millrace/dpdk/dpdk_port.h"

namespace millrace::bench {

class End {
 public:
  virtual ~End() = default;

  // Polls once at the instant of `start`, a reading of the counter, and returns the one behind it.
  uint64_t PollFrom(uint64_t start, dpdk::Clock& clock) {
    const bool busy = Poll(clock.AtCycles(start)) > 0;
    const uint64_t end = dpdk::Clock::Cycles();
    if (busy) busy_cycles_ += end - start;
    return end;
  }

  virtual size_t Poll(Instant now) = 0;
  // The client: everything was opened and is over. A server never is.
  virtual bool done() const = 0;
  // REQUIRES: nobody polls any more.
  EndReport Report() const {
    EndReport report = Count();
    report.busy_cycles = busy_cycles_;
    return report;
  }

 private:
  virtual EndReport Count() const = 0;

  uint64_t busy_cycles_ = 0;
};

// `port` outlives the end. The server knows the client's addresses when their MAC is given.
absl::StatusOr<std::unique_ptr<End>> MakeClient(const Plan& plan, dpdk::DpdkPort& port,
                                                Instant now);
absl::StatusOr<std::unique_ptr<End>> MakeServer(const Plan& plan, dpdk::DpdkPort& port,
                                                const MacAddress& client_mac, Instant now);

}  // namespace millrace::bench

#endif  // MILLRACE_BENCH_RATE_END_H_

// bench/rate/null_exchange.h - the floor under the connection rate: the same six packets over the
// same ports, answered by code that keeps nothing.
//
// Each packet is made from the one it answers, in the same buffer: addresses, ports and numbers
// change places, the next step of the exchange is known from the flags. Lengths, options and
// checksums (verified and filled in, in software) are those of the engine's packets, so what is
// left is the cost of ports, pools and memory traffic. No table, no timers, no TIME-WAIT.
#ifndef MILLRACE_BENCH_RATE_NULL_EXCHANGE_H_
#define MILLRACE_BENCH_RATE_NULL_EXCHANGE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "bench/rate/end.h"
#include "bench/rate/metered_port.h"
#include "millrace/dpdk/dpdk_port.h"
#include "millrace/stack/port.h"
#include "millrace/wire/segment.h"

namespace millrace::bench {

// The client opens a new connection for every one that ended. A packet that is wrong, or that the
// port has no room for, ends the run: nothing repeats it.
class NullEnd final : public End {
 public:
  NullEnd(dpdk::DpdkPort& port, const Plan& plan, bool client);

  size_t Poll(Instant now) override;
  bool done() const override { return broken_ > 0 || (window_over_ && completed_ == opened_); }

 private:
  EndReport Count() const override;
  void OpenSome(Instant now);
  // Starts one connection with the next Send; false when that has no room for more or the pool is
  // empty.
  bool Open();
  void Answer(const stack::RxFrame& frame);
  void Finish(wire::PacketHandle packet, std::byte* frame, unsigned flags, uint32_t payload);
  size_t Receive(Instant now, std::span<stack::RxFrame> frames) {
    return metered_ ? meter_.RxBurst(now, frames) : port_.RxBurst(now, frames);
  }
  void Send(Instant now);

  dpdk::DpdkPort& port_;
  MeteredPort meter_;
  bool metered_, client_;
  LoadPlan load_;
  uint32_t options_bytes_, syn_options_bytes_;
  uint64_t opened_ = 0, completed_ = 0, completed_in_window_ = 0;
  uint64_t broken_ = 0, packets_ = 0;
  bool started_ = false, window_over_ = false;
  Instant start_;
  Duration window_;
  size_t out_count_ = 0;
  std::array<wire::PacketHandle, 2 * stack::kBurst> out_{};
};

}  // namespace millrace::bench

#endif  // MILLRACE_BENCH_RATE_NULL_EXCHANGE_H_

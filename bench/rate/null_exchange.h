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

#include "millrace/dpdk/dpdk_port.h"
#include "millrace/stack/port.h"
#include "millrace/wire/segment.h"

namespace millrace::bench {

// One end. The client opens a new connection for every one that ended.
class NullEnd {
 public:
  NullEnd(dpdk::DpdkPort& port, bool timestamps)
      : port_(port), options_bytes_(timestamps ? 12 : 0), syn_options_bytes_(timestamps ? 20 : 8) {}

  // Starts one connection with the next Poll; false when that has no room for more or the pool is
  // empty.
  bool Open();

  // Answers a burst; returns how many frames came.
  size_t Poll(Instant now) {
    std::array<stack::RxFrame, stack::kBurst> burst;
    const size_t received = port_.RxBurst(now, burst);
    for (const stack::RxFrame& frame : std::span(burst).first(received)) Answer(frame);
    Send(now);
    packets_ += received;
    return received;
  }

  uint64_t completed = 0;  // exchanges whose last packet came here
  uint64_t broken = 0;     // packets that were wrong or lost
  uint64_t packets() const { return packets_; }

 private:
  static constexpr size_t kFrameBytesMax = 14 + 20 + 40 + 1;

  void Answer(const stack::RxFrame& frame);
  void Finish(wire::PacketHandle packet, std::byte* frame, unsigned flags, uint32_t payload);

  // What the ring has no room for is lost, and counted as broken.
  void Send(Instant now) {
    if (out_count_ == 0) return;
    const size_t sent = port_.TxBurst(now, std::span(out_).first(out_count_));
    if (sent < out_count_) {
      broken += out_count_ - sent;
      port_.Free(std::span(out_).subspan(sent, out_count_ - sent));
    }
    out_count_ = 0;
  }

  dpdk::DpdkPort& port_;
  uint32_t options_bytes_, syn_options_bytes_;
  uint32_t opened_ = 0;
  uint64_t packets_ = 0;
  size_t out_count_ = 0;
  std::array<wire::PacketHandle, 2 * stack::kBurst> out_{};
};

}  // namespace millrace::bench

#endif  // MILLRACE_BENCH_RATE_NULL_EXCHANGE_H_

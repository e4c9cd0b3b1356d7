// bench/rate/metered_port.h - a port that counts the cycles of its bursts.
//
// Four readings of the counter per poll, some 40 ns: figures of a metered run tell shares, those of
// a run without it tell rates. A burst that receives nothing is not counted, as the poll around it
// is not when it stays idle.
#ifndef MILLRACE_BENCH_RATE_METERED_PORT_H_
#define MILLRACE_BENCH_RATE_METERED_PORT_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "millrace/dpdk/clock.h"
#include "millrace/dpdk/dpdk_port.h"
#include "millrace/stack/port.h"

namespace millrace::bench {

class MeteredPort {
 public:
  explicit MeteredPort(dpdk::DpdkPort& port) : port_(port) {}

  const stack::PortCapabilities& capabilities() const { return port_.capabilities(); }
  size_t RxBurst(Instant now, std::span<stack::RxFrame> frames) {
    const uint64_t start = dpdk::Clock::Cycles();
    const size_t received = port_.RxBurst(now, frames);
    if (received > 0) cycles_ += dpdk::Clock::Cycles() - start;
    return received;
  }
  wire::PacketHandle Allocate() { return port_.Allocate(); }
  std::byte* Data(wire::PacketHandle packet) { return port_.Data(packet); }
  void Finish(wire::PacketHandle packet, uint32_t length, const stack::TxOffload& offload) {
    port_.Finish(packet, length, offload);
  }
  size_t TxBurst(Instant now, std::span<const wire::PacketHandle> packets) {
    const uint64_t start = dpdk::Clock::Cycles();
    const size_t sent = port_.TxBurst(now, packets);
    cycles_ += dpdk::Clock::Cycles() - start;
    return sent;
  }
  void Free(std::span<const wire::PacketHandle> packets) { port_.Free(packets); }

  uint64_t cycles() const { return cycles_; }

 private:
  dpdk::DpdkPort& port_;
  uint64_t cycles_ = 0;
};

static_assert(stack::Port<MeteredPort>);

}  // namespace millrace::bench

#endif  // MILLRACE_BENCH_RATE_METERED_PORT_H_

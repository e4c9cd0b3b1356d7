// threads/thread_port.h - stack::Port over rings between real threads: heap packets, and one queue
// pair of a device whose queue i is joined to queue i of another. As net_memif is, without DPDK,
// whose libraries ThreadSanitizer does not see into.
// Threading: one worker each. Cost: a heap allocation a packet.
#ifndef MILLRACE_TESTS_THREADS_THREAD_PORT_H_
#define MILLRACE_TESTS_THREADS_THREAD_PORT_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "millrace/base/spsc_ring.h"
#include "millrace/stack/port.h"

namespace millrace::testing {

struct ThreadPacket {
  uint32_t length = 0;
  std::array<std::byte, 1536> data;
};

using ThreadWire = SpscRing<ThreadPacket*>;

class ThreadPort {
 public:
  // Without wires it only has packets: for a worker without a queue. What is on a wire at the end
  // belongs to who reads it.
  ThreadPort(const MacAddress& mac, ThreadWire* in, ThreadWire* out) : in_(in), out_(out) {
    capabilities_.mac = mac;
  }
  ThreadPort(const ThreadPort&) = delete;
  ThreadPort& operator=(const ThreadPort&) = delete;
  ~ThreadPort() {
    ThreadPacket* packet = nullptr;
    while (in_ != nullptr && in_->Pop({&packet, 1}) == 1) delete packet;
  }

  const stack::PortCapabilities& capabilities() const { return capabilities_; }

  size_t RxBurst(Instant, std::span<stack::RxFrame> frames) {
    if (in_ == nullptr) return 0;
    std::array<ThreadPacket*, stack::kBurst> packets;
    const size_t count =
        in_->Pop(std::span(packets).first(std::min(frames.size(), packets.size())));
    for (size_t i = 0; i < count; ++i) {
      frames[i] = {.packet = HandleOf(packets[i]),
                   .data = packets[i]->data.data(),
                   .length = packets[i]->length};
    }
    return count;
  }
  wire::PacketHandle Allocate() { return HandleOf(new ThreadPacket); }
  std::byte* Data(wire::PacketHandle packet) { return Of(packet)->data.data(); }
  void Finish(wire::PacketHandle packet, uint32_t length, const stack::TxOffload&) {
    Of(packet)->length = length;
  }
  size_t TxBurst(Instant, std::span<const wire::PacketHandle> packets) {
    size_t sent = 0;
    while (sent < packets.size()) {
      ThreadPacket* packet = Of(packets[sent]);
      if (out_->Push({&packet, 1}) == 0) break;
      ++sent;
    }
    return sent;
  }
  void Free(std::span<const wire::PacketHandle> packets) {
    for (const wire::PacketHandle packet : packets) delete Of(packet);
  }

 private:
  static ThreadPacket* Of(wire::PacketHandle packet) {
    return reinterpret_cast<ThreadPacket*>(packet);
  }
  static wire::PacketHandle HandleOf(ThreadPacket* packet) {
    return static_cast<wire::PacketHandle>(reinterpret_cast<uintptr_t>(packet));
  }

  stack::PortCapabilities capabilities_;
  ThreadWire* in_;
  ThreadWire* out_;
};

static_assert(stack::Port<ThreadPort>);

}  // namespace millrace::testing

#endif  // MILLRACE_TESTS_THREADS_THREAD_PORT_H_

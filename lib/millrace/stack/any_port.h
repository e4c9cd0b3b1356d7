// stack/any_port.h - any port, as a type that layers around ports can be stacked on.
//
// What stands between a stack and its device (a bad network, VLAN tags, reassembly) is chosen when
// the program starts. As templates alone, each combination would be another Stack to compile; over
// this, there are two: one for the bare device, where every call is inlined, and one for the rest.
// Threading: that of the port. Cost: an indirect call where the bare port has none, three per
// packet that is sent and one per burst.
#ifndef MILLRACE_STACK_ANY_PORT_H_
#define MILLRACE_STACK_ANY_PORT_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "millrace/stack/port.h"

namespace millrace::stack {

class AnyPort {
 public:
  // Borrows `port`.
  template <Port P>
  explicit AnyPort(P& port) : port_(&port), calls_(&kCallsOf<P>) {}

  // The stack::Port concept.
  const PortCapabilities& capabilities() const { return calls_->capabilities(port_); }
  size_t RxBurst(Instant now, std::span<RxFrame> frames) {
    return calls_->rx_burst(port_, now, frames);
  }
  wire::PacketHandle Allocate() { return calls_->allocate(port_); }
  std::byte* Data(wire::PacketHandle packet) { return calls_->data(port_, packet); }
  void Finish(wire::PacketHandle packet, uint32_t length, const TxOffload& offload) {
    calls_->finish(port_, packet, length, offload);
  }
  size_t TxBurst(Instant now, std::span<const wire::PacketHandle> packets) {
    return calls_->tx_burst(port_, now, packets);
  }
  void Free(std::span<const wire::PacketHandle> packets) { calls_->free(port_, packets); }

 private:
  struct Calls {
    const PortCapabilities& (*capabilities)(const void*);
    size_t (*rx_burst)(void*, Instant, std::span<RxFrame>);
    wire::PacketHandle (*allocate)(void*);
    std::byte* (*data)(void*, wire::PacketHandle);
    void (*finish)(void*, wire::PacketHandle, uint32_t, const TxOffload&);
    size_t (*tx_burst)(void*, Instant, std::span<const wire::PacketHandle>);
    void (*free)(void*, std::span<const wire::PacketHandle>);
  };

  template <class P>
  static P& As(void* port) {
    return *static_cast<P*>(port);
  }
  template <class P>
  static constexpr Calls kCallsOf{
      .capabilities = [](const void* port) -> const PortCapabilities& {
        return static_cast<const P*>(port)->capabilities();
      },
      .rx_burst = [](void* port, Instant now,
                     std::span<RxFrame> frames) { return As<P>(port).RxBurst(now, frames); },
      .allocate = [](void* port) { return As<P>(port).Allocate(); },
      .data = [](void* port, wire::PacketHandle packet) { return As<P>(port).Data(packet); },
      .finish = [](void* port, wire::PacketHandle packet, uint32_t length,
                   const TxOffload& offload) { As<P>(port).Finish(packet, length, offload); },
      .tx_burst =
          [](void* port, Instant now, std::span<const wire::PacketHandle> packets) {
            return As<P>(port).TxBurst(now, packets);
          },
      .free = [](void* port,
                 std::span<const wire::PacketHandle> packets) { As<P>(port).Free(packets); },
  };

  void* port_;
  const Calls* calls_;
};

static_assert(Port<AnyPort>);

}  // namespace millrace::stack

#endif  // MILLRACE_STACK_ANY_PORT_H_

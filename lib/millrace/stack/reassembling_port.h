// stack/reassembling_port.h - a port whose fragments arrive as whole datagrams, around another
// port.
//
// The engine refuses every fragment (RFC 8900; DropReason::kIpFragment); behind this port it sees
// none, up to the MTU, which is what our MSS lets anybody send. Fragments that cannot be are passed
// on as they are, so that the engine counts them with their reason.
// Nothing is told to the sender of a datagram that stays incomplete: see ARCHITECTURE.md.
// Threading: that of the inner port. Cost: a look at two fields per frame received.
#ifndef MILLRACE_STACK_REASSEMBLING_PORT_H_
#define MILLRACE_STACK_REASSEMBLING_PORT_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "millrace/base/time.h"
#include "millrace/stack/port.h"
#include "millrace/stack/reassembly.h"
#include "millrace/wire/fragment.h"

namespace millrace::stack {

template <Port P>
class ReassemblingPort {
 public:
  // Borrows `inner`. Datagrams are at most as long as its MTU, whatever `config` says.
  ReassemblingPort(P& inner, ReassemblyConfig config)
      : inner_(inner), reassembler_(WithMtu(config, inner.capabilities().mtu)) {}
  ReassemblingPort(const ReassemblingPort&) = delete;
  ReassemblingPort& operator=(const ReassemblingPort&) = delete;

  // The stack::Port concept.
  const PortCapabilities& capabilities() const { return inner_.capabilities(); }
  size_t RxBurst(Instant now, std::span<RxFrame> frames);
  wire::PacketHandle Allocate() { return inner_.Allocate(); }
  std::byte* Data(wire::PacketHandle packet) { return inner_.Data(packet); }
  void Finish(wire::PacketHandle packet, uint32_t length, const TxOffload& offload) {
    inner_.Finish(packet, length, offload);
  }
  size_t TxBurst(Instant now, std::span<const wire::PacketHandle> packets) {
    return inner_.TxBurst(now, packets);
  }
  void Free(std::span<const wire::PacketHandle> packets) { inner_.Free(packets); }

  const Reassembler& reassembler() const { return reassembler_; }

 private:
  static ReassemblyConfig WithMtu(ReassemblyConfig config, uint16_t mtu) {
    config.datagram_bytes_max = mtu;
    return config;
  }
  // The datagram that Take has completed, in a packet of its own.
  std::optional<RxFrame> TakeWhole();

  P& inner_;
  Reassembler reassembler_;
};

// Inline definitions

template <Port P>
size_t ReassemblingPort<P>::RxBurst(Instant now, std::span<RxFrame> frames) {
  const size_t received = inner_.RxBurst(now, frames);
  reassembler_.Expire(now);
  size_t count = 0;
  for (size_t i = 0; i < received; ++i) {
    const RxFrame frame = frames[i];
    const auto fragment = wire::ParseFragment(frame.data, frame.length, inner_.capabilities().mac);
    if (!fragment.has_value()) [[likely]] {
      frames[count++] = frame;
      continue;
    }
    const bool complete = reassembler_.Take(*fragment, now);
    inner_.Free({&frame.packet, 1});
    if (!complete) continue;
    if (const std::optional<RxFrame> whole = TakeWhole()) frames[count++] = *whole;
  }
  return count;
}

template <Port P>
std::optional<RxFrame> ReassemblingPort<P>::TakeWhole() {
  const wire::PacketHandle packet = inner_.Allocate();
  if (packet == wire::PacketHandle::kNone) {
    reassembler_.Discard();
    return std::nullopt;
  }
  // Nobody has verified the checksum of the whole.
  const RxFrame frame{
      .packet = packet, .data = inner_.Data(packet), .length = reassembler_.FrameBytes()};
  reassembler_.Emit(frame.data);
  return frame;
}

}  // namespace millrace::stack

#endif  // MILLRACE_STACK_REASSEMBLING_PORT_H_

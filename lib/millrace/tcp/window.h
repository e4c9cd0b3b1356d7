// tcp/window.h - receive window and segment acceptability (RFC 9293 sections 3.8.6 and 3.10.7.4).
#ifndef MILLRACE_TCP_WINDOW_H_
#define MILLRACE_TCP_WINDOW_H_

#include <algorithm>
#include <bit>
#include <cstdint>

#include "millrace/base/inline.h"
#include "millrace/tcp/tcb.h"

namespace millrace::tcp {

// RFC 7323 2.3: a shift above 14 is taken as 14.
inline constexpr uint8_t kWindowShiftMax = 14;

// The smallest shift that lets `buffer_bytes` be advertised.
constexpr uint8_t WindowShiftFor(uint32_t buffer_bytes) {
  const int beyond_field = static_cast<int>(std::bit_width(buffer_bytes)) - 16;
  return static_cast<uint8_t>(std::clamp<int>(beyond_field, 0, kWindowShiftMax));
}

// What our SYN says: enough for what the buffer may grow to.
constexpr uint8_t OurWindowShift(const Config& config) {
  return WindowShiftFor(std::max(config.receive_buffer_bytes, config.receive_buffer_max_bytes));
}

// RFC 9293 3.10.7.4, table 6: "There are four cases for the acceptability test for an incoming
// segment".
constexpr bool IsAcceptable(SeqNum seq, uint32_t length, SeqNum rcv_nxt, uint32_t rcv_wnd) {
  if (length == 0) {
    return rcv_wnd == 0 ? seq == rcv_nxt : seq.InWindow(rcv_nxt, rcv_wnd);
  }
  if (rcv_wnd == 0) return false;
  return seq.InWindow(rcv_nxt, rcv_wnd) || (seq + (length - 1)).InWindow(rcv_nxt, rcv_wnd);
}

// What of a buffer the window field can say with this shift. The rest would not be offered, so it
// is not part of RCV.WND, nor of Tcb::receive_buffer_bytes, either.
constexpr uint32_t OfferedBuffer(uint32_t buffer_bytes, int shift) {
  return std::min<uint32_t>(buffer_bytes, 0xFFFFu << shift);
}

// Up to where the buffer has room: left of RCV.NXT when it holds more than it should.
MR_ALWAYS_INLINE SeqNum RoomEdge(const Tcb& tcb) {
  return tcb.rcv_nxt + tcb.receive_buffer_bytes - tcb.receive.ready_bytes();
}

// Where the right edge may be now: never left of what was advertised (SHLD-14), moved right only
// by at least a segment or half of the buffer (RFC 9293 3.8.6.2.2, receiver's SWS avoidance).
MR_ALWAYS_INLINE SeqNum NextRightEdge(const Tcb& tcb) {
  const SeqNum edge = RoomEdge(tcb);
  if (edge <= tcb.rcv_adv) return tcb.rcv_adv;
  const uint32_t step = std::min<uint32_t>(tcb.receive_buffer_bytes / 2, tcb.snd_mss);
  return edge.Since(tcb.rcv_adv) >= step ? edge : tcb.rcv_adv;
}

// The window field for `window` octets, rounded up to the scale.
constexpr uint16_t WindowField(uint32_t window, int shift) {
  return static_cast<uint16_t>(std::min<uint32_t>((window + (1u << shift) - 1) >> shift, 0xFFFF));
}

// By how much the octets that are offered and held may exceed the buffer in all, for the sake of
// edges that are rounded up.
MR_ALWAYS_INLINE uint32_t RoundingRoom(const Tcb& tcb) { return tcb.receive_buffer_bytes / 16; }

// Moves the right edge and returns the window field that says so. Rounded down, an edge that stays
// where it is would move left on the wire with each segment that RCV.NXT moves by less than a unit.
// So it is rounded up (as Linux does), until a peer whose segments are shorter than a unit has been
// given RoundingRoom() for nothing: RFC 7323 2.4, "there are instances when a retracted window can
// be offered".
MR_ALWAYS_INLINE uint16_t OfferWindow(Tcb& tcb) {
  const int shift = tcb.rcv_window_shift();
  const int32_t gain = RoomEdge(tcb) - tcb.rcv_adv;
  if (gain < 0 && -gain > static_cast<int32_t>(RoundingRoom(tcb))) [[unlikely]] {
    return static_cast<uint16_t>(tcb.rcv_wnd() >> shift);
  }
  // Shifted as a negative number it is rounded up.
  const int32_t field = (tcb.rcv_nxt - NextRightEdge(tcb)) >> shift;
  tcb.rcv_adv = tcb.rcv_nxt - (static_cast<uint32_t>(field) << shift);
  return static_cast<uint16_t>(-field);
}

}  // namespace millrace::tcp

#endif  // MILLRACE_TCP_WINDOW_H_

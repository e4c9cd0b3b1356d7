// Acceptability of segments against a count of octets, and the windows we offer (SEG-01 to SEG-04,
// SEG-08, TS-12, FLW-02).

#include "millrace/tcp/window.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <vector>

namespace millrace::tcp {
namespace {

// RFC 9293 3.10.7.4, table 6, octet by octet: the segment occupies [offset, offset + length) from
// RCV.NXT on, the window [0, window).
bool Reference(int64_t offset, int64_t length, int64_t window) {
  if (length == 0 && window == 0) return offset == 0;
  if (length == 0) return offset >= 0 && offset < window;
  if (window == 0) return false;
  const int64_t last = offset + length - 1;
  return (offset >= 0 && offset < window) || (last >= 0 && last < window);
}

TEST(Acceptability, FollowsTable6AtEveryEdgeWhereverTheWindowLies) {
  for (uint32_t rcv_nxt : {0u, 1u, 1'000'000u, 0x7FFF'FFF8u, 0xFFFF'FFF0u, 0xFFFF'FFFFu}) {
    for (uint32_t window : {0u, 1u, 2u, 10u, 100u}) {
      for (uint32_t length : {0u, 1u, 2u, 9u, 10u, 11u, 50u}) {
        for (int offset = -60; offset <= 160; ++offset) {
          const SeqNum left(rcv_nxt);
          ASSERT_EQ(IsAcceptable(left + static_cast<uint32_t>(offset), length, left, window),
                    Reference(offset, length, window))
              << rcv_nxt << " window " << window << " length " << length << " at " << offset;
        }
      }
    }
  }
}

TEST(WindowShift, IsTheSmallestThatFits) {
  EXPECT_EQ(WindowShiftFor(0), 0);
  EXPECT_EQ(WindowShiftFor(65'535), 0);
  EXPECT_EQ(WindowShiftFor(65'536), 1);
  EXPECT_EQ(WindowShiftFor(256 * 1024), 3);
  EXPECT_EQ(WindowShiftFor(1u << 30), 14);
  EXPECT_EQ(WindowShiftFor(0xFFFF'FFFF), kWindowShiftMax);
}

TEST(WindowField, IsRoundedUpAndNeverAboveTheField) {
  EXPECT_EQ(WindowField(65'535, 0), 65'535);
  EXPECT_EQ(WindowField(65'536, 0), 65'535);
  EXPECT_EQ(WindowField(1023, 3), 128);
  EXPECT_EQ(WindowField(1, 3), 1);
  EXPECT_EQ(WindowField(0, 3), 0);
}

Tcb Receiver(uint32_t buffer, uint32_t window, uint16_t mss) {
  Tcb tcb{};
  tcb.rcv_nxt = SeqNum(0xFFFF'FF00);
  tcb.rcv_adv = tcb.rcv_nxt + window;
  tcb.receive_buffer_bytes = buffer;
  tcb.snd_mss = mss;
  return tcb;
}

// FLW-02 (SHLD-14)
TEST(RightEdge, NeverMovesLeft) {
  const Tcb tcb = Receiver(1000, 5000, 1460);  // the buffer is smaller than what was promised
  EXPECT_EQ(NextRightEdge(tcb), tcb.rcv_adv);
}

// RFC 9293 3.8.6.2.2 (MUST-39): by min(half of the buffer, a segment) at least.
TEST(RightEdge, MovesByASegmentOrHalfOfTheBufferAtLeast) {
  Tcb tcb = Receiver(10'000, 10'000 - 1459, 1460);
  EXPECT_EQ(NextRightEdge(tcb), tcb.rcv_adv);
  tcb = Receiver(10'000, 10'000 - 1460, 1460);
  EXPECT_EQ(NextRightEdge(tcb), tcb.rcv_nxt + 10'000);
  tcb = Receiver(2000, 1001, 1460);
  EXPECT_EQ(NextRightEdge(tcb), tcb.rcv_adv);
  tcb = Receiver(2000, 1000, 1460);
  EXPECT_EQ(NextRightEdge(tcb), tcb.rcv_nxt + 2000);
}

// FLW-02 (SHLD-14): as the wire has it, while the buffer has room for the rounding; and then by
// less than a unit (RFC 7323 2.4), so that a peer gains no more than that room by short segments.
TEST(RightEdge, MovesLeftOnTheWireOnlyWhenRoundingHasTakenItsRoom) {
  constexpr uint32_t kBuffer = 1 << 20, kUnit = 128;
  for (const uint32_t length : {100u, 127u, 1460u}) {
    SCOPED_TRACE(length);
    Tcb tcb = Receiver(kBuffer, kBuffer, 1460);
    tcb.window_scales = 7 << 4;
    ReceivePool pool(16 * 1024);
    const std::vector<std::byte> text(length);
    SeqNum edge = tcb.rcv_adv;
    bool retracted = false;
    while (tcb.rcv_wnd() >= length) {
      ASSERT_TRUE(tcb.receive.AppendNext(tcb.rcv_nxt, text.data(), length, wire::PacketHandle{1},
                                         16 * 1024, pool));
      tcb.rcv_nxt += length;
      const SeqNum now = tcb.rcv_nxt + uint32_t{OfferWindow(tcb)} * kUnit;
      retracted = retracted || now < edge;
      ASSERT_GT(now + kUnit, edge);
      ASSERT_LE(tcb.receive.ready_bytes() + tcb.rcv_wnd(), kBuffer + RoundingRoom(tcb) + kUnit);
      edge = Max(edge, now);
    }
    EXPECT_EQ(retracted, length < kUnit);
  }
}

}  // namespace
}  // namespace millrace::tcp

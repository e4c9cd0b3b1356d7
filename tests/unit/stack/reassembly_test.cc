#include "millrace/stack/reassembly.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "millrace/base/prng.h"
#include "testing/fragments.h"
#include "unit/wire/ipv6_builder.h"

namespace millrace::stack {
namespace {

using millrace::testing::FragmentOf;
using millrace::testing::SplitFrame;
using wire::testing::Bytes;
using wire::testing::Counting;

constexpr Instant At(double seconds) {
  return Instant::FromNanoseconds(static_cast<int64_t>(seconds * 1e9) + 1'000'000'000);
}

// A datagram of 20 octets of TCP header and 300 of payload, without TCP options.
Bytes Whole(bool v6) {
  wire::TcpFields tcp = wire::testing::UsualTcp();
  tcp.options = {};
  return v6 ? wire::testing::BuildV6({.tcp = tcp, .payload = Counting(300)})
            : wire::testing::Build({.tcp = tcp, .payload = Counting(300)});
}

// Gives a fragment to the table; true and the frame when that makes it complete.
bool Give(Reassembler& r, const Bytes& frame, Instant now, Bytes* out = nullptr) {
  const auto fragment = wire::ParseFragment(frame.data(), static_cast<uint32_t>(frame.size()),
                                            wire::testing::kOurMac);
  if (!fragment.has_value()) {
    ADD_FAILURE() << "no fragment";
    return false;
  }
  if (!r.Take(*fragment, now)) return false;
  Bytes whole(r.FrameBytes());
  r.Emit(whole.data());
  if (out != nullptr) *out = whole;
  return true;
}

// What the engine would see of it.
void ExpectIsWhole(const Bytes& frame) {
  const wire::testing::Parsed parsed = wire::testing::ParseV6(frame);
  EXPECT_EQ(parsed.drop, wire::DropReason::kNone);
  EXPECT_EQ(parsed.Payload(), Counting(300));
}

class Reassembly : public ::testing::TestWithParam<bool> {
 protected:
  Reassembler r_{ReassemblyConfig{.datagrams_max = 4}};
  Bytes whole_ = Whole(GetParam());
};
INSTANTIATE_TEST_SUITE_P(Families, Reassembly, ::testing::Bool(),
                         [](const auto& family) { return family.param ? "Ipv6" : "Ipv4"; });

// IPL-01: pieces in any order, each twice, make the datagram exactly once.
TEST_P(Reassembly, AnyOrderAndDuplicatesMakeTheDatagram) {
  Prng dice(1);
  for (uint32_t round = 0; round < 200; ++round) {
    auto fragments = SplitFrame(whole_, 24 + 8 * static_cast<uint32_t>(dice.Below(20)), round);
    const auto shuffle = [&dice](auto& list) {
      for (size_t i = list.size(); i > 1; --i) std::swap(list[i - 1], list[dice.Below(i)]);
    };
    shuffle(fragments);
    // Copies of all but the last to come, which would begin another datagram.
    const Bytes last = fragments.back();
    fragments.pop_back();
    const auto copies = fragments;
    fragments.insert(fragments.end(), copies.begin(), copies.end());
    shuffle(fragments);
    for (const Bytes& f : fragments) EXPECT_FALSE(Give(r_, f, At(0)));
    Bytes out;
    ASSERT_TRUE(Give(r_, last, At(0), &out));
    ExpectIsWhole(out);
    EXPECT_EQ(r_.waiting(), 0u);
  }
  EXPECT_EQ(r_.counters().reassembled, 200u);
}

// IPL-02, RFC 5722 4, RFC 8200 4.5: "If any of the fragments being reassembled overlap with any
// other fragments being reassembled for the same packet, reassembly of that packet must be
// abandoned and all the fragments that have been received for that packet must be discarded".
TEST_P(Reassembly, OverlapDiscardsTheDatagramAndWhatStillComes) {
  struct Piece {
    uint32_t offset, length;
    bool more;
  };
  struct Case {
    const char* what;
    std::vector<Piece> pieces;
  };
  const Case cases[] = {
      {"from the left", {{64, 64, true}, {56, 16, true}}},
      {"from the right", {{64, 64, true}, {120, 16, true}}},
      {"inside", {{0, 128, true}, {64, 8, true}}},
      {"around", {{64, 8, true}, {0, 128, true}}},
      {"same begin", {{64, 64, true}, {64, 72, true}}},
      {"same end", {{64, 64, true}, {56, 72, true}}},
      {"behind the end", {{240, 32, false}, {272, 8, true}}},
      {"another end, further", {{240, 32, false}, {272, 48, false}}},
      {"another end, nearer", {{240, 80, false}, {160, 40, false}}},
      {"more behind the end", {{160, 40, false}, {200, 8, true}}},
      {"last one in front of others", {{240, 40, true}, {160, 40, false}}},
  };
  uint32_t id = 0;
  for (const Case& c : cases) {
    SCOPED_TRACE(c.what);
    const uint64_t overlapped = r_.counters().overlapped;
    ++id;
    for (const Piece& p : c.pieces) {
      EXPECT_FALSE(Give(r_, FragmentOf(whole_, p.offset, p.length, p.more, id), At(0)));
    }
    EXPECT_EQ(r_.counters().overlapped, overlapped + 1);
    // "including those not yet received"
    for (const Bytes& f : SplitFrame(whole_, 80, id)) EXPECT_FALSE(Give(r_, f, At(1)));
    EXPECT_EQ(r_.counters().overlapped, overlapped + 1);
    r_.Expire(At(100));
  }
  EXPECT_EQ(r_.counters().reassembled, 0u);
  // The next one with the same identification is nothing to do with it.
  Bytes out;
  for (const Bytes& f : SplitFrame(whole_, 160, id)) Give(r_, f, At(101), &out);
  ExpectIsWhole(out);
}

// IPL-03: 30 s (IPv4) and 60 s (IPv6) after the first fragment, whatever came since.
TEST_P(Reassembly, TimeoutFreesTheFragments) {
  const double timeout = GetParam() ? 60 : 30;
  const auto fragments = SplitFrame(whole_, 80, 1);
  Give(r_, fragments[0], At(0));
  Give(r_, fragments[1], At(timeout - 1));
  EXPECT_EQ(r_.NextDue(), At(timeout));
  r_.Expire(At(timeout - 0.001));
  EXPECT_EQ(r_.waiting(), 1u);
  r_.Expire(At(timeout));
  EXPECT_EQ(r_.waiting(), 0u);
  EXPECT_EQ(r_.NextDue(), Instant::Never());
  EXPECT_EQ(r_.counters().timed_out, 1u);
  EXPECT_FALSE(Give(r_, fragments[2], At(timeout)));
  EXPECT_FALSE(Give(r_, fragments[3], At(timeout)));
}

// IPL-01: "16 per packet".
TEST_P(Reassembly, DatagramInMorePiecesThanTheBoundIsGivenUp) {
  const auto give_all = [this](uint32_t piece, uint32_t id) {
    bool complete = false;
    for (const Bytes& f : SplitFrame(whole_, piece, id)) complete |= Give(r_, f, At(0));
    return complete;
  };
  EXPECT_TRUE(give_all(24, 1));  // 320 octets in 14
  for (uint32_t i = 0; i < 17; ++i) {
    const uint32_t at = i == 0 ? 0 : 24 + 8 * (i - 1);
    EXPECT_FALSE(Give(r_, FragmentOf(whole_, at, i == 0 ? 24 : 8, true, 2), At(0)));
    EXPECT_EQ(r_.counters().too_many, i < 16 ? 0u : 1u);
  }
}

// Bound of datagrams: the oldest one goes, so that a new one gets through behind any number of
// halves.
TEST_P(Reassembly, NewDatagramTakesThePlaceOfTheOldest) {
  for (uint32_t id = 1; id <= 1000; ++id) {
    Give(r_, FragmentOf(whole_, 80, 80, true, id), At(id * 1e-3));
    EXPECT_LE(r_.waiting(), 4u);
  }
  EXPECT_EQ(r_.counters().evicted, 996u);
  Bytes out;
  for (const Bytes& f : SplitFrame(whole_, 160, 5000)) Give(r_, f, At(2), &out);
  ExpectIsWhole(out);
}

TEST_P(Reassembly, DatagramBeyondTheLongestIsGivenUp) {
  const uint32_t header = static_cast<uint32_t>(whole_.size()) - 14 - 320;
  Reassembler small(
      {.datagrams_max = 1, .datagram_bytes_max = static_cast<uint16_t>(header + 312)});
  for (const Bytes& f : SplitFrame(whole_, 80, 1)) EXPECT_FALSE(Give(small, f, At(0)));
  EXPECT_EQ(small.counters().too_long, 1u);
  Reassembler exact(
      {.datagrams_max = 1, .datagram_bytes_max = static_cast<uint16_t>(header + 320)});
  bool complete = false;
  for (const Bytes& f : SplitFrame(whole_, 80, 1)) complete |= Give(exact, f, At(0));
  EXPECT_TRUE(complete);
}

// RFC 7112 5, RFC 3128: flags that a filter in the first fragment did not see.
TEST_P(Reassembly, TcpHeaderInPartsIsRefused) {
  for (const Bytes& f : SplitFrame(whole_, 16, 1)) EXPECT_FALSE(Give(r_, f, At(0)));
  EXPECT_EQ(r_.counters().tiny_first, 1u);
}

// RFC 3168 5.3: congestion that one fragment met, the datagram has met.
TEST_P(Reassembly, CongestionMarkOfAFragmentIsKept) {
  constexpr uint8_t kNotEct = 0, kEct1 = 1, kEct0 = wire::kEcnEct0, kCe = wire::kEcnCe;
  struct Case {
    uint8_t first, second;
    int whole;  // -1: dropped
  };
  const auto mark = [](Bytes frame, uint8_t ecn) {
    if (LoadU8(frame.data() + 14) >> 4 == 6) {
      StoreBe16(frame.data() + 14, static_cast<uint16_t>(LoadBe16(frame.data() + 14) | ecn << 4));
    } else {
      StoreU8(frame.data() + 15, ecn);
      StoreBe16(frame.data() + 24, 0);
      const uint16_t sum = wire::ChecksumFold(wire::ChecksumAdd(frame.data() + 14, 20, 0));
      StoreBe16(frame.data() + 24, static_cast<uint16_t>(~sum));
    }
    return frame;
  };
  uint32_t id = 0;
  for (const Case c :
       {Case{kNotEct, kNotEct, 0}, Case{kEct0, kEct0, 2}, Case{kEct0, kCe, 3}, Case{kCe, kEct0, 3},
        Case{kCe, kCe, 3}, Case{kEct1, kCe, 3}, Case{kNotEct, kCe, -1}, Case{kCe, kNotEct, -1}}) {
    SCOPED_TRACE(std::to_string(c.first) + " " + std::to_string(c.second));
    auto fragments = SplitFrame(whole_, 160, ++id);
    ASSERT_EQ(fragments.size(), 2u);
    Bytes out;
    EXPECT_FALSE(Give(r_, mark(fragments[0], c.first), At(0)));
    EXPECT_EQ(Give(r_, mark(fragments[1], c.second), At(0), &out), c.whole >= 0);
    if (c.whole < 0) continue;
    EXPECT_EQ(wire::testing::ParseV6(out).tcp.ecn, c.whole);
  }
  EXPECT_EQ(r_.counters().ecn_mixed, 2u);
}

// Fragments of different datagrams are never mixed, whatever part of the key they differ in.
TEST_P(Reassembly, EveryPartOfTheKeyTellsDatagramsApart) {
  const size_t source_at = GetParam() ? 22 : 26, destination_at = GetParam() ? 38 : 30;
  const auto fragments = SplitFrame(whole_, 160, 1);
  for (const size_t at : {source_at, destination_at}) {
    Bytes other = fragments[1];
    other[at] ^= std::byte{1};
    if (!GetParam()) {
      StoreBe16(other.data() + 24, 0);
      const uint16_t sum = wire::ChecksumFold(wire::ChecksumAdd(other.data() + 14, 20, 0));
      StoreBe16(other.data() + 24, static_cast<uint16_t>(~sum));
    }
    EXPECT_FALSE(Give(r_, other, At(0)));
  }
  EXPECT_FALSE(Give(r_, SplitFrame(whole_, 160, 2)[1], At(0)));
  EXPECT_EQ(r_.waiting(), 3u);
  EXPECT_FALSE(Give(r_, fragments[0], At(0)));
  EXPECT_TRUE(Give(r_, fragments[1], At(0)));
}

// Headers of a first fragment beyond what is kept of them: too long.
TEST(ReassemblyOfIpv6, LongHeadersAreGivenUp) {
  Reassembler r({});
  Bytes options(254, std::byte{0});  // Pad1
  const Bytes frame = wire::testing::BuildV6(
      {.extensions = {{wire::kIpv6HopByHop, options},
                      {wire::kIpv6Fragment, wire::testing::ToBytes({0, 1, 0, 0, 0, 9})}},
       .payload = Counting(48)});
  EXPECT_FALSE(Give(r, frame, At(0)));
  EXPECT_EQ(r.counters().too_long, 1u);
}

// RFC 8200 4.5: the headers of the first fragment are those of the whole, however short the others'
// are: a datagram that is too long with them only is given up when they come.
TEST(ReassemblyOfIpv6, HeadersOfTheFirstFragmentCount) {
  constexpr uint16_t kOctets = 40 + 96;
  Reassembler r({.datagrams_max = 1, .datagram_bytes_max = kOctets});
  const auto fragment = [](bool long_headers, uint16_t field) {
    Bytes header = wire::testing::ToBytes({field >> 8, field & 0xFF, 0, 0, 0, 9});
    wire::testing::FrameSpecV6 spec{.protocol = wire::kIpProtocolUdp, .payload = Counting(48)};
    if (long_headers) spec.extensions = {{wire::kIpv6HopByHop, Bytes(6)}};
    spec.extensions.emplace_back(wire::kIpv6Fragment, header);
    return wire::testing::BuildV6(spec);
  };
  EXPECT_FALSE(Give(r, fragment(false, 48), At(0)));
  EXPECT_TRUE(Give(r, fragment(false, 1), At(0)));
  EXPECT_FALSE(Give(r, fragment(false, 48), At(1)));
  EXPECT_FALSE(Give(r, fragment(true, 1), At(1)));
  EXPECT_EQ(r.counters().too_long, 1u);
  EXPECT_EQ(r.counters().reassembled, 1u);
}

// What was given up waits for its time only to catch what still comes of it.
TEST(ReassemblyOfBoth, GivenUpOnesMakeRoomFirstAndUncounted) {
  Reassembler r{ReassemblyConfig{.datagrams_max = 2}};
  const Bytes v4 = Whole(false), v6 = Whole(true);
  Give(r, FragmentOf(v4, 80, 80, true, 1), At(0));
  Give(r, FragmentOf(v6, 80, 80, true, 2), At(1));
  Give(r, FragmentOf(v6, 88, 80, true, 2), At(2));  // overlaps
  EXPECT_EQ(r.counters().overlapped, 1u);
  Give(r, FragmentOf(v6, 80, 80, true, 3), At(3));
  EXPECT_EQ(r.counters().evicted, 0u);
  r.Expire(At(30));  // of IPv4, while the other one goes on
  EXPECT_EQ(r.counters().timed_out, 1u);
  EXPECT_EQ(r.waiting(), 1u);
  r.Expire(At(62));
  EXPECT_EQ(r.waiting(), 1u);
  r.Expire(At(63));
  EXPECT_EQ(r.waiting(), 0u);
  EXPECT_EQ(r.counters().timed_out, 2u);
}

// IPv6 waits twice as long as IPv4: which goes is a matter of which came first, and what was given
// up goes before all others.
TEST(ReassemblyOfBoth, OldestGoesWhateverItsFamily) {
  Reassembler r{ReassemblyConfig{.datagrams_max = 4}};
  const Bytes v4 = Whole(false), v6 = Whole(true);
  for (uint32_t id = 1; id <= 4; ++id) Give(r, FragmentOf(v6, 80, 80, true, id), At(id));
  Give(r, FragmentOf(v4, 0, 160, true, 7), At(5));
  Give(r, FragmentOf(v6, 80, 80, true, 8), At(6));  // in place of one of IPv6, not of the newer one
  EXPECT_EQ(r.counters().evicted, 2u);
  Bytes out;
  EXPECT_TRUE(Give(r, FragmentOf(v4, 160, 160, false, 7), At(7), &out));
  ExpectIsWhole(out);
}

}  // namespace
}  // namespace millrace::stack

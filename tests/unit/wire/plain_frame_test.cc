// The straight path through a frame: which layouts of options it takes, that it says what
// ParseFrame says of them, and that one wrong octet in them sends the frame the long way.
#include "millrace/wire/plain_frame.h"

#include <gtest/gtest.h>

#include "millrace/wire/plain_emit.h"
#include "unit/wire/frame_builder.h"

namespace millrace::wire {
namespace {

using testing::Build;
using testing::Bytes;
using testing::Counting;
using testing::FixChecksums;
using testing::FrameSpec;
using testing::kNet;
using testing::kOurIp;
using testing::kPeerIp;
using testing::kTcpAt;
using testing::Parse;
using testing::Parsed;

Bytes FrameWith(OptionBits options, size_t payload_length) {
  FrameSpec spec{.payload = Counting(payload_length)};
  spec.tcp.flags = (options & kMssOption) != 0 ? kSyn : kAck | kPsh;
  spec.tcp.options = {
      .present = options, .mss = 1234, .window_scale = 3, .tsval = 0x55AA, .tsecr = 0x66BB};
  return Build(spec);
}

bool ParsePlain(const Bytes& frame, ChecksumState ip, ChecksumState l4, Segment& segment) {
  return PlainFrameParser(kNet).Parse(frame.data(), static_cast<uint32_t>(frame.size()), ip, l4,
                                      segment);
}

bool ParsePlain(const Bytes& frame, ChecksumState checksums, Segment& segment) {
  return ParsePlain(frame, checksums, checksums, segment);
}

class PlainLayouts : public ::testing::TestWithParam<OptionBits> {};

TEST_P(PlainLayouts, AreTakenAndReadAsParseFrameReadsThem) {
  for (const size_t length : {0u, 1u, 7u, 1400u}) {
    const Bytes frame = FrameWith(GetParam(), length);
    for (const ChecksumState state : {ChecksumState::kUnknown, ChecksumState::kGood}) {
      Segment segment;
      ASSERT_TRUE(ParsePlain(frame, state, segment)) << length;
      const Parsed parsed = Parse(frame, state, state);
      EXPECT_EQ(segment.options, GetParam());
      EXPECT_EQ(segment.options, parsed.tcp.options);
      EXPECT_EQ(segment.seq, parsed.tcp.seq);
      EXPECT_EQ(segment.ack, parsed.tcp.ack);
      EXPECT_EQ(segment.flags, parsed.tcp.flags);
      EXPECT_EQ(segment.window, parsed.tcp.window);
      EXPECT_EQ(segment.payload_length, length);
      if (segment.HasOption(kMssOption)) {
        EXPECT_EQ(segment.mss, 1234);
      }
      if (segment.HasOption(kWindowScaleOption)) {
        EXPECT_EQ(segment.window_scale, 3);
      }
      if (segment.HasOption(kTimestampsOption)) {
        EXPECT_EQ(segment.tsval, 0x55AAu);
        EXPECT_EQ(segment.tsecr, 0x66BBu);
      }
      const PlainFlow flow = PlainFrameParser::FlowOf(frame.data());
      EXPECT_EQ(flow.addresses, uint64_t{kOurIp} << 32 | kPeerIp);
      EXPECT_EQ(flow.ports, 4000u << 16 | 80u);
    }
  }
}

// An octet that names an option, its length or padding.
TEST_P(PlainLayouts, WithAnotherKindOrLengthAreNotTaken) {
  const Bytes frame = FrameWith(GetParam(), 0);
  size_t changed = 0;
  for (size_t at = kTcpAt + kTcpHeaderBytes; at < frame.size(); ++at) {
    Bytes other = frame;
    other[at] ^= std::byte{0x40};
    FixChecksums(other);
    Segment segment;
    if (ParsePlain(other, ChecksumState::kUnknown, segment)) {  // it was a value
      EXPECT_EQ(Parse(other).tcp.options, segment.options) << at;
    } else {
      ++changed;
    }
  }
  // Kind and length of each option, and NOPs; the rest are values.
  const OptionBits options = GetParam();
  const size_t values = ((options & kMssOption) != 0 ? 2u : 0u) +
                        ((options & kTimestampsOption) != 0 ? 8u : 0u) +
                        ((options & kWindowScaleOption) != 0 ? 1u : 0u);
  EXPECT_EQ(changed, TcpOptionsLength(options) - values);
}

TEST_P(PlainLayouts, WithAWrongChecksumAreNotTaken) {
  Bytes frame = FrameWith(GetParam(), 3);
  for (size_t at = kTcpAt; at < frame.size(); ++at) {
    frame[at] ^= std::byte{1};
    Segment segment;
    EXPECT_FALSE(ParsePlain(frame, ChecksumState::kUnknown, segment)) << at;
    frame[at] ^= std::byte{1};
  }
}

// Each layout against every constant of its headers, flag and length: what is taken is what
// ParseFrame reads.
TEST_P(PlainLayouts, WithAnyOtherBitAreTakenAsParseFrameReadsThemOrNotAtAll) {
  const Bytes frame = FrameWith(GetParam(), 9);
  constexpr size_t kIpLengthAt = kEthernetHeaderBytes + kIpv4TotalLengthAt;
  for (size_t at = 0; at < frame.size(); ++at) {
    // FixChecksums believes the lengths of the IP header.
    if (at == kEthernetHeaderBytes || at == kIpLengthAt || at == kIpLengthAt + 1) continue;
    for (int bit = 0; bit < 8; ++bit) {
      Bytes other = frame;
      other[at] ^= std::byte{1} << bit;
      FixChecksums(other);
      Segment segment;
      if (!ParsePlain(other, ChecksumState::kUnknown, segment)) continue;
      const PlainFlow flow = PlainFrameParser::FlowOf(other.data());
      const auto source = static_cast<uint32_t>(flow.addresses);
      const auto destination = static_cast<uint32_t>(flow.addresses >> 32);
      const Parsed parsed = Parse(other);
      if (!PlainFrameParser(kNet).IsPlainPair(source, destination)) {
        EXPECT_EQ(parsed.drop, PairProblem(source, destination, 4000, 80, kNet)) << at;
        continue;
      }
      ASSERT_EQ(parsed.kind, FrameKind::kTcp) << at << " bit " << bit;
      EXPECT_EQ(segment.flags, parsed.tcp.flags) << at;
      EXPECT_EQ(segment.options, parsed.tcp.options) << at;
      EXPECT_EQ(segment.window, parsed.tcp.window) << at;
      EXPECT_EQ(segment.ecn, parsed.tcp.ecn) << at;
      EXPECT_EQ(segment.payload_length, parsed.tcp.payload_length) << at;
    }
  }
}

TEST_P(PlainLayouts, ShorterThanTheySayAreNotTaken) {
  const Bytes whole = FrameWith(GetParam(), 0);
  for (size_t length = 0; length < whole.size(); ++length) {
    const Bytes frame(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(length));
    Segment segment;
    EXPECT_FALSE(ParsePlain(frame, ChecksumState::kGood, segment)) << length;
  }
}

TEST_P(PlainLayouts, LeavePaddingBehindThePacketOut) {
  Bytes frame = FrameWith(GetParam(), 5);
  frame.resize(frame.size() + 7, std::byte{0xEE});
  Segment segment;
  ASSERT_TRUE(ParsePlain(frame, ChecksumState::kUnknown, segment));
  EXPECT_EQ(segment.payload_length, 5u);
}

// A device that verifies one of the two checksums leaves the other to us.
TEST_P(PlainLayouts, AreVerifiedWhereTheDeviceHasNot) {
  constexpr ChecksumState kUnknown = ChecksumState::kUnknown, kGood = ChecksumState::kGood;
  constexpr ChecksumState kBad = ChecksumState::kBad;
  const auto takes = [](const Bytes& frame, ChecksumState ip, ChecksumState l4) {
    Segment segment;
    return ParsePlain(frame, ip, l4, segment);
  };
  const Bytes right = FrameWith(GetParam(), 9);
  Bytes ip_wrong = right, tcp_wrong = right;
  ip_wrong[kEthernetHeaderBytes + kIpv4ChecksumAt] ^= std::byte{1};
  tcp_wrong[kTcpAt + kTcpChecksumAt] ^= std::byte{1};
  EXPECT_TRUE(takes(right, kGood, kUnknown) && takes(right, kUnknown, kGood));
  EXPECT_TRUE(takes(ip_wrong, kGood, kUnknown) && takes(tcp_wrong, kUnknown, kGood));
  EXPECT_FALSE(takes(ip_wrong, kUnknown, kGood) || takes(tcp_wrong, kGood, kUnknown));
  EXPECT_TRUE(takes(ip_wrong, kGood, kGood) && takes(tcp_wrong, kGood, kGood));
  for (const ChecksumState other : {kUnknown, kGood, kBad}) {
    EXPECT_FALSE(takes(right, kBad, other) || takes(right, other, kBad));
  }
}

INSTANTIATE_TEST_SUITE_P(Options, PlainLayouts,
                         ::testing::Values(OptionBits{0}, kMssOption, kTimestampsOption,
                                           PlainEmitter::kShortSynOptions,
                                           PlainEmitter::kSynOptions));

}  // namespace
}  // namespace millrace::wire

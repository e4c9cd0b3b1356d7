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

bool ParsePlain(const Bytes& frame, ChecksumState checksums, Segment& segment, PlainFlow& flow) {
  return PlainFrameParser(kNet).Parse(frame.data(), static_cast<uint32_t>(frame.size()), checksums,
                                      checksums, segment, flow);
}

class PlainLayouts : public ::testing::TestWithParam<OptionBits> {};

TEST_P(PlainLayouts, AreTakenAndReadAsParseFrameReadsThem) {
  for (const size_t length : {0u, 1u, 7u, 1400u}) {
    const Bytes frame = FrameWith(GetParam(), length);
    for (const ChecksumState state : {ChecksumState::kUnknown, ChecksumState::kGood}) {
      Segment segment;
      PlainFlow flow;
      ASSERT_TRUE(ParsePlain(frame, state, segment, flow)) << length;
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
    PlainFlow flow;
    if (ParsePlain(other, ChecksumState::kUnknown, segment, flow)) {  // it was a value
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
    PlainFlow flow;
    EXPECT_FALSE(ParsePlain(frame, ChecksumState::kUnknown, segment, flow)) << at;
    frame[at] ^= std::byte{1};
  }
}

INSTANTIATE_TEST_SUITE_P(Options, PlainLayouts,
                         ::testing::Values(OptionBits{0}, kMssOption, kTimestampsOption,
                                           PlainEmitter::kShortSynOptions,
                                           PlainEmitter::kSynOptions));

}  // namespace
}  // namespace millrace::wire

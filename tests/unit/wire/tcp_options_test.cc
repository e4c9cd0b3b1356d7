#include "millrace/wire/tcp_options.h"

#include <gtest/gtest.h>

#include <memory>

#include "millrace/base/prng.h"
#include "unit/wire/frame_builder.h"

namespace millrace::wire {
namespace {

using testing::Bytes;
using testing::ToBytes;

struct Result {
  bool possible;
  Segment segment;
};

Result ParseBytes(const Bytes& options, size_t shift = 0) {
  const auto exact = std::make_unique<std::byte[]>(options.size() + shift);
  std::copy(options.begin(), options.end(), exact.get() + shift);
  Result result;
  result.possible =
      ParseTcpOptions(exact.get() + shift, static_cast<uint32_t>(options.size()), result.segment);
  return result;
}

// PAR-10 (MUST-64): every set at every alignment.
TEST(TcpOptions, EveryEmittedSetComesBackAtEveryAlignment) {
  const TcpOptionValues all = {
      .mss = 1460, .window_scale = 9, .tsval = 0xCAFEBABE, .tsecr = 0x01020304};
  for (unsigned present = 0; present < 16; ++present) {
    TcpOptionValues values = all;
    values.present = static_cast<OptionBits>(present);
    Bytes bytes(kTcpOptionsBytesMax);
    bytes.resize(EmitTcpOptions(bytes.data(), values));
    for (size_t shift = 0; shift < 9; ++shift) {
      const auto [possible, segment] = ParseBytes(bytes, shift);
      ASSERT_TRUE(possible);
      ASSERT_EQ(segment.options, present);
      EXPECT_EQ(segment.mss, segment.HasOption(kMssOption) ? 1460 : 0);
      EXPECT_EQ(segment.window_scale, segment.HasOption(kWindowScaleOption) ? 9 : 0);
      if (segment.HasOption(kTimestampsOption)) {
        EXPECT_EQ(segment.tsval, 0xCAFEBABEu);
        EXPECT_EQ(segment.tsecr, 0x01020304u);
      }
    }
  }
}

// PAR-10 (MUST-5, MUST-64): each option behind 0 to 7 NOPs.
TEST(TcpOptions, EachOptionIsReadAtEveryOffset) {
  const struct {
    Bytes option;
    OptionBits bit;
  } table[] = {
      {ToBytes({2, 4, 1, 2}), kMssOption},
      {ToBytes({3, 3, 7}), kWindowScaleOption},
      {ToBytes({4, 2}), kSackPermittedOption},
      {ToBytes({8, 10, 0, 0, 0, 1, 0, 0, 0, 2}), kTimestampsOption},
  };
  for (const auto& row : table) {
    for (size_t nops = 0; nops < 8; ++nops) {
      Bytes bytes(nops, std::byte{1});
      bytes.insert(bytes.end(), row.option.begin(), row.option.end());
      const auto [possible, segment] = ParseBytes(bytes);
      EXPECT_TRUE(possible);
      EXPECT_EQ(segment.options, row.bit) << nops;
    }
  }
}

// PAR-07 (MUST-7): "MUST be prepared to handle an illegal option length (e.g., zero)"
TEST(TcpOptions, LengthBelowTwoIsImpossible) {
  for (const int kind : {2, 3, 4, 5, 8, 9, 30, 253, 255}) {
    EXPECT_FALSE(ParseBytes(ToBytes({kind, 0, 1, 1})).possible) << kind;
    EXPECT_FALSE(ParseBytes(ToBytes({kind, 1, 1, 1})).possible) << kind;
    EXPECT_FALSE(ParseBytes(ToBytes({1, 1, kind, 0})).possible) << kind;
  }
}

// PAR-08
TEST(TcpOptions, LengthPastTheEndIsImpossible) {
  EXPECT_FALSE(ParseBytes(ToBytes({2, 5, 1, 1})).possible);
  EXPECT_FALSE(ParseBytes(ToBytes({254, 5, 1, 1})).possible);
  EXPECT_FALSE(ParseBytes(ToBytes({1, 1, 8, 10})).possible);
  EXPECT_FALSE(ParseBytes(ToBytes({1, 1, 4, 255})).possible);
  EXPECT_TRUE(ParseBytes(ToBytes({254, 4, 1, 1})).possible);
}

// PAR-08
TEST(TcpOptions, KindWithoutALengthIsImpossible) {
  EXPECT_FALSE(ParseBytes(ToBytes({1, 1, 1, 4})).possible);
  EXPECT_FALSE(ParseBytes(ToBytes({4})).possible);
}

// PAR-09 (MUST-6)
TEST(TcpOptions, UnknownOnesAreSkippedByTheirLength) {
  const auto [possible, segment] =
      ParseBytes(ToBytes({254, 6, 2, 4, 9, 9, 33, 2, 99, 10, 0, 0, 0, 1, 0, 0, 0, 2, 3, 3, 7}));
  EXPECT_TRUE(possible);
  EXPECT_EQ(segment.options, kWindowScaleOption);
  EXPECT_EQ(segment.window_scale, 7);
}

// RFC 2018 section 3.
TEST(TcpOptions, SackBlocksAreFoundWhereTheyAre) {
  const Bytes bytes = ToBytes({1, 1, 5, 18, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 5, 0, 0, 1, 0});
  Segment segment;
  ASSERT_TRUE(ParseTcpOptions(bytes.data(), static_cast<uint32_t>(bytes.size()), segment));
  ASSERT_TRUE(segment.HasOption(kSackOption));
  ASSERT_EQ(segment.sack_count, 2);
  EXPECT_EQ(LoadSackBlock(segment.sack, 0).right, SeqNum(2));
  EXPECT_EQ(LoadSackBlock(segment.sack, 1).left, SeqNum(5));
  EXPECT_EQ(LoadSackBlock(segment.sack, 1).right, SeqNum(256));
}

// LR-19: a length that is no whole number of blocks is as good as no option.
TEST(TcpOptions, SackOfHalfABlockIsSkipped) {
  const auto [possible, segment] = ParseBytes(ToBytes({5, 2, 5, 6, 0, 0, 0, 1, 3, 3, 7}));
  EXPECT_TRUE(possible);
  EXPECT_EQ(segment.options, kWindowScaleOption);
}

TEST(TcpOptions, KnownKindOfAnotherLengthIsSkipped) {
  const auto [possible, segment] =
      ParseBytes(ToBytes({2, 3, 1, 3, 4, 1, 1, 4, 3, 1, 8, 6, 1, 1, 1, 1, 2, 4, 2, 2}));
  EXPECT_TRUE(possible);
  EXPECT_EQ(segment.options, kMssOption);
  EXPECT_EQ(segment.mss, 0x0202);
}

// RFC 7413 2: a cookie has 4 to 16 octets, an even number; RFC 5482 3.1: a user timeout has four.
TEST(TcpOptions, CookieOrUserTimeoutOfAnotherLengthIsSkipped) {
  for (const int length : {3, 4, 5, 7, 19, 20, 22}) {
    Bytes options = ToBytes({34, length, 28, 5, 0, 0, 0, 28, 4, 0x80, 7});
    options.insert(options.begin() + 2, static_cast<size_t>(length - 2), std::byte{1});
    const auto [possible, segment] = ParseBytes(options);
    EXPECT_TRUE(possible) << length;
    EXPECT_EQ(segment.options, kUserTimeoutOption) << length;
    EXPECT_EQ(segment.user_timeout, 0x8007);
  }
  const auto [possible, segment] =
      ParseBytes(ToBytes({34, 2, 28, 4, 0, 9, 28, 4, 0, 8, 34, 6, 1, 2, 3, 4}));
  EXPECT_TRUE(possible);
  EXPECT_TRUE(segment.HasOption(kFastOpenOption));
  EXPECT_EQ(segment.fast_open_length, 0) << "the first counts";
  EXPECT_EQ(segment.user_timeout, 9);
}

// RFC 6994: what an experiment means, two octets say; 0xF989 is Fast Open.
TEST(TcpOptions, FastOpenAsAnExperiment) {
  const auto parse = [](std::initializer_list<int> octets) {
    const auto [possible, segment] = ParseBytes(ToBytes(octets));
    EXPECT_TRUE(possible);
    return segment;
  };
  const Segment request = parse({254, 4, 0xF9, 0x89});
  EXPECT_EQ(request.options, kFastOpenOption | kFastOpenExperiment);
  EXPECT_EQ(request.fast_open_length, 0);
  const Bytes octets = ToBytes({254, 8, 0xF9, 0x89, 1, 2, 3, 4});
  Segment cookie;
  ASSERT_TRUE(ParseTcpOptions(octets.data(), 8, cookie));
  EXPECT_EQ(cookie.options, kFastOpenOption | kFastOpenExperiment);
  EXPECT_EQ(cookie.fast_open, octets.data() + 4);
  EXPECT_EQ(cookie.fast_open_length, 4);
  EXPECT_EQ(parse({254, 8, 0xF9, 0x88, 1, 2, 3, 4}).options, 0) << "another experiment";
  EXPECT_EQ(parse({254, 3, 0xF9}).options, 0);
  EXPECT_EQ(parse({254, 2}).options, 0);
  EXPECT_EQ(parse({254, 6, 0xF9, 0x89, 1, 2}).options, 0) << "too short a cookie";
  EXPECT_EQ(parse({34, 2, 254, 4, 0xF9, 0x89}).options, kFastOpenOption) << "the first counts";
}

// PAR-11
TEST(TcpOptions, OfARepeatedOneTheFirstCounts) {
  const auto [possible, segment] = ParseBytes(
      ToBytes({2, 4,  0, 100, 2, 4, 0, 200, 3, 3, 1, 3, 3, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2,  //
               8, 10, 0, 0,   0, 3, 0, 0,   0, 4}));
  EXPECT_TRUE(possible);
  EXPECT_EQ(segment.mss, 100);
  EXPECT_EQ(segment.window_scale, 1);
  EXPECT_EQ(segment.tsval, 1u);
  EXPECT_EQ(segment.tsecr, 2u);
}

// PAR-12
TEST(TcpOptions, EndOfListStopsWhateverFollows) {
  const auto [possible, segment] = ParseBytes(ToBytes({3, 3, 5, 0, 2, 4, 1, 1, 9, 0, 0, 0}));
  EXPECT_TRUE(possible);
  EXPECT_EQ(segment.options, kWindowScaleOption);
}

// PAR-12
TEST(TcpOptions, FortyNopsAreNothing) {
  const auto [possible, segment] = ParseBytes(Bytes(40, std::byte{1}));
  EXPECT_TRUE(possible);
  EXPECT_EQ(segment.options, 0);
}

TEST(TcpOptions, ExtremeValuesComeThroughAsReceived) {
  const auto [possible, segment] = ParseBytes(ToBytes({3, 3, 255, 2, 4, 0, 0}));
  EXPECT_TRUE(possible);
  EXPECT_EQ(segment.window_scale, 255);
  EXPECT_EQ(segment.mss, 0);
  EXPECT_TRUE(segment.HasOption(kMssOption));
}

TEST(TcpOptions, RandomOctetsAreReadWithinTheirBounds) {
  Prng prng(1);
  for (int round = 0; round < 100'000; ++round) {
    Bytes bytes(prng.Below(41));
    for (std::byte& octet : bytes) octet = static_cast<std::byte>(prng.Below(12));
    const auto result = ParseBytes(bytes);
    ASSERT_LE(result.segment.options, 0x1F);
  }
}

}  // namespace
}  // namespace millrace::wire

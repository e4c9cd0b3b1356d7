#include "millrace/wire/checksum.h"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "millrace/base/endian.h"
#include "millrace/base/prng.h"

namespace millrace::wire {
namespace {

using Bytes = std::vector<std::byte>;

// RFC 1071 section 1, word by word, in network order.
uint16_t ReferenceSum(const std::byte* data, size_t length, uint32_t sum = 0) {
  for (size_t i = 0; i < length; ++i) {
    sum += i % 2 == 0 ? uint32_t{LoadU8(data + i)} << 8 : LoadU8(data + i);
    sum = (sum & 0xFFFF) + (sum >> 16);
  }
  return static_cast<uint16_t>(sum);
}

// The example of RFC 1071 section 3.
TEST(Checksum, SumsTheExampleOfTheRfc) {
  const Bytes data = {std::byte{0x00}, std::byte{0x01}, std::byte{0xf2}, std::byte{0x03},
                      std::byte{0xf4}, std::byte{0xf5}, std::byte{0xf6}, std::byte{0xf7}};
  EXPECT_EQ(ChecksumFold(ChecksumAdd(data.data(), data.size(), 0)), 0xddf2);
}

TEST(Checksum, AgreesWithTheReferenceForEveryLengthAndAlignment) {
  Prng prng(1);
  for (size_t length = 0; length <= 200; ++length) {
    for (size_t shift = 0; shift < 9; ++shift) {
      // Exactly this long, so that a read behind the end is seen.
      const auto block = std::make_unique<std::byte[]>(length + shift);
      for (size_t i = 0; i < length + shift; ++i) block[i] = static_cast<std::byte>(prng.Next());
      const std::byte* data = block.get() + shift;
      ASSERT_EQ(ChecksumFold(ChecksumAdd(data, length, 0)), ReferenceSum(data, length))
          << length << " at " << shift;
    }
  }
}

TEST(Checksum, AgreesWithTheReferenceForRandomLongBlocks) {
  Prng prng(2);
  for (int round = 0; round < 200; ++round) {
    Bytes data(prng.Below(65536));
    for (std::byte& octet : data) octet = static_cast<std::byte>(prng.Next());
    ASSERT_EQ(ChecksumFold(ChecksumAdd(data.data(), data.size(), 0)),
              ReferenceSum(data.data(), data.size()));
  }
}

TEST(Checksum, CarriesNeverGetLost) {
  const Bytes ones(65536, std::byte{0xFF});
  EXPECT_EQ(ChecksumFold(ChecksumAdd(ones.data(), ones.size(), 0)), 0xFFFF);
  EXPECT_EQ(ChecksumFold(ChecksumAdd(ones.data(), ones.size(), UINT64_MAX)), 0xFFFF);
  EXPECT_EQ(ChecksumFold(UINT64_MAX), 0xFFFF);
  EXPECT_EQ(ChecksumFold(0), 0);
  EXPECT_EQ(ChecksumFold(OnesComplementAdd(UINT64_MAX, 1)), ChecksumFold(1));
}

TEST(Checksum, IsZeroWhenItsFoldIsValid) {
  Prng prng(3);
  const auto compare = [](uint64_t sum) {
    EXPECT_EQ(ChecksumTest().IsZero(sum), OnesComplementFold(sum) == kChecksumValid) << sum;
  };
  for (uint64_t sum = 1; sum < 4 * 0xFFFF; ++sum) compare(sum);
  for (int i = 0; i < 10'000; ++i) {
    const uint64_t sum = prng.Next() | 1;
    compare(sum);
    compare(sum - sum % 0xFFFF);
    compare((sum >> 28) / 0xFFFF * 0xFFFF + 0xFFFF);
  }
  compare(~uint64_t{0});
}

TEST(Checksum, ContinuesOverPiecesOfEvenLength) {
  Prng prng(3);
  Bytes data(301);
  for (std::byte& octet : data) octet = static_cast<std::byte>(prng.Next());
  const uint16_t whole = ChecksumFold(ChecksumAdd(data.data(), data.size(), 0));
  for (size_t cut = 0; cut <= data.size(); cut += 2) {
    const uint64_t first = ChecksumAdd(data.data(), cut, 0);
    EXPECT_EQ(ChecksumFold(ChecksumAdd(data.data() + cut, data.size() - cut, first)), whole) << cut;
  }
}

TEST(Checksum, PseudoHeaderEqualsItsTwelveOctets) {
  Prng prng(4);
  for (int round = 0; round < 1000; ++round) {
    const auto source = static_cast<uint32_t>(prng.Next());
    const auto destination = static_cast<uint32_t>(prng.Next());
    const auto length = static_cast<uint16_t>(prng.Next());
    std::byte pseudo[12] = {};
    StoreBe32(pseudo, source);
    StoreBe32(pseudo + 4, destination);
    StoreU8(pseudo + 9, 6);
    StoreBe16(pseudo + 10, length);
    ASSERT_EQ(ChecksumFold(PseudoHeaderSumV4(source, destination, 6, length)),
              ReferenceSum(pseudo, sizeof pseudo));
  }
}

// PAR-02: odd lengths and no payload included.
TEST(TcpChecksum, StoredMakesTheSegmentValidAndAnyFlipInvalid) {
  Prng prng(5);
  for (uint16_t length = 20; length < 120; ++length) {
    Bytes segment(length);
    for (std::byte& octet : segment) octet = static_cast<std::byte>(prng.Next());
    StoreBe16(&segment[16], 0);
    StoreBe16(&segment[16], TcpChecksumV4(0x0A000001, 0xC0A80102, segment.data(), length));
    ASSERT_TRUE(TcpChecksumIsValidV4(0x0A000001, 0xC0A80102, segment.data(), length));
    ASSERT_FALSE(TcpChecksumIsValidV4(0x0A000003, 0xC0A80102, segment.data(), length));
    const size_t at = prng.Below(length);
    segment[at] ^= std::byte{0x10};
    ASSERT_FALSE(TcpChecksumIsValidV4(0x0A000001, 0xC0A80102, segment.data(), length)) << at;
  }
}

// PAR-02: a device that is asked to finish adds the segment to the folded pseudo-header sum.
TEST(TcpChecksum, OffloadedOneIsTheSame) {
  Prng prng(6);
  for (uint16_t length = 20; length < 60; ++length) {
    Bytes segment(length);
    for (std::byte& octet : segment) octet = static_cast<std::byte>(prng.Next());
    StoreBe16(&segment[16], 0);
    const uint16_t software = TcpChecksumV4(1, 2, segment.data(), length);
    StoreBe16(&segment[16], ChecksumFold(PseudoHeaderSumV4(1, 2, 6, length)));
    const auto device = static_cast<uint16_t>(~ReferenceSum(segment.data(), length));
    ASSERT_EQ(device, software);
  }
}

TEST(IcmpChecksum, StoredMakesTheMessageValid) {
  Bytes echo = {std::byte{8}, std::byte{0}, std::byte{0}, std::byte{0}, std::byte{1},
                std::byte{2}, std::byte{3}, std::byte{4}, std::byte{5}};
  StoreBe16(&echo[2], IcmpChecksum(echo.data(), echo.size()));
  EXPECT_EQ(IcmpChecksum(echo.data(), echo.size()), 0);
  EXPECT_EQ(static_cast<uint16_t>(~ReferenceSum(echo.data(), echo.size())), 0);
}

}  // namespace
}  // namespace millrace::wire

#include <gtest/gtest.h>

#include <array>

#include "millrace/base/prng.h"
#include "millrace/wire/checksum.h"
#include "millrace/wire/ethernet.h"
#include "millrace/wire/ipv4.h"
#include "millrace/wire/tcp_header.h"
#include "unit/wire/frame_builder.h"

namespace millrace::wire {
namespace {

using testing::Bytes;
using testing::ToBytes;

TEST(EmitEthernet, WritesFourteenOctets) {
  Bytes at(14);
  EmitEthernet(at.data(), {{1, 2, 3, 4, 5, 6}}, {{7, 8, 9, 10, 11, 12}}, kEtherTypeArp);
  EXPECT_EQ(at, ToBytes({1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0x08, 0x06}));
  EXPECT_EQ(LoadMac(at.data()), (MacAddress{{1, 2, 3, 4, 5, 6}}));
}

constexpr Ipv4Fields kFields = {.total_length = 0x0073,
                                .id = 0,
                                .ttl = 64,
                                .protocol = 17,
                                .source = 0xC0A80001,
                                .destination = 0xC0A800C7};

// A header whose checksum, b861, is worked out in many textbooks.
TEST(EmitIpv4, WritesTwentyOctets) {
  Bytes at(20);
  EmitIpv4(at.data(), kFields, true);
  EXPECT_EQ(at, ToBytes({0x45, 0,    0, 0x73, 0,    0,    0x40, 0,   0x40, 0x11, 0xb8, 0x61,  //
                         0xc0, 0xa8, 0, 1,    0xc0, 0xa8, 0,    0xc7}));
}

TEST(EmitIpv4, LeavesTheChecksumZeroForAPortThatFillsItIn) {
  Bytes at(20, std::byte{0xFF});
  EmitIpv4(at.data(), kFields, false);
  EXPECT_EQ(LoadBe16(&at[kIpv4ChecksumAt]), 0);
}

TEST(EmitIpv4, ChecksumFromFieldsEqualsTheOneOverTheOctets) {
  Prng prng(1);
  for (int round = 0; round < 10'000; ++round) {
    const uint64_t bits = prng.Next();
    const Ipv4Fields fields = {.total_length = static_cast<uint16_t>(bits),
                               .id = static_cast<uint16_t>(bits >> 16),
                               .ttl = static_cast<uint8_t>(bits >> 32),
                               .protocol = static_cast<uint8_t>(bits >> 40),
                               .tos = static_cast<uint8_t>(bits >> 48),
                               .source = static_cast<uint32_t>(prng.Next()),
                               .destination = static_cast<uint32_t>(prng.Next()),
                               .dont_fragment = bits >> 63 != 0};
    std::array<std::byte, 20> at;
    EmitIpv4(at.data(), fields, true);
    ASSERT_EQ(ChecksumFold(ChecksumAdd(at.data(), at.size(), 0)), kChecksumValid);
    ASSERT_EQ(LoadU8(&at[kIpv4TosAt]), fields.tos);
    ASSERT_EQ(LoadBe16(&at[kIpv4IdAt]), fields.id);
    ASSERT_EQ(LoadBe16(&at[kIpv4FragmentAt]), fields.dont_fragment ? kIpv4DontFragment : 0);
  }
}

TEST(EmitTcp, WritesHeaderAndOptionsWithAZeroChecksum) {
  Bytes at(60, std::byte{0xFF});
  const TcpFields fields = {.source_port = 0x1234,
                            .destination_port = 80,
                            .seq = SeqNum(0x01020304),
                            .ack = SeqNum(0x05060708),
                            .flags = kAck | kUrg,
                            .window = 0xABCD,
                            .urgent = 0x0011,
                            .options = {.present = kTimestampsOption, .tsval = 1, .tsecr = 2}};
  EXPECT_EQ(EmitTcp(at.data(), fields), 32u);
  at.resize(33);
  EXPECT_EQ(at, ToBytes({0x12, 0x34, 0,    80, 1, 2, 3,  4, 5, 6, 7, 8, 0x80, 0x30, 0xAB, 0xCD, 0,
                         0,    0,    0x11, 1,  1, 8, 10, 0, 0, 0, 1, 0, 0,    0,    2,    0xFF}));
}

TEST(EmitTcp, OptionsOfASynAreLaidOutAsLinuxDoes) {
  Bytes at(20);
  const TcpOptionValues options = {
      .present = 0x0F, .mss = 1460, .window_scale = 7, .tsval = 0x01020304, .tsecr = 0};
  EXPECT_EQ(EmitTcpOptions(at.data(), options), 20u);
  EXPECT_EQ(at, ToBytes({2, 4, 5, 0xB4, 4, 2, 8, 10, 1, 2, 3, 4, 0, 0, 0, 0, 1, 3, 3, 7}));
}

TEST(EmitTcp, SackPermittedWithoutTimestampsIsPaddedInFront) {
  Bytes at(4);
  EXPECT_EQ(EmitTcpOptions(at.data(), {.present = kSackPermittedOption}), 4u);
  EXPECT_EQ(at, ToBytes({1, 1, 4, 2}));
}

// MUST-69: header lengths are whole words; nothing is written behind them.
TEST(EmitTcp, EverySetOfOptionsHasTheAnnouncedLength) {
  for (unsigned present = 0; present < 16; ++present) {
    const auto bits = static_cast<OptionBits>(present);
    Bytes at(64, std::byte{0xEE});
    const uint32_t length = EmitTcp(at.data(), {.options = {.present = bits}});
    EXPECT_EQ(length, TcpHeaderLength(bits)) << present;
    EXPECT_EQ(length % 4, 0u);
    EXPECT_EQ(LoadU8(&at[kTcpDataOffsetAt]), length / 4 << 4);
    EXPECT_EQ(at[length], std::byte{0xEE});
  }
}

}  // namespace
}  // namespace millrace::wire

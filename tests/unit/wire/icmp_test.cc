#include "millrace/wire/icmp.h"

#include <gtest/gtest.h>

#include "unit/wire/frame_builder.h"

namespace millrace::wire {
namespace {

using testing::Build;
using testing::Bytes;
using testing::FrameSpec;
using testing::kIpAt;
using testing::ToBytes;

// The IP packet of a frame.
Bytes Packet(const FrameSpec& spec) {
  const Bytes frame = Build(spec);
  return Bytes(frame.begin() + kIpAt, frame.end());
}

Bytes Unreachable(const Bytes& packet, uint8_t code = kIcmpPortUnreachable) {
  Bytes at(kIcmpUnreachableBytesMax, std::byte{0xEE});
  at.resize(
      EmitIcmpUnreachable(at.data(), code, packet.data(), static_cast<uint32_t>(packet.size())));
  return at;
}

TEST(EmitIcmpUnreachable, QuotesHeaderAndEightOctets) {
  const Bytes packet = Packet({.payload = testing::Counting(100)});
  const Bytes message = Unreachable(packet);
  ASSERT_EQ(message.size(), 8u + 20 + 8);
  EXPECT_EQ(IcmpChecksum(message.data(), message.size()), 0);
  EXPECT_EQ(LoadU8(&message[0]), kIcmpUnreachable);
  EXPECT_EQ(LoadU8(&message[1]), kIcmpPortUnreachable);
  EXPECT_EQ(LoadBe32(&message[4]), 0u);
  EXPECT_TRUE(std::equal(message.begin() + 8, message.end(), packet.begin()));
}

TEST(EmitIcmpUnreachable, QuotesIpOptionsToo) {
  const Bytes message = Unreachable(Packet({.ip_options = Bytes(40, std::byte{1})}));
  EXPECT_EQ(message.size(), kIcmpUnreachableBytesMax);
  EXPECT_TRUE(ParseIcmpTcpError(message.data(), message.size()).has_value());
}

TEST(EmitIcmpUnreachable, QuotesNoMoreThanThereIs) {
  for (size_t payload = 0; payload <= 10; ++payload) {
    const Bytes packet =
        Packet({.protocol = kIpProtocolUdp, .payload = testing::Counting(payload)});
    const Bytes message = Unreachable(packet);
    EXPECT_EQ(message.size(), 28 + std::min<size_t>(payload, 8)) << payload;
    EXPECT_EQ(IcmpChecksum(message.data(), message.size()), 0);
  }
}

TEST(ParseIcmpTcpError, ReadsTheQuotedSegment) {
  const Bytes message = Unreachable(Packet({}), kIcmpHostUnreachable);
  const auto error = ParseIcmpTcpError(message.data(), message.size());
  ASSERT_TRUE(error.has_value());
  EXPECT_EQ(error->icmp.type, kIcmpUnreachable);
  EXPECT_EQ(error->icmp.code, kIcmpHostUnreachable);
  EXPECT_EQ(error->source_v4, testing::kPeerIp);
  EXPECT_EQ(error->destination_v4, testing::kOurIp);
  EXPECT_EQ(error->source_port, 4000);
  EXPECT_EQ(error->destination_port, 80);
  EXPECT_EQ(error->seq, SeqNum(0x01020304));
}

TEST(ParseIcmpTcpError, ReadsTheMtuOfFragmentationNeeded) {
  Bytes message = Unreachable(Packet({}), kIcmpFragmentationNeeded);
  StoreBe16(&message[kIcmpMtuAt], 1400);
  EXPECT_EQ(ParseIcmpTcpError(message.data(), message.size())->icmp.mtu, 1400);
}

TEST(ParseIcmpTcpError, TakesTheFourErrorTypesOnly) {
  Bytes message = Unreachable(Packet({}));
  for (int type = 0; type < 256; ++type) {
    message[0] = static_cast<std::byte>(type);
    const bool is_error = type == 3 || type == 4 || type == 11 || type == 12;
    EXPECT_EQ(ParseIcmpTcpError(message.data(), message.size()).has_value(), is_error) << type;
  }
}

TEST(ParseIcmpTcpError, RefusesEveryShorterLength) {
  for (const size_t options : {0u, 12u, 40u}) {
    const Bytes message = Unreachable(Packet({.ip_options = Bytes(options, std::byte{1})}));
    for (size_t length = 0; length < message.size(); ++length) {
      const Bytes shorter(message.begin(), message.begin() + static_cast<ptrdiff_t>(length));
      EXPECT_FALSE(ParseIcmpTcpError(shorter.data(), length)) << length << " of " << options;
    }
    EXPECT_TRUE(ParseIcmpTcpError(message.data(), message.size()));
  }
}

TEST(ParseIcmpTcpError, RefusesWhatDoesNotQuoteTheStartOfATcpSegment) {
  struct {
    size_t at;
    int value;
  } const bends[] = {
      {8, 0x65},                     // version 6
      {8, 0x44},                     // header of 16 octets
      {8, 0x4F},                     // header of 60 octets: more than is quoted
      {8 + kIpv4ProtocolAt, 17},     // UDP
      {8 + kIpv4FragmentAt + 1, 1},  // a later fragment
  };
  for (const auto& bend : bends) {
    Bytes message = Unreachable(Packet({}));
    message[bend.at] = static_cast<std::byte>(bend.value);
    EXPECT_FALSE(ParseIcmpTcpError(message.data(), message.size())) << bend.at << " " << bend.value;
  }
}

TEST(TurnEchoIntoReply, KeepsTheChecksumValid) {
  for (int octet = 0; octet < 256; ++octet) {
    Bytes echo = ToBytes({8, 0, 0, 0, 0, octet, 0, 0, octet});
    StoreBe16(&echo[kIcmpChecksumAt], IcmpChecksum(echo.data(), echo.size()));
    TurnEchoIntoReply(echo.data());
    EXPECT_EQ(LoadU8(&echo[0]), kIcmpEchoReply);
    EXPECT_EQ(IcmpChecksum(echo.data(), echo.size()), 0) << octet;
  }
}

}  // namespace
}  // namespace millrace::wire

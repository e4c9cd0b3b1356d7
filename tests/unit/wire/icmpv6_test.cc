#include "millrace/wire/icmpv6.h"

#include <gtest/gtest.h>

#include "unit/wire/ipv6_builder.h"

namespace millrace::wire {
namespace {

using testing::BuildV6;
using testing::Bytes;
using testing::Counting;
using testing::kIpAt;
using testing::kOurV6;
using testing::kPeerV6;

// A segment that we sent, as an error quotes it.
Bytes OurPacket() {
  const Bytes frame = BuildV6({.source = kOurV6, .destination = kPeerV6, .payload = Counting(100)});
  return Bytes(frame.begin() + kIpAt, frame.end());
}

Bytes Error(uint8_t type, uint32_t parameter, const Bytes& packet, uint32_t quote_max = 1232) {
  Bytes at(kIcmpV6HeaderBytes + quote_max, std::byte{0xEE});
  at.resize(EmitIcmpV6Error(
      at.data(),
      {.type = type, .code = 3, .parameter = parameter, .source = kPeerV6, .destination = kOurV6},
      packet.data(), static_cast<uint32_t>(packet.size()), quote_max));
  return at;
}

TEST(IcmpV6Error, QuotesUpToTheLimitWithARightChecksum) {
  const Bytes packet = OurPacket();
  const Bytes whole = Error(kIcmpV6PacketTooBig, 1400, packet);
  EXPECT_EQ(whole.size(), 8 + packet.size());
  const Bytes some = Error(kIcmpV6PacketTooBig, 1400, packet, 64);
  EXPECT_EQ(some.size(), 8u + 64);
  for (const Bytes& message : {whole, some}) {
    EXPECT_EQ(ChecksumV6(kPeerV6, kOurV6, kIpProtocolIcmpV6, message.data(),
                         static_cast<uint32_t>(message.size())),
              0);
    EXPECT_TRUE(std::equal(message.begin() + 8, message.end(), packet.begin()));
  }
}

TEST(IcmpV6Error, AboutATcpSegmentIsReadBack) {
  const Bytes message = Error(kIcmpV6PacketTooBig, 1400, OurPacket());
  const auto error = ParseIcmpV6TcpError(message.data(), message.size());
  ASSERT_TRUE(error.has_value());
  EXPECT_EQ(error->icmp.type, kIcmpV6PacketTooBig);
  EXPECT_EQ(error->icmp.code, 3);
  EXPECT_EQ(error->icmp.parameter, 1400u);
  EXPECT_EQ(error->source, kOurV6);
  EXPECT_EQ(error->destination, kPeerV6);
  EXPECT_EQ(error->source_port, 4000);
  EXPECT_EQ(error->destination_port, 80);
  EXPECT_EQ(error->seq, SeqNum(0x01020304));
}

TEST(IcmpV6Error, ThatDoesNotQuoteASegmentIsNone) {
  const Bytes packet = OurPacket();
  for (size_t quoted = 0; quoted < 48; ++quoted) {
    const Bytes message = Error(kIcmpV6Unreachable, 0, packet, static_cast<uint32_t>(quoted));
    EXPECT_FALSE(ParseIcmpV6TcpError(message.data(), message.size())) << quoted;
  }
  const Bytes least = Error(kIcmpV6Unreachable, 0, packet, 48);
  EXPECT_TRUE(ParseIcmpV6TcpError(least.data(), least.size()));
  const Bytes echo = Error(kIcmpV6EchoRequest, 0, packet);
  EXPECT_FALSE(ParseIcmpV6TcpError(echo.data(), echo.size()));
  Bytes udp = packet;
  udp[kIpv6NextHeaderAt] = std::byte{17};
  const Bytes about_udp = Error(kIcmpV6Unreachable, 0, udp);
  EXPECT_FALSE(ParseIcmpV6TcpError(about_udp.data(), about_udp.size()));
  Bytes v4 = packet;
  v4[0] = std::byte{0x45};
  const Bytes reserved = Error(0, 0, packet);
  EXPECT_FALSE(ParseIcmpV6TcpError(reserved.data(), reserved.size()));
  EXPECT_FALSE(ParseIcmpV6TcpError(least.data(), 7));
  const Bytes about_v4 = Error(kIcmpV6Unreachable, 0, v4);
  EXPECT_FALSE(ParseIcmpV6TcpError(about_v4.data(), about_v4.size()));
}

TEST(IcmpV6Echo, ReplyHasARightChecksumWhateverTheSum) {
  for (int value = 0; value < 512; ++value) {
    Bytes echo(12);
    StoreU8(&echo[0], kIcmpV6EchoRequest);
    StoreBe16(&echo[8], static_cast<uint16_t>(value * 128 + 127));
    StoreBe16(&echo[2], ChecksumV6(kPeerV6, kOurV6, kIpProtocolIcmpV6, echo.data(), 12));
    TurnEchoIntoReplyV6(echo.data());
    EXPECT_EQ(LoadU8(&echo[0]), kIcmpV6EchoReply);
    EXPECT_EQ(ChecksumV6(kOurV6, kPeerV6, kIpProtocolIcmpV6, echo.data(), 12), 0) << value;
  }
}

}  // namespace
}  // namespace millrace::wire

#include "millrace/wire/arp.h"

#include <gtest/gtest.h>

#include "unit/wire/frame_builder.h"

namespace millrace::wire {
namespace {

using testing::Bytes;
using testing::ToBytes;

constexpr ArpPacket kRequest = {.operation = kArpRequest,
                                .sender_mac = {{2, 0, 0, 0, 0, 2}},
                                .target_mac = {},
                                .sender_ip = 0x0A000002,
                                .target_ip = 0x0A000001};

Bytes Emitted(const ArpPacket& arp) {
  Bytes at(kArpBytes);
  EmitArp(at.data(), arp);
  return at;
}

TEST(Arp, EmitsTwentyEightOctets) {
  EXPECT_EQ(Emitted(kRequest), ToBytes({0, 1, 8, 0, 6, 4, 0,  1,        //
                                        2, 0, 0, 0, 0, 2, 10, 0, 0, 2,  //
                                        0, 0, 0, 0, 0, 0, 10, 0, 0, 1}));
}

TEST(Arp, ParsesWhatItEmits) {
  const Bytes bytes = Emitted(kRequest);
  EXPECT_EQ(ParseArp(bytes.data(), bytes.size()), kRequest);
}

TEST(Arp, IgnoresPadding) {
  Bytes bytes = Emitted(kRequest);
  bytes.resize(46);
  EXPECT_EQ(ParseArp(bytes.data(), bytes.size()), kRequest);
}

TEST(Arp, RefusesEveryShorterLength) {
  const Bytes bytes = Emitted(kRequest);
  for (size_t length = 0; length < kArpBytes; ++length) {
    const Bytes shorter(bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(length));
    EXPECT_FALSE(ParseArp(shorter.data(), length)) << length;
  }
}

TEST(Arp, RefusesOtherHardwareOrProtocol) {
  for (size_t at = 0; at < 6; ++at) {
    Bytes bytes = Emitted(kRequest);
    bytes[at] ^= std::byte{0x40};
    EXPECT_FALSE(ParseArp(bytes.data(), bytes.size())) << at;
  }
}

TEST(Arp, RefusesASenderWithAGroupAddress) {
  ArpPacket arp = kRequest;
  arp.sender_mac = MacAddress::Broadcast();
  const Bytes bytes = Emitted(arp);
  EXPECT_FALSE(ParseArp(bytes.data(), bytes.size()));
}

}  // namespace
}  // namespace millrace::wire

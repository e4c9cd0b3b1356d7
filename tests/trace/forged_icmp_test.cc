// ICMP errors of both families that an attacker forges (RFC 5927; CVE-2004-0790, CVE-2004-1060,
// CVE-2005-0065 to 0068): he ends nothing, and changes nothing that he does not see.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "millrace/base/prng.h"
#include "millrace/wire/icmp.h"
#include "millrace/wire/icmpv6.h"
#include "testing/trace.h"

namespace millrace::testing {
namespace {

using tcp::State;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

// An ICMP error about a segment of ours with sequence number `seq`, which is relative.
std::vector<std::byte> IcmpAbout(const Trace& t, uint8_t type, uint8_t code, uint16_t mtu,
                                 uint32_t seq) {
  const std::vector<std::byte> quoted = t.QuotedSegment(seq);
  std::vector<std::byte> icmp(wire::kIcmpHeaderBytes + quoted.size());
  if (t.v6()) {
    wire::EmitIcmpV6Error(icmp.data(),
                          {.type = type,
                           .code = code,
                           .parameter = mtu,
                           .source = t.AddressOf(Trace::kPeerAddress),
                           .destination = t.AddressOf(Trace::kHostAddress)},
                          quoted.data(), static_cast<uint32_t>(quoted.size()),
                          static_cast<uint32_t>(quoted.size()));
    return t.PacketOf(wire::kIpProtocolIcmpV6, icmp);
  }
  std::copy(quoted.begin(), quoted.end(), icmp.begin() + wire::kIcmpHeaderBytes);
  StoreU8(&icmp[0], type);
  StoreU8(&icmp[1], code);
  StoreBe16(&icmp[wire::kIcmpMtuAt], mtu);
  StoreBe16(&icmp[wire::kIcmpChecksumAt],
            wire::IcmpChecksum(icmp.data(), static_cast<uint32_t>(icmp.size())));
  return t.PacketOf(wire::kIpProtocolIcmp, icmp);
}

// PMT-06, PMT-12, PMT-13 (RFC 5927): a spray of forged errors of every kind, blind and not: no
// connection is lost and, but for errors about what is in flight, nothing changes.
TEST(Attack, ForgedIcmpErrorsEndNoConnection) {
  Trace t;
  t.AcceptFromPeer();
  t.Send("data");
  t.ForgetSent();
  const uint16_t mss = t.tcb()->snd_mss;
  const std::vector<uint8_t> types =
      t.v6() ? std::vector<uint8_t>{1, 2, 3, 4, 100} : std::vector<uint8_t>{3, 4, 11, 12, 5};
  Prng dice(1);
  for (int i = 0; i < 10'000; ++i) {
    const uint8_t type = types[dice.Below(types.size())];
    const uint8_t code = static_cast<uint8_t>(dice.Below(16));
    const uint32_t seq = 0x1000'0000 + static_cast<uint32_t>(dice.Below(0xE000'0000));
    t.ReceivesFrame(IcmpAbout(t, type, code, static_cast<uint16_t>(dice.Next()), seq));
  }
  EXPECT_EQ(t.tcb()->snd_mss, mss);
  // Even one who sees the numbers ends nothing (RFC 5927 5.2).
  for (uint8_t code = 0; code < 16; ++code) {
    for (const uint8_t type : types) {
      const bool too_big =
          t.v6() ? type == wire::kIcmpV6PacketTooBig
                 : type == wire::kIcmpUnreachable && code == wire::kIcmpFragmentationNeeded;
      if (!too_big) t.ReceivesFrame(IcmpAbout(t, type, code, 0, 1));
    }
  }
  EXPECT_EQ(t.state(), State::kEstablished);
  EXPECT_EQ(t.tcb()->snd_mss, mss);
  EXPECT_THAT(t.TakeLog(), IsEmpty());
  t.Receives({.flags = kAck, .seq = 1, .ack = 5, .data = "fine"});
  EXPECT_THAT(t.TakeLog(), ElementsAre("data fine"));
}

// PMT-11: a hard error ends an opening only with the number of its SYN.
TEST(Attack, ForgedIcmpErrorsEndNoOpening) {
  Trace t;
  t.Connect();
  t.ForgetSent();
  const uint8_t type = t.v6() ? wire::kIcmpV6Unreachable : wire::kIcmpUnreachable;
  const uint8_t code = t.v6() ? wire::kIcmpV6PortUnreachable : wire::kIcmpPortUnreachable;
  for (uint32_t seq = 1; seq < 1000; ++seq) t.ReceivesFrame(IcmpAbout(t, type, code, 0, seq));
  EXPECT_EQ(t.state(), State::kSynSent);
  t.ReceivesFrame(IcmpAbout(t, type, code, 0, 0));
  EXPECT_THAT(t.TakeLog(), ElementsAre("close unreachable"));
}

}  // namespace
}  // namespace millrace::testing

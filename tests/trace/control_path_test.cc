// What a host on an IPv4 link owes others besides TCP: echo, unreachables (RFC 1122 3.2.2), ARP.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "millrace/wire/arp.h"
#include "millrace/wire/checksum.h"
#include "millrace/wire/ethernet.h"
#include "millrace/wire/icmp.h"
#include "millrace/wire/ipv4.h"
#include "testing/trace.h"

namespace millrace::testing {
namespace {

using Bytes = std::vector<std::byte>;

constexpr size_t kIpAt = wire::kEthernetHeaderBytes;
constexpr size_t kIcmpAt = kIpAt + wire::kIpv4HeaderBytes;

// An ICMP message from the peer.
Bytes Icmp(const Trace& t, uint8_t type, size_t length = 40) {
  Bytes message(length, std::byte{7});
  StoreBe32(message.data(), uint32_t{type} << 24);
  StoreBe16(&message[wire::kIcmpChecksumAt], wire::IcmpChecksum(message.data(), message.size()));
  return t.PacketOf(wire::kIpProtocolIcmp, message);
}

Bytes Arp(uint16_t operation, uint32_t sender, uint32_t target) {
  Bytes frame(wire::kEthernetHeaderBytes + wire::kArpBytes);
  wire::EmitEthernet(frame.data(), Trace::kHostMac, Trace::kPeerMac, wire::kEtherTypeArp);
  wire::EmitArp(&frame[kIpAt], {.operation = operation,
                                .sender_mac = Trace::kPeerMac,
                                .target_mac = Trace::kHostMac,
                                .sender_ip = sender,
                                .target_ip = target});
  return frame;
}

// The only frame that is not TCP, taken.
Bytes Answer(Trace& t) {
  EXPECT_EQ(t.other_frames.size(), 1u);
  if (t.other_frames.empty()) return Bytes(kIcmpAt + wire::kIcmpHeaderBytes);
  const Bytes frame = t.other_frames.front();
  t.other_frames.clear();
  return frame;
}

// RFC 1122 3.2.2.6: "Data received in an ICMP Echo Request MUST be entirely included in the
// resulting Echo Reply", and the addresses change places.
TEST(ControlPath, EchoIsAnsweredWithItsData) {
  Trace t;
  const Bytes request = Icmp(t, wire::kIcmpEchoRequest);
  t.ReceivesFrame(request);
  const Bytes reply = Answer(t);
  ASSERT_EQ(reply.size(), request.size());
  EXPECT_EQ(LoadU8(&reply[kIcmpAt]), wire::kIcmpEchoReply);
  EXPECT_EQ(LoadBe32(&reply[kIpAt + wire::kIpv4SourceAt]), Trace::kHostAddress);
  EXPECT_EQ(LoadBe32(&reply[kIpAt + wire::kIpv4DestinationAt]), Trace::kPeerAddress);
  EXPECT_EQ(wire::LoadMac(reply.data()), Trace::kPeerMac);
  EXPECT_EQ(wire::IcmpChecksum(&reply[kIcmpAt], reply.size() - kIcmpAt), 0);
  EXPECT_TRUE(std::equal(reply.begin() + kIcmpAt + 4, reply.end(), request.begin() + kIcmpAt + 4));
  t.ExpectNothingHeld();
}

TEST(ControlPath, EchoToTheBroadcastMacIsNotAnswered) {
  Trace t;
  Bytes request = Icmp(t, wire::kIcmpEchoRequest);
  wire::StoreMac(request.data(), MacAddress::Broadcast());
  t.ReceivesFrame(request);
  EXPECT_TRUE(t.other_frames.empty());
  EXPECT_EQ(t.engine().counters().dropped(wire::DropReason::kIpDestination), 1u);
}

// Echo, unreachables and resets are of one budget: nobody makes us send more than that.
TEST(ControlPath, AnswersToNobodyHaveALimit) {
  TraceOptions options;
  options.config.stateless_replies_per_s = 10;
  options.config.stateless_replies_burst = 3;
  Trace t(options);
  const Bytes echo = Icmp(t, wire::kIcmpEchoRequest);
  const Bytes datagram = t.PacketOf(wire::kIpProtocolUdp, Bytes(20));
  for (int i = 0; i < 5; ++i) t.ReceivesFrame(echo);
  EXPECT_EQ(t.other_frames.size(), 3u);
  EXPECT_EQ(t.engine().counters().icmp_echos, 3u);
  t.ReceivesFrame(datagram);
  EXPECT_EQ(t.other_frames.size(), 3u);
  EXPECT_EQ(t.engine().counters().icmp_limited, 3u);
  t.ReceivesFrom(Trace::kPeerAddress, 9, 9, {.flags = kSyn});
  EXPECT_TRUE(t.SentNothing());
  EXPECT_EQ(t.counters().reset_limited, 1u);
  t.Advance(Duration::Milliseconds(101));
  t.ReceivesFrame(datagram);
  EXPECT_EQ(t.other_frames.size(), 4u);
  t.ExpectNothingHeld();
}

// RFC 1122 3.2.2.1: code 2 where nobody speaks the protocol, 3 where nobody listens; the header
// and eight octets of what it is about are quoted.
TEST(ControlPath, UnwantedDatagramsAreAnsweredByUnreachable) {
  constexpr uint8_t kSctp = 132;
  Trace t;
  for (const uint8_t protocol : {wire::kIpProtocolUdp, kSctp}) {
    const Bytes datagram = t.PacketOf(protocol, Bytes(100, std::byte{1}));
    t.ReceivesFrame(datagram);
    const Bytes error = Answer(t);
    EXPECT_EQ(LoadU8(&error[kIcmpAt]), wire::kIcmpUnreachable);
    EXPECT_EQ(LoadU8(&error[kIcmpAt + 1]),
              protocol == kSctp ? wire::kIcmpProtocolUnreachable : wire::kIcmpPortUnreachable);
    ASSERT_EQ(error.size(), kIcmpAt + wire::kIcmpHeaderBytes + 28);
    EXPECT_TRUE(std::equal(error.begin() + kIcmpAt + wire::kIcmpHeaderBytes, error.end(),
                           datagram.begin() + kIpAt));
    EXPECT_EQ(LoadBe32(&error[kIpAt + wire::kIpv4DestinationAt]), Trace::kPeerAddress);
  }
  EXPECT_EQ(t.engine().counters().datagrams_ignored, 2u);
  EXPECT_EQ(t.engine().counters().icmp_unreachables_sent, 2u);
}

// Replies to nothing, timestamps and redirects change nothing and earn nothing.
TEST(ControlPath, OtherIcmpIsIgnored) {
  Trace t;
  for (const uint8_t type : {uint8_t{0}, uint8_t{5}, uint8_t{13}}) {
    t.ReceivesFrame(Icmp(t, type));
  }
  EXPECT_TRUE(t.other_frames.empty());
  EXPECT_EQ(t.engine().counters().icmp_ignored, 3u);
  t.ExpectNothingHeld();
}

// RFC 826: the table is not asked for an answer, the request's own fields are.
TEST(ControlPath, ArpRequestIsAnswered) {
  Trace t;
  t.ReceivesFrame(Arp(wire::kArpRequest, Trace::kPeerAddress, Trace::kHostAddress));
  const Bytes frame = Answer(t);
  EXPECT_EQ(wire::LoadMac(frame.data()), Trace::kPeerMac);
  const auto reply = wire::ParseArp(&frame[kIpAt], frame.size() - kIpAt);
  EXPECT_EQ(reply, (wire::ArpPacket{.operation = wire::kArpReply,
                                    .sender_mac = Trace::kHostMac,
                                    .target_mac = Trace::kPeerMac,
                                    .sender_ip = Trace::kHostAddress,
                                    .target_ip = Trace::kPeerAddress}));
  t.ReceivesFrame(Arp(wire::kArpRequest, Trace::kPeerAddress, Trace::kHostAddress + 5));
  EXPECT_TRUE(t.other_frames.empty());
  EXPECT_EQ(t.engine().counters().arp_replies, 1u);
}

// A host without an IPv4 address has no part in ARP: the request is dropped by name.
TEST(ControlPath, ArpIsUnknownWithoutIpv4) {
  TraceOptions options;
  options.v6 = true;
  options.config.address.length_bits = 0;
  Trace t(options);
  t.ReceivesFrame(Arp(wire::kArpRequest, Trace::kPeerAddress, Trace::kHostAddress));
  t.ReceivesFrame(Arp(wire::kArpRequest, Trace::kPeerAddress, 0xFFFF'FFFF));
  EXPECT_TRUE(t.other_frames.empty());
  EXPECT_EQ(t.engine().counters().dropped(wire::DropReason::kUnknownEtherType), 2u);
  EXPECT_EQ(t.engine().Listen({IpAddress::V4(0), 80}, 4), stack::ListenResult::kUnsupported);
  EXPECT_EQ(t.engine().Connect({IpAddress::V4(Trace::kPeerAddress), 80}, 0, nullptr),
            stack::ConnectResult::kUnsupported);
}

// The SYN waits for the neighbour's address and goes out when it is known; one that never answers
// ends the opening.
TEST(ControlPath, SynWaitsForTheNeighboursAddress) {
  constexpr uint32_t kOther = 0x0A00'0003;
  Trace t;
  stack::Socket socket;
  ASSERT_EQ(t.engine().Connect({IpAddress::V4(kOther), 80}, 0, &socket), stack::ConnectResult::kOk);
  t.Advance(Duration::Milliseconds(2));
  EXPECT_TRUE(t.SentNothing());
  const Bytes question = Answer(t);
  EXPECT_EQ(wire::LoadMac(question.data()), MacAddress::Broadcast());
  EXPECT_EQ(LoadBe32(&question[kIpAt + wire::kArpTargetIpAt]), kOther);
  t.ReceivesFrame(Arp(wire::kArpReply, kOther, Trace::kHostAddress));
  ASSERT_EQ(t.other_frames.size(), 1u) << "the SYN, to an address that is not the peer's";
  EXPECT_EQ(wire::LoadMac(t.other_frames[0].data()), Trace::kPeerMac);
  EXPECT_EQ(t.engine().neighbors().parked(), 0u);
}

TEST(ControlPath, NeighbourThatNeverAnswersEndsTheOpening) {
  constexpr uint32_t kNobody = 0x0A00'004D;
  Trace t;
  ASSERT_EQ(t.engine().Connect({IpAddress::V4(kNobody), 80}, 0, &t.app().socket),
            stack::ConnectResult::kOk);
  t.Advance(Duration::Seconds(8));
  EXPECT_THAT(t.TakeLog(), ::testing::ElementsAre("close unreachable"));
  EXPECT_EQ(t.engine().counters().arp_requests, 3u);
  EXPECT_EQ(t.counters().attempt_fails, 1u);
  EXPECT_EQ(t.port().live(), 0u);
}

// RFC 9293 3.9.2.3: nothing is done for a host that cannot be reached.
TEST(ControlPath, WithoutARouteNothingIsOpenedOrAnswered) {
  constexpr uint32_t kFar = 0x0B00'0001;
  Trace t;
  EXPECT_EQ(t.engine().Connect({IpAddress::V4(kFar), 80}, 0, nullptr),
            stack::ConnectResult::kNoRoute);
  t.Listen();
  t.ReceivesFrom(kFar, 4000, t.options().local_port, {.flags = kSyn});
  EXPECT_EQ(t.counters().listen_drops, 1u);
  t.ReceivesFrom(kFar, 4000, 81, {.flags = kSyn});
  EXPECT_TRUE(t.SentNothing());
  EXPECT_EQ(t.engine().counters().tx_no_route, 3u);
  t.ExpectNothingHeld();
}

}  // namespace
}  // namespace millrace::testing

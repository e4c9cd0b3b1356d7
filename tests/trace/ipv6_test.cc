// What IPv6 has and IPv4 has not: ICMPv6, neighbour discovery, its own MSS.
#include "millrace/wire/ipv6.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "millrace/wire/ethernet.h"
#include "millrace/wire/icmpv6.h"
#include "millrace/wire/ipv4.h"
#include "millrace/wire/ndp.h"
#include "testing/trace.h"

namespace millrace::testing {
namespace {

using ::testing::ElementsAre;
using Bytes = std::vector<std::byte>;

constexpr size_t kIcmpAt = wire::kEthernetHeaderBytes + wire::kIpv6HeaderBytes;

TraceOptions V6() {
  TraceOptions options;
  options.v6 = true;
  return options;
}

// A packet from the peer; of ICMPv6 the checksum is filled in.
Bytes Packet(const Trace& t, uint8_t protocol, Bytes message, uint8_t hop_limit = 255,
             std::optional<IpAddress> destination = std::nullopt,
             std::optional<IpAddress> source = std::nullopt) {
  const IpAddress from = source.value_or(t.AddressOf(Trace::kPeerAddress));
  const IpAddress to = destination.value_or(t.AddressOf(Trace::kHostAddress));
  if (protocol == wire::kIpProtocolIcmpV6) {
    StoreBe16(&message[wire::kIcmpV6ChecksumAt], 0);
    StoreBe16(&message[wire::kIcmpV6ChecksumAt],
              wire::ChecksumV6(from, to, protocol, message.data(),
                               static_cast<uint32_t>(message.size())));
  }
  Bytes frame(kIcmpAt + message.size());
  const MacAddress mac = wire::IsMulticastV6(to) ? wire::GroupMacV6(to) : Trace::kHostMac;
  wire::EmitEthernet(frame.data(), mac, Trace::kPeerMac, wire::kEtherTypeIpv6);
  wire::EmitIpv6(&frame[wire::kEthernetHeaderBytes],
                 {.payload_length = static_cast<uint16_t>(message.size()),
                  .next_header = protocol,
                  .hop_limit = hop_limit,
                  .source = from,
                  .destination = to});
  std::copy(message.begin(), message.end(), frame.begin() + kIcmpAt);
  return frame;
}

Bytes Solicitation(const Trace& t, bool detection, uint8_t hop_limit = 255) {
  const IpAddress target = t.AddressOf(Trace::kHostAddress);
  const IpAddress from = detection ? IpAddress() : t.AddressOf(Trace::kPeerAddress);
  wire::NeighborMessage message{.target = target};
  if (!detection) message.mac = Trace::kPeerMac;
  Bytes bytes(wire::kNeighborMessageBytesMax);
  bytes.resize(wire::EmitNeighborMessage(bytes.data(), message, from, wire::SolicitedNode(target)));
  return Packet(t, wire::kIpProtocolIcmpV6, bytes, hop_limit, wire::SolicitedNode(target), from);
}

struct Icmp {
  uint8_t type = 0, code = 0;
  IpAddress source, destination;
  Bytes message;
};

// The only frame that is not TCP, taken; with its checksum verified.
Icmp Answer(Trace& t) {
  EXPECT_EQ(t.other_frames.size(), 1u);
  if (t.other_frames.empty()) return {};
  const Bytes frame = t.other_frames.front();
  t.other_frames.clear();
  const std::byte* const ip = &frame[wire::kEthernetHeaderBytes];
  Icmp icmp{.type = LoadU8(&frame[kIcmpAt]),
            .code = LoadU8(&frame[kIcmpAt + 1]),
            .source = wire::LoadIpv6(ip + wire::kIpv6SourceAt),
            .destination = wire::LoadIpv6(ip + wire::kIpv6DestinationAt),
            .message = Bytes(frame.begin() + kIcmpAt, frame.end())};
  EXPECT_EQ(wire::ChecksumV6(icmp.source, icmp.destination, wire::kIpProtocolIcmpV6,
                             icmp.message.data(), static_cast<uint32_t>(icmp.message.size())),
            0);
  return icmp;
}

// PMT-01 (MUST-15, MUST-67): 1500 - 60 offered, 1220 assumed.
TEST(IPv6, MssCountsTheLongerHeader) {
  TraceOptions options = V6();
  options.capabilities.mtu = 1480;  // 1500 with what the fixture adds
  Trace t(options);
  t.Listen();
  t.Receives({.flags = kSyn, .seq = 0});
  const std::optional<Seg> syn_ack = t.Sent();
  ASSERT_TRUE(syn_ack.has_value());
  EXPECT_EQ(syn_ack->mss, 1440);
  t.Receives({.flags = kAck, .seq = 1, .ack = 1});
  t.Send(Octets(3000));
  EXPECT_EQ(t.Sent().value_or(Seg{}).data.size(), 1220u);
}

TEST(IPv6, PeersMssIsBoundedByTheLink) {
  TraceOptions options = V6();
  options.capabilities.mtu = 1480;
  Trace t(options);
  t.AcceptFromPeer({.mss = 9000});
  t.Send(Octets(3000));
  EXPECT_EQ(t.Sent().value_or(Seg{}).data.size(), 1440u);
}

TEST(IPv6, EchoIsAnswered) {
  Trace t(V6());
  Bytes echo(40, std::byte{7});
  echo[0] = std::byte{wire::kIcmpV6EchoRequest};
  echo[1] = std::byte{0};
  t.ReceivesFrame(Packet(t, wire::kIpProtocolIcmpV6, echo, 64));
  const Icmp reply = Answer(t);
  EXPECT_EQ(reply.type, wire::kIcmpV6EchoReply);
  EXPECT_EQ(reply.source, t.AddressOf(Trace::kHostAddress));
  EXPECT_EQ(reply.destination, t.AddressOf(Trace::kPeerAddress));
  EXPECT_TRUE(std::equal(reply.message.begin() + 4, reply.message.end(), echo.begin() + 4));
  t.ReceivesFrame(Packet(t, wire::kIpProtocolIcmpV6, echo, 64, wire::kAllNodesV6));
  EXPECT_TRUE(t.other_frames.empty()) << "not one to a group";
  t.ExpectNothingHeld();
}

TEST(IPv6, SolicitationIsAnswered) {
  Trace t(V6());
  t.ReceivesFrame(Solicitation(t, false));
  const Icmp reply = Answer(t);
  EXPECT_EQ(reply.type, wire::kNdpNeighborAdvertisement);
  EXPECT_EQ(reply.destination, t.AddressOf(Trace::kPeerAddress));
  const auto message = wire::ParseNeighborMessage(reply.message.data(), reply.message.size(),
                                                  {reply.source, reply.destination, 255});
  ASSERT_TRUE(message.has_value());
  EXPECT_TRUE(message->solicited && message->override_flag && !message->router);
  EXPECT_EQ(message->mac, Trace::kHostMac);
}

// IPL-09
TEST(IPv6, SolicitationFromBehindARouterIsNot) {
  Trace t(V6());
  t.ReceivesFrame(Solicitation(t, false, 254));
  EXPECT_TRUE(t.other_frames.empty());
  EXPECT_EQ(t.engine().counters().ndp_invalid, 1u);
}

// RFC 4861 7.2.4: whoever wants our address hears it by the all-nodes group.
TEST(IPv6, AddressIsDefendedAgainstADetection) {
  Trace t(V6());
  t.ReceivesFrame(Solicitation(t, true));
  EXPECT_EQ(Answer(t).destination, wire::kAllNodesV6);
}

// RFC 4862 5.4
TEST(IPv6, AddressIsSilentUntilItsDetectionIsOver) {
  TraceOptions options = V6();
  options.v6_detection_transmits = 1;
  Trace t(options);
  t.Listen();
  t.Poll();
  EXPECT_EQ(t.other_frames.size(), 2u) << "a solicitation for each address";
  t.other_frames.clear();
  t.Receives({.flags = kSyn, .seq = 0});
  EXPECT_TRUE(t.SentNothing());
  EXPECT_EQ(t.engine().Connect({t.AddressOf(Trace::kPeerAddress), 9}, 0, nullptr),
            stack::ConnectResult::kNoRoute);
  t.Advance(Duration::Milliseconds(1'010));
  t.Receives({.flags = kSyn, .seq = 0});
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kSyn | kAck, .seq = 0, .ack = 1}));
}

TEST(IPv6, DuplicateAddressIsNeverUsed) {
  TraceOptions options = V6();
  options.v6_detection_transmits = 1;
  Trace t(options);
  t.Listen();
  t.Poll();
  t.ReceivesFrame(Solicitation(t, true));
  t.Advance(Duration::Seconds(3));
  EXPECT_EQ(t.engine().host_v6().address_state(), stack::AddressState::kDuplicate);
  EXPECT_EQ(t.engine().counters().ndp_conflicts, 1u);
  t.Receives({.flags = kSyn, .seq = 0});
  EXPECT_TRUE(t.SentNothing());
}

TEST(IPv6, NeighbourIsAskedForAndTheSynWaits) {
  Trace t(V6());
  const IpAddress other = t.AddressOf(0x0A00'0003);
  ASSERT_EQ(t.engine().Connect({other, 80}, 0, nullptr), stack::ConnectResult::kOk);
  t.Advance(Duration::Milliseconds(2));
  EXPECT_TRUE(t.SentNothing());
  const Icmp question = Answer(t);
  EXPECT_EQ(question.type, wire::kNdpNeighborSolicitation);
  EXPECT_EQ(question.destination, wire::SolicitedNode(other));
  Bytes bytes(wire::kNeighborMessageBytesMax);
  const IpAddress us = t.AddressOf(Trace::kHostAddress);
  bytes.resize(wire::EmitNeighborMessage(bytes.data(),
                                         {.advertisement = true,
                                          .solicited = true,
                                          .override_flag = true,
                                          .target = other,
                                          .mac = Trace::kPeerMac},
                                         other, us));
  t.ReceivesFrame(Packet(t, wire::kIpProtocolIcmpV6, bytes, 255, us, other));
  EXPECT_EQ(t.engine().counters().tx_parked, 1u);
  EXPECT_EQ(t.engine().neighbors().parked(), 0u);
}

TEST(IPv6, UdpIsAnsweredByPortUnreachable) {
  Trace t(V6());
  const Bytes frame = Packet(t, wire::kIpProtocolUdp, Bytes(200, std::byte{1}), 64);
  t.ReceivesFrame(frame);
  const Icmp error = Answer(t);
  EXPECT_EQ(error.type, wire::kIcmpV6Unreachable);
  EXPECT_EQ(error.code, wire::kIcmpV6PortUnreachable);
  EXPECT_TRUE(std::equal(error.message.begin() + 8, error.message.end(),
                         frame.begin() + wire::kEthernetHeaderBytes));
}

TEST(IPv6, UnknownProtocolIsAParameterProblem) {
  Trace t(V6());
  t.ReceivesFrame(Packet(t, 132, Bytes(20), 64));
  const Icmp error = Answer(t);
  EXPECT_EQ(error.type, wire::kIcmpV6ParameterProblem);
  EXPECT_EQ(error.code, wire::kIcmpV6UnknownNextHeader);
  EXPECT_EQ(LoadBe32(&error.message[4]), wire::kIpv6NextHeaderAt);
}

Bytes Error(const Trace& t, uint8_t type, uint8_t code, uint32_t seq) {
  Bytes quoted(wire::kIpv6HeaderBytes + 8);
  wire::EmitIpv6(quoted.data(), {.payload_length = 20,
                                 .next_header = wire::kIpProtocolTcp,
                                 .hop_limit = 64,
                                 .source = t.AddressOf(Trace::kHostAddress),
                                 .destination = t.AddressOf(Trace::kPeerAddress)});
  std::byte* const tcp = &quoted[wire::kIpv6HeaderBytes];
  StoreBe16(tcp, t.options().local_port);
  StoreBe16(tcp + 2, t.options().peer_port);
  StoreBe32(tcp + 4, (t.host_isn() + seq).value());
  Bytes message(8 + quoted.size());
  wire::EmitIcmpV6Error(message.data(),
                        {.type = type,
                         .code = code,
                         .source = t.AddressOf(Trace::kPeerAddress),
                         .destination = t.AddressOf(Trace::kHostAddress)},
                        quoted.data(), static_cast<uint32_t>(quoted.size()), 200);
  return Packet(t, wire::kIpProtocolIcmpV6, message, 64);
}

// PMT-11
TEST(IPv6, PortUnreachableEndsAnOpeningWhenItQuotesTheSyn) {
  Trace t(V6());
  t.Connect();
  t.ForgetSent();
  t.ReceivesFrame(Error(t, wire::kIcmpV6Unreachable, wire::kIcmpV6PortUnreachable, 77));
  t.ReceivesFrame(Error(t, wire::kIcmpV6Unreachable, 0, 0));
  EXPECT_EQ(t.state(), tcp::State::kSynSent);
  t.ReceivesFrame(Error(t, wire::kIcmpV6Unreachable, wire::kIcmpV6PortUnreachable, 0));
  EXPECT_THAT(t.TakeLog(), ElementsAre("close unreachable"));
}

// PMT-12
TEST(IPv6, PortUnreachableEndsNoConnection) {
  Trace t(V6());
  t.AcceptFromPeer();
  t.Send("data");
  t.ReceivesFrame(Error(t, wire::kIcmpV6Unreachable, wire::kIcmpV6PortUnreachable, 1));
  EXPECT_EQ(t.state(), tcp::State::kEstablished);
}

// A segment of unknown addresses takes a record for no longer than its answer needs.
TEST(IPv6, UnknownSourcesTakeNoMemory) {
  Trace t(V6());
  for (uint32_t i = 0; i < 1000; ++i) {
    t.ReceivesFrom(0x0A00'0010 + i % 100, 1000, 81, {.flags = kSyn, .seq = i});
  }
  EXPECT_EQ(t.engine().address_pairs().size(), 0u);
  EXPECT_EQ(t.counters().no_listener, 1000u);
}

TEST(IPv6, ListenersOfAFamilyTakeNoneOfTheOther) {
  Trace t(V6());
  EXPECT_EQ(t.engine().Listen({IpAddress::V4(0), 80}, 4), stack::ListenResult::kOk);
  t.Receives({.flags = kSyn, .seq = 0});
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kRst | kAck, .seq = 0, .ack = 1}));
  EXPECT_EQ(t.engine().Listen({IpAddress(), 80}, 4), stack::ListenResult::kOk);
}

// SHLD-25 over IPv6.
TEST(IPv6, SoftErrorsAreMadeKnown) {
  using tcp::SoftError;
  const struct {
    uint8_t type, code;
    SoftError meaning;
  } errors[] = {{wire::kIcmpV6Unreachable, 0, SoftError::kNetUnreachable},
                {wire::kIcmpV6Unreachable, 1, SoftError::kProhibited},
                {wire::kIcmpV6Unreachable, 2, SoftError::kOther},
                {wire::kIcmpV6Unreachable, 3, SoftError::kHostUnreachable},
                {wire::kIcmpV6Unreachable, 4, SoftError::kPortUnreachable},
                {wire::kIcmpV6TimeExceeded, 0, SoftError::kTimeExceeded},
                {wire::kIcmpV6ParameterProblem, 0, SoftError::kParameterProblem},
                {wire::kIcmpV6ParameterProblem, 1, SoftError::kProtocolUnreachable}};
  Trace t(V6());
  t.AcceptFromPeer();
  t.Send("data");
  for (const auto& error : errors) {
    SCOPED_TRACE(int{error.type} * 100 + error.code);
    const Bytes quoted = t.QuotedSegment(1);
    Bytes message(wire::kIcmpV6HeaderBytes);
    message[0] = std::byte{error.type};
    message[1] = std::byte{error.code};
    message.insert(message.end(), quoted.begin(), quoted.end());
    t.ReceivesFrame(Packet(t, wire::kIpProtocolIcmpV6, message, 64));
    EXPECT_EQ(t.state(), tcp::State::kEstablished);
    EXPECT_EQ(t.app().socket.TakeSoftError(), error.meaning);
  }
}

}  // namespace
}  // namespace millrace::testing

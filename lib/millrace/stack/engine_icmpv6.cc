// stack/engine_icmpv6.cc - ICMPv6 (RFC 4443): echo, errors about our segments, and errors of ours.

#include "millrace/base/check.h"
#include "millrace/base/endian.h"
#include "millrace/stack/engine.h"
#include "millrace/wire/icmpv6.h"
#include "millrace/wire/mld.h"
#include "millrace/wire/ndp.h"

namespace millrace::stack {
namespace {

// The frame of a parsed packet, for the address that it came from.
MacAddress SenderOf(const wire::ParsedFrame& frame) {
  return wire::LoadMac(frame.network_header - wire::kEthernetHeaderBytes + wire::kEthernetSourceAt);
}

// RFC 4443 3.1, 3.3, 3.4; RFC 5461 1 for what TCP makes of them.
tcp::SoftError SoftErrorOf(const wire::IcmpV6Header& icmp) {
  using tcp::SoftError;
  switch (icmp.type) {
    case wire::kIcmpV6TimeExceeded:
      return SoftError::kTimeExceeded;
    case wire::kIcmpV6ParameterProblem:
      return icmp.code == wire::kIcmpV6UnknownNextHeader ? SoftError::kProtocolUnreachable
                                                         : SoftError::kParameterProblem;
    default:
      break;
  }
  switch (icmp.code) {
    case 0:  // no route to destination
    case 6:  // reject route
      return SoftError::kNetUnreachable;
    case 3:  // address unreachable
      return SoftError::kHostUnreachable;
    case wire::kIcmpV6PortUnreachable:
      return SoftError::kPortUnreachable;
    case wire::kIcmpV6AdminProhibited:
    case 5:  // source address failed ingress or egress policy
      return SoftError::kProhibited;
    default:
      return SoftError::kOther;
  }
}

}  // namespace

void Engine::OnIcmpV6(const wire::ParsedFrame& frame, RxFrame packet) {
  const auto header = wire::ParseIcmpV6Header(frame.transport_header, frame.transport_length);
  MR_DCHECK(header.has_value());  // the parser has looked
  switch (header->type) {
    case wire::kIcmpV6EchoRequest:
      if (TurnEchoV6(frame, packet)) return;
      break;
    case wire::kIcmpV6Unreachable:
    case wire::kIcmpV6PacketTooBig:
    case wire::kIcmpV6TimeExceeded:
    case wire::kIcmpV6ParameterProblem:
      OnIcmpErrorV6(frame);
      break;
    case wire::kNdpNeighborSolicitation:
      OnSolicitation(frame);
      break;
    case wire::kNdpNeighborAdvertisement:
      OnAdvertisement(frame);
      break;
    case wire::kNdpRouterAdvertisement:
      OnRouterAdvertisement(frame);
      break;
    case wire::kMldQuery:
      OnGroupQuery(frame);
      break;
    default:
      ++counters_.icmp_ignored;  // echo replies, redirects, router solicitations, group reports
      break;
  }
  env_.released.Push(packet.packet);
}

// RFC 4443 4.2: the packet itself goes back, as over IPv4. True when it does. Requests to a group
// are not answered, which RFC 4443 allows, nor those with extension headers or from nobody.
bool Engine::TurnEchoV6(const wire::ParsedFrame& frame, RxFrame packet) {
  const bool plain = frame.transport_header == frame.network_header + wire::kIpv6HeaderBytes;
  const IpAddress source = frame.source_v6(), destination = frame.destination_v6();
  if (wire::IsMulticastV6(destination) || wire::IsUnspecifiedV6(source) || !plain) {
    ++counters_.icmp_ignored;
    return false;
  }
  if (!stateless_limit_.Take(env_.now)) {
    ++counters_.icmp_limited;
    return false;
  }
  std::byte* const ethernet = packet.data;
  std::byte* const icmp = ethernet + (frame.transport_header - packet.data);
  wire::TurnEchoIntoReplyV6(icmp);
  const uint32_t length = builder_.BuildIcmpV6(ethernet, SenderOf(frame), destination, source,
                                               config_.ttl, frame.transport_length);
  bounces_[bounce_count_++] = {packet.packet, length};
  ++counters_.icmp_echos;
  return true;
}

void Engine::OnIcmpErrorV6(const wire::ParsedFrame& frame) {
  const auto error = wire::ParseIcmpV6TcpError(frame.transport_header, frame.transport_length);
  FlowKey key;
  if (!error.has_value() || !pairs_.FindKey(error->source, error->source_port, error->destination,
                                            error->destination_port, &key)) {
    ++counters_.icmp_errors_ignored;
    return;
  }
  const wire::IcmpV6Header& icmp = error->icmp;
  if (icmp.type == wire::kIcmpV6PacketTooBig) {
    return OnPacketTooBig(key, error->seq, icmp.parameter);
  }
  OnTcpError(key, error->seq, SoftErrorOf(icmp));
}

// A packet that RFC 4443 answers with an error: nobody listens to UDP, or nobody knows the protocol
// or an option.
void Engine::OnProblemV6(const wire::ParsedFrame& frame) {
  const bool udp = frame.kind == wire::FrameKind::kUdpV6;
  ++(udp ? counters_.datagrams_ignored : counters_.problems_v6);
  const IpAddress source = frame.source_v6(), destination = frame.destination_v6();
  // RFC 4443 2.4 (e): never to what was sent to a group, with one exception, or from nobody. The
  // parser drops datagrams to groups.
  const bool group = wire::IsMulticastV6(destination);
  if (wire::IsUnspecifiedV6(source)) return;
  if (group && frame.problem_code != wire::kIcmpV6UnknownOption) return;
  if (!stateless_limit_.Take(env_.now)) {
    ++counters_.icmp_limited;
    return;
  }
  const IpAddress from = group ? host_v6_.SourceFor(source) : destination;
  if (from == IpAddress()) return;
  constexpr uint32_t kQuoteMax =
      ControlFrame::kBytesMax - FrameBuilder::kIcmpV6At - wire::kIcmpV6HeaderBytes;
  ControlFrame& out = control_[control_count_++];
  const wire::IcmpV6Error error{
      .type = udp ? wire::kIcmpV6Unreachable : wire::kIcmpV6ParameterProblem,
      .code = udp ? wire::kIcmpV6PortUnreachable : frame.problem_code,
      .parameter = udp ? 0 : frame.problem_at,
      .source = from,
      .destination = source};
  const uint32_t length =
      wire::EmitIcmpV6Error(out.bytes.data() + FrameBuilder::kIcmpV6At, error, frame.network_header,
                            frame.network_length, kQuoteMax);
  out.length = static_cast<uint16_t>(
      builder_.BuildIcmpV6(out.bytes.data(), SenderOf(frame), from, source, config_.ttl, length));
  ++counters_.icmp_errors_v6_sent;
}

}  // namespace millrace::stack

// stack/engine_control.cc - ARP, ICMP and datagrams that nobody here wants (RFC 826, RFC 792,
// RFC 1122 section 3.2).

#include <algorithm>
#include <cstring>

#include "millrace/base/check.h"
#include "millrace/base/endian.h"
#include "millrace/stack/engine.h"
#include "millrace/tcp/connection.h"
#include "millrace/tcp/liveness.h"
#include "millrace/wire/icmp.h"

namespace millrace::stack {
namespace {

// RFC 1122 4.2.3.9 for what TCP makes of them; codes of RFC 792, RFC 1122 3.2.2.1 and RFC 1812
// 5.2.7.1.
tcp::SoftError SoftErrorOf(const wire::IcmpHeader& icmp) {
  using tcp::SoftError;
  if (icmp.type == wire::kIcmpTimeExceeded) return SoftError::kTimeExceeded;
  if (icmp.type == wire::kIcmpParameterProblem) return SoftError::kParameterProblem;
  switch (icmp.code) {
    case wire::kIcmpNetUnreachable:
    case 6:   // destination network unknown
    case 11:  // network unreachable for type of service
      return SoftError::kNetUnreachable;
    case wire::kIcmpHostUnreachable:
    case 7:   // destination host unknown
    case 8:   // source host isolated
    case 12:  // host unreachable for type of service
      return SoftError::kHostUnreachable;
    case wire::kIcmpProtocolUnreachable:
      return SoftError::kProtocolUnreachable;
    case wire::kIcmpPortUnreachable:
      return SoftError::kPortUnreachable;
    case 9:   // network
    case 10:  // host
    case 13:  // by filtering
      return SoftError::kProhibited;
    default:
      return SoftError::kOther;
  }
}

}  // namespace

void Engine::OnArp(const wire::ParsedFrame& frame) {
  if (config_.address.length_bits == 0) {
    counters_.Drop(wire::DropReason::kUnknownEtherType);
    return;
  }
  const auto arp = wire::ParseArp(frame.network_header, wire::kArpBytes);
  MR_DCHECK(arp.has_value());  // the parser has looked
  const NeighborResult result = neighbors_.OnArp(*arp, env_.now);
  if (result.reply) {
    ControlFrame& out = control_[control_count_++];
    out.length =
        static_cast<uint16_t>(builder_.BuildArp(out.bytes.data(), arp->sender_mac, wire::kArpReply,
                                                arp->target_ip, arp->sender_mac, arp->sender_ip));
    ++counters_.arp_replies;
  }
  SendUnparked(result);
}

void Engine::SendUnparked(const NeighborResult& result) {
  for (size_t i = 0; i < result.packet_count; ++i) {
    unparked_[unparked_count_++] = {result.packets[i], neighbors_[result.resolved].mac};
  }
}

void Engine::OnIcmp(const wire::ParsedFrame& frame, RxFrame packet) {
  const auto header = wire::ParseIcmpHeader(frame.transport_header, frame.transport_length);
  MR_DCHECK(header.has_value());  // the parser has looked, and lets through nothing sent to a group
  if (header->type == wire::kIcmpEchoRequest) {
    if (stateless_limit_.Take(env_.now)) {
      // RFC 1122 3.2.2.6: every host answers echo requests, with the data of the request. The
      // packet itself goes back: addresses change places, which leaves the IP checksum as it is.
      std::byte* const ip = packet.data + (frame.network_header - packet.data);
      std::byte* const icmp = packet.data + (frame.transport_header - packet.data);
      wire::TurnEchoIntoReply(icmp);
      StoreBe32(ip + wire::kIpv4SourceAt, frame.destination_v4);
      StoreBe32(ip + wire::kIpv4DestinationAt, frame.source_v4);
      wire::EmitEthernet(packet.data, wire::LoadMac(packet.data + wire::kEthernetSourceAt),
                         net_.mac, wire::kEtherTypeIpv4);
      const uint32_t length = static_cast<uint32_t>(icmp - packet.data) + frame.transport_length;
      bounces_[bounce_count_++] = {packet.packet, length};
      ++counters_.icmp_echos;
      return;
    }
    ++counters_.icmp_limited;
  } else if (header->type == wire::kIcmpUnreachable || header->type == wire::kIcmpTimeExceeded ||
             header->type == wire::kIcmpParameterProblem) {
    OnIcmpError(frame);
  } else {
    ++counters_.icmp_ignored;  // source quench (MUST-55), redirects, replies
  }
  env_.released.Push(packet.packet);
}

// RFC 5927 4.1: an error is believed only about a segment that is in flight. RFC 9293 3.9.2.2:
// hard errors end an opening (SHLD-26, only in SYN-SENT here, RFC 5927 5.2); soft ones never do
// (MUST-56), and the application may ask for them (SHLD-25).
void Engine::OnIcmpError(const wire::ParsedFrame& frame) {
  const auto error = wire::ParseIcmpTcpError(frame.transport_header, frame.transport_length);
  if (!error.has_value()) {
    ++counters_.icmp_errors_ignored;
    return;
  }
  const FlowKey key = FlowKey::V4(error->source_v4, error->source_port, error->destination_v4,
                                  error->destination_port);
  if (error->icmp.type == wire::kIcmpUnreachable &&
      error->icmp.code == wire::kIcmpFragmentationNeeded) {
    return OnPacketTooBig(key, error->seq, error->icmp.mtu);
  }
  OnTcpError(key, error->seq, SoftErrorOf(error->icmp));
}

// An ICMP error of either family about a segment of the flow.
void Engine::OnTcpError(const FlowKey& key, SeqNum seq, tcp::SoftError error) {
  const FlowRef ref = FindFlow(table_.Hash(key), key);
  Connection* const c = ref.kind() == FlowKind::kConnection ? &connections_[ref.index()] : nullptr;
  if (c == nullptr || seq < c->tcb.snd_una || seq >= c->tcb.snd_nxt) {
    ++counters_.icmp_errors_ignored;
    return;
  }
  tcp::Tcb& tcb = c->tcb;
  const bool hard =
      error == tcp::SoftError::kProtocolUnreachable || error == tcp::SoftError::kPortUnreachable;
  if (!hard || tcb.state != tcp::State::kSynSent) {
    ++counters_.icmp_soft_errors;
    if (tcp::Extra* const extra = tcp::TakeExtraForPeer(tcb, env_)) extra->soft_error = error;
    return;
  }
  ++counters_.icmp_errors_used;
  ++env_.counters.attempt_fails;
  tcp::Abort(tcb, tcp::CloseReason::kUnreachable, env_);
  MarkDirty(*c);
}

// RFC 1191, RFC 8201; what of it is believed, and when: tcp::OnPacketTooBig. Never less than what
// every link carries, so that a forged one costs little. What waits for a time-out is not learnt:
// the next connection finds out for itself.
void Engine::OnPacketTooBig(const FlowKey& key, SeqNum seq, uint32_t mtu) {
  constexpr uint32_t kLeastV4 = 552;  // as Linux (ip_rt_min_pmtu)
  const uint32_t headers =
      wire::kTcpHeaderBytes + (key.IsV4() ? wire::kIpv4HeaderBytes : wire::kIpv6HeaderBytes);
  const FlowRef ref = FindFlow(table_.Hash(key), key);
  Connection* const c = ref.kind() == FlowKind::kConnection ? &connections_[ref.index()] : nullptr;
  if (c == nullptr || !tcp::IsSynchronized(c->tcb.state) ||
      (!key.IsV4() && mtu < wire::kIpv6MtuMin)) {
    ++counters_.icmp_errors_ignored;
    return;
  }
  if (mtu == 0) {
    mtu = PlateauBelow(static_cast<uint16_t>(c->tcb.snd_mss + c->tcb.OptionBytes() + headers));
  }
  if (key.IsV4()) mtu = std::max(mtu, kLeastV4);
  const auto claim =
      mtu > 0xFFFF ? tcp::PathClaim::kNotCredible
                   : tcp::OnPacketTooBig(c->tcb, seq, static_cast<uint16_t>(mtu - headers), env_);
  if (claim != tcp::PathClaim::kBelieved) {
    ++(claim == tcp::PathClaim::kAwaited ? env_.counters.path_mtu_awaited
                                         : counters_.icmp_errors_ignored);
    return;
  }
  path_mtus_.Learn(RemoteOf(key), static_cast<uint16_t>(mtu), env_.now);
  ++counters_.icmp_errors_used;
  MarkDirty(*c);
}

// `mss`, or what the path to the peer is known to carry when that is less.
uint16_t Engine::PathMss(const FlowKey& key, uint16_t mss) const {
  const uint16_t mtu = path_mtus_.Find(RemoteOf(key), env_.now);
  if (mtu == 0) return mss;
  const uint32_t headers =
      wire::kTcpHeaderBytes + (key.IsV4() ? wire::kIpv4HeaderBytes : wire::kIpv6HeaderBytes);
  return std::min(mss, static_cast<uint16_t>(mtu - headers));
}

// RFC 1122 3.2.2.1: "A host SHOULD generate Destination Unreachable messages with code: 2 (Protocol
// Unreachable), when the designated transport protocol is not supported; or 3 (Port Unreachable)".
// Never for what came to a group address (3.2.2), which the parser drops, and not faster than the
// limit.
void Engine::OnUnwantedDatagram(const wire::ParsedFrame& frame) {
  ++counters_.datagrams_ignored;
  if (!stateless_limit_.Take(env_.now)) {
    ++counters_.icmp_limited;
    return;
  }
  ControlFrame& out = control_[control_count_++];
  std::byte* const ip = out.bytes.data() + wire::kEthernetHeaderBytes;
  const uint32_t quoted_length = LoadBe16(frame.network_header + wire::kIpv4TotalLengthAt);
  const uint8_t code = frame.kind == wire::FrameKind::kUdp ? wire::kIcmpPortUnreachable
                                                           : wire::kIcmpProtocolUnreachable;
  const uint32_t icmp_length = wire::EmitIcmpUnreachable(ip + wire::kIpv4HeaderBytes, code,
                                                         frame.network_header, quoted_length);
  // Back to where the frame came from, which is the next hop for it.
  const std::byte* const ethernet = frame.network_header - wire::kEthernetHeaderBytes;
  wire::EmitEthernet(out.bytes.data(), wire::LoadMac(ethernet + wire::kEthernetSourceAt), net_.mac,
                     wire::kEtherTypeIpv4);
  wire::EmitIpv4(ip,
                 {.total_length = static_cast<uint16_t>(wire::kIpv4HeaderBytes + icmp_length),
                  .id = 0,
                  .ttl = config_.ttl,
                  .protocol = wire::kIpProtocolIcmp,
                  .tos = 0,
                  .source = frame.destination_v4,
                  .destination = frame.source_v4,
                  .dont_fragment = true},
                 true);
  out.length =
      static_cast<uint16_t>(wire::kEthernetHeaderBytes + wire::kIpv4HeaderBytes + icmp_length);
  ++counters_.icmp_unreachables_sent;
}

}  // namespace millrace::stack

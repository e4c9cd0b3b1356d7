// stack/frame_builder.h - a TxSegment to the bytes of an Ethernet frame: the one builder between
// the engine and the network.
//
// What the core calls the MSS counts IPv4's headers; an IPv6 SYN names 20 octets less.
// IPv4 headers carry DF and identification 0: an atomic datagram needs none (RFC 6864 4.1), and a
// constant tells an observer nothing (IPL-10).
#ifndef MILLRACE_STACK_FRAME_BUILDER_H_
#define MILLRACE_STACK_FRAME_BUILDER_H_

#include <bit>
#include <cstddef>
#include <cstdint>

#include "millrace/base/endian.h"
#include "millrace/base/inline.h"
#include "millrace/stack/address_pairs.h"
#include "millrace/stack/flow_key.h"
#include "millrace/stack/port.h"
#include "millrace/tcp/connection.h"
#include "millrace/wire/arp.h"
#include "millrace/wire/checksum.h"
#include "millrace/wire/ethernet.h"
#include "millrace/wire/ipv4.h"
#include "millrace/wire/ipv6.h"
#include "millrace/wire/plain_emit.h"
#include "millrace/wire/tcp_header.h"

namespace millrace::stack {

class FrameBuilder {
 public:
  // `pairs` outlives the builder.
  FrameBuilder(const PortCapabilities& port, uint8_t ttl, const AddressPairs& pairs)
      : port_(port),
        ttl_(ttl),
        pairs_(pairs),
        plain_(port.mac, ttl, {port.tx_ipv4_checksum, port.tx_tcp_checksum}) {
    offload_.ipv4_checksum = port.tx_ipv4_checksum;
    offload_.tcp_checksum = offload_v6_.tcp_checksum = port.tx_tcp_checksum;
    offload_v6_.l4_offset = wire::kEthernetHeaderBytes + wire::kIpv6HeaderBytes;
  }

  const PortCapabilities& port() const { return port_; }
  const TxOffload& tcp_offload(const FlowKey& key) const {
    return key.IsV4() ? offload_ : offload_v6_;
  }

  const TxOffload& tcp_offload_v4() const { return offload_; }

  // Writes the frame of `segment` for the flow and returns its length in octets. `at` has room for
  // mtu + 14.
  MR_ALWAYS_INLINE uint32_t BuildTcp(std::byte* at, const FlowKey& key,
                                     const MacAddress& destination, const tcp::TxSegment& segment,
                                     const tcp::SendPool& pool) const;
  // The frame of a segment with kOptions, timestamps or none, as tcp::SendPlainSegment tells it: to
  // be begun, told, and finished. REQUIRES: key.IsV4().
  template <wire::OptionBits kOptions>
  class PlainFrame {
   public:
    MR_ALWAYS_INLINE PlainFrame(const FrameBuilder& builder, std::byte* at, const FlowKey& key,
                                const MacAddress& destination)
        : builder_(builder), at_(at), tcp_(builder.plain_.Begin(at, destination, Ports(key))) {}
    MR_ALWAYS_INLINE void SetNumbers(SeqNum seq, SeqNum ack) { tcp_.SetNumbers(seq, ack); }
    static constexpr bool HasTimestamps() { return kOptions != 0; }
    MR_ALWAYS_INLINE void SetTimestamps(uint32_t tsval, uint32_t tsecr) {
      tcp_.SetTimestamps(tsval, tsecr);
    }
    MR_ALWAYS_INLINE void SetControl(uint32_t flags, uint16_t window) {
      tcp_.SetControl(kHeaderBytes, flags, window);
    }
    MR_ALWAYS_INLINE void SetText(tcp::SendCursor text, uint32_t length,
                                  const tcp::SendPool& pool) {
      text_length_ = length;
      text_sum_ =
          builder_.CopyText(text, length, at_ + wire::PlainEmitter::kTcpAt + kHeaderBytes, pool);
    }
    // Returns its length in octets.
    MR_ALWAYS_INLINE uint32_t Finish(const FlowKey& key) const {
      return builder_.plain_.Finish(tcp_, key.addresses(), kHeaderBytes + text_length_, 0,
                                    text_sum_);
    }

   private:
    static constexpr uint32_t kHeaderBytes = wire::PlainEmitter::HeaderBytes(kOptions);
    const FrameBuilder& builder_;
    std::byte* at_;
    wire::PlainEmitter::TcpHeader tcp_;
    uint32_t text_length_ = 0;
    uint64_t text_sum_ = 0;
  };

  // The same for a SYN or SYN-ACK with the options of PlainEmitter::kSynOptions, or without
  // timestamps. REQUIRES: key.IsV4().
  MR_ALWAYS_INLINE uint32_t BuildSyn(std::byte* at, const FlowKey& key,
                                     const MacAddress& destination,
                                     const tcp::TxFields& segment) const {
    using Emitter = wire::PlainEmitter;
    if (segment.options == Emitter::kSynOptions) [[likely]] {
      return plain_.Emit<Emitter::kSynOptions>(at, destination, key.addresses(), Ports(key),
                                               segment, 0);
    }
    return plain_.Emit<Emitter::kShortSynOptions>(at, destination, key.addresses(), Ports(key),
                                                  segment, 0);
  }
  // The same layer by layer, for the segments that wire/plain_emit.h does not take, IPv6 among them
  // (and what tests compare it with).
  uint32_t BuildTcpInLayers(std::byte* at, const FlowKey& key, const MacAddress& destination,
                            const tcp::TxSegment& segment, const tcp::SendPool& pool) const;

  // Writes an ARP packet; returns 42.
  uint32_t BuildArp(std::byte* at, const MacAddress& destination, uint16_t operation,
                    uint32_t sender_v4, const MacAddress& target_mac, uint32_t target_v4) const;

  // Writes the headers in front of an ICMPv6 message of `length` octets, which lies or will lie at
  // `at` + kIcmpV6At, and returns the length of the frame.
  static constexpr uint32_t kIcmpV6At = wire::kEthernetHeaderBytes + wire::kIpv6HeaderBytes;
  uint32_t BuildIcmpV6(std::byte* at, const MacAddress& destination_mac, const IpAddress& source,
                       const IpAddress& destination, uint8_t hop_limit, uint32_t length) const;

 private:
  // The TCP header of a segment, without its checksum, added to `sum`; returns its length.
  static uint32_t EmitHeader(std::byte* tcp, const FlowKey& key, const tcp::TxSegment& segment,
                             uint16_t mss, uint64_t& sum);
  static uint32_t Ports(const FlowKey& key) { return std::rotl(key.ports(), 16); }  // source first
  uint32_t BuildOtherLayout(std::byte* at, const FlowKey& key, const MacAddress& destination,
                            const tcp::TxSegment& segment, const tcp::SendPool& pool) const;
  // The payload, and its sum for PlainEmitter.
  MR_ALWAYS_INLINE uint64_t CopyText(tcp::SendCursor text, uint32_t length, std::byte* to,
                                     const tcp::SendPool& pool) const {
    if (!port_.tx_tcp_checksum) [[likely]]
      return pool.CopySummed(text, length, to);
    pool.Copy(text, length, to);
    return 0;
  }
  template <wire::OptionBits kOptions>
  MR_ALWAYS_INLINE uint32_t BuildPlain(std::byte* at, const FlowKey& key,
                                       const MacAddress& destination, const tcp::TxFields& segment,
                                       const tcp::SendPool& pool) const;
  uint32_t BuildTcpV4(std::byte* at, const FlowKey& key, const MacAddress& destination,
                      const tcp::TxSegment& segment, const tcp::SendPool& pool) const;
  uint32_t BuildTcpV6(std::byte* at, const FlowKey& key, const MacAddress& destination,
                      const tcp::TxSegment& segment, const tcp::SendPool& pool) const;

  PortCapabilities port_;
  uint8_t ttl_;
  const AddressPairs& pairs_;
  wire::PlainEmitter plain_;
  TxOffload offload_, offload_v6_;
};

// Inline definitions

template <wire::OptionBits kOptions>
MR_ALWAYS_INLINE uint32_t FrameBuilder::BuildPlain(std::byte* at, const FlowKey& key,
                                                   const MacAddress& destination,
                                                   const tcp::TxFields& segment,
                                                   const tcp::SendPool& pool) const {
  constexpr uint32_t kPayloadAt =
      wire::PlainEmitter::kTcpAt + wire::PlainEmitter::HeaderBytes(kOptions);
  uint64_t payload_sum = 0;
  if (segment.payload_length > 0) {
    payload_sum = CopyText(segment.payload, segment.payload_length, at + kPayloadAt, pool);
  }
  return plain_.Emit<kOptions>(at, destination, key.addresses(), Ports(key), segment, payload_sum);
}

MR_ALWAYS_INLINE uint32_t FrameBuilder::BuildTcp(std::byte* at, const FlowKey& key,
                                                 const MacAddress& destination,
                                                 const tcp::TxSegment& segment,
                                                 const tcp::SendPool& pool) const {
  if (key.IsV4() && segment.sack_count == 0 && segment.options == wire::kTimestampsOption)
      [[likely]] {
    return BuildPlain<wire::kTimestampsOption>(at, key, destination, segment, pool);
  }
  return BuildOtherLayout(at, key, destination, segment, pool);
}

inline uint32_t FrameBuilder::BuildArp(std::byte* at, const MacAddress& destination,
                                       uint16_t operation, uint32_t sender_v4,
                                       const MacAddress& target_mac, uint32_t target_v4) const {
  wire::EmitEthernet(at, destination, port_.mac, wire::kEtherTypeArp);
  wire::EmitArp(at + wire::kEthernetHeaderBytes, {.operation = operation,
                                                  .sender_mac = port_.mac,
                                                  .target_mac = target_mac,
                                                  .sender_ip = sender_v4,
                                                  .target_ip = target_v4});
  return wire::kEthernetHeaderBytes + wire::kArpBytes;
}

}  // namespace millrace::stack

#endif  // MILLRACE_STACK_FRAME_BUILDER_H_

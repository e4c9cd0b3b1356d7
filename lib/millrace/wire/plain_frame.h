// wire/plain_frame.h - the frame that nearly all are, straight through: unicast to us, IPv4 without
// options and not a fragment, TCP with the options of a SYN as Linux sends them with and without
// timestamps, with the MSS or with timestamps alone, or without any.
//
// What is constant in it is compared eight octets at a time. Whatever has a reason against it goes
// to ParseFrame, which knows the reasons by name. What Parse accepts, ParseFrame accepts with the
// same result (tests/fuzz/frame_fuzz.cc compares them).
// Cost, software checksums included: 165 instructions (callgrind, the plain exchange).
#ifndef MILLRACE_WIRE_PLAIN_FRAME_H_
#define MILLRACE_WIRE_PLAIN_FRAME_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "millrace/base/endian.h"
#include "millrace/base/inline.h"
#include "millrace/wire/checksum.h"
#include "millrace/wire/ethernet.h"
#include "millrace/wire/frame.h"
#include "millrace/wire/ipv4.h"
#include "millrace/wire/tcp_header.h"
#include "millrace/wire/tcp_options.h"

namespace millrace::wire {

// What names the connection of a plain frame, as its receiver sees it: our address in the upper
// half and the peer's in the lower; the peer's port in the upper half and ours in the lower.
struct PlainFlow {
  uint64_t addresses = 0;
  uint32_t ports = 0;
};

class PlainFrameParser {
 public:
  explicit PlainFrameParser(const LocalNet& net) {
    // What the first 24 octets of a plain frame are, and which of their bits say so.
    std::array<std::byte, kIpv4EndAt> is{}, mask{};
    const auto expect = [&](uint32_t at, const void* octets, uint32_t count) {
      std::memcpy(is.data() + at, octets, count);
      std::memset(mask.data() + at, 0xFF, count);
    };
    constexpr uint8_t kTypeAndVersion[] = {0x08, 0x00, kIpv4VersionIhl}, kTcp[] = {kIpProtocolTcp};
    expect(kEthernetDestinationAt, net.mac.octets.data(), kMacAddressBytes);
    expect(kEthernetTypeAt, kTypeAndVersion, sizeof kTypeAndVersion);
    expect(kEthernetHeaderBytes + kIpv4ProtocolAt, kTcp, sizeof kTcp);
    mask[kEthernetHeaderBytes + kIpv4TosAt] = std::byte{kEcnMask};  // none: Segment::ecn is 0
    StoreBe16(mask.data() + kEthernetHeaderBytes + kIpv4FragmentAt,
              kIpv4MoreFragments | kIpv4FragmentOffsetMask);
    for (size_t i = 0; i < kWordsAt.size(); ++i) {
      is_[i] = Load64(is.data() + kWordsAt[i]);
      mask_[i] = Load64(mask.data() + kWordsAt[i]);
    }
    const uint32_t host_bits = ~net.network_mask;
    broadcast_v4_ = host_bits > 1 ? net.address_v4 | host_bits : 0;
    own_v4_ = net.address_v4;
    owned_mask_ = net.owned_mask;
  }

  // False, and neither `segment` nor `flow` is to be used, when the frame is not plain or anything
  // is wrong with it. Otherwise what ParseFrame says.
  MR_ALWAYS_INLINE bool Parse(const std::byte* data, uint32_t length, ChecksumState ip_checksum,
                              ChecksumState l4_checksum, Segment& segment, PlainFlow& flow) const {
    if (length < kIpv4EndAt + kTcpHeaderBytes) [[unlikely]]
      return false;
    const std::byte* const ip = data + kEthernetHeaderBytes;
    const std::byte* const tcp = data + kIpv4EndAt;
    uint64_t differs = 0;
    for (size_t i = 0; i < kWordsAt.size(); ++i) {
      differs |= (Load64(data + kWordsAt[i]) ^ is_[i]) & mask_[i];
    }
    // All is read once, as numbers in host byte order, and summed as such: what has to be read
    // anyway costs an addition to be verified.
    const uint32_t source = LoadBe32(ip + kIpv4SourceAt);
    const uint32_t destination = LoadBe32(ip + kIpv4DestinationAt);
    if (differs != 0 || !IsPlainPair(source, destination)) [[unlikely]]
      return false;
    const uint64_t address_sum = uint64_t{source} + destination;
    const uint32_t version_to_length = LoadBe32(ip);
    const uint32_t tcp_length = (version_to_length & 0xFFFF) - kIpv4HeaderBytes;
    // Header length, flags and window are one word.
    const uint32_t control = LoadBe32(tcp + kTcpDataOffsetAt);
    const uint32_t header_bytes = control >> 26 & 0x3C;
    if (tcp_length > length - kIpv4EndAt || header_bytes > tcp_length) return false;
    if ((control & kOtherFlags) != 0 || (control & kPlainFlags) == 0) return false;
    uint64_t tcp_sum = address_sum + kIpProtocolTcp + tcp_length + control;
    OptionBits options;
    if (!ParseOptions(tcp + kTcpHeaderBytes, header_bytes, segment, options, tcp_sum)) [[unlikely]]
      return false;
    if (ip_checksum == ChecksumState::kUnknown) {
      const uint64_t ip_sum =
          address_sum + version_to_length + LoadBe32(ip + kIpv4IdAt) + LoadBe32(ip + kIpv4TtlAt);
      if (!OnesComplementIsZero(ip_sum)) return false;
    } else if (ip_checksum == ChecksumState::kBad) {
      return false;
    }
    const uint32_t ports = LoadBe32(tcp + kTcpSourcePortAt);
    const uint32_t seq = LoadBe32(tcp + kTcpSeqAt), ack = LoadBe32(tcp + kTcpAckAt);
    // RFC 9293 3.1 (MUST-3): "The receiver MUST check it"; so when the device did not, we do.
    if (l4_checksum == ChecksumState::kUnknown) {
      tcp_sum += uint64_t{ports} + seq + ack + LoadBe32(tcp + kTcpChecksumAt);
      if (tcp_length != header_bytes) {
        tcp_sum += ChecksumFold(ChecksumAdd(tcp + header_bytes, tcp_length - header_bytes, 0));
      }
      if (!OnesComplementIsZero(tcp_sum)) return false;
    } else if (l4_checksum == ChecksumState::kBad) {
      return false;
    }
    segment.seq = SeqNum(seq);
    segment.ack = SeqNum(ack);
    StoreControl(control, options, segment);
    segment.ecn = 0;
    segment.payload = tcp + header_bytes;
    segment.payload_length = tcp_length - header_bytes;
    flow.addresses = uint64_t{destination} << 32 | source;
    flow.ports = ports;
    return true;
  }

 private:
  static constexpr uint32_t kIpv4EndAt = kEthernetHeaderBytes + kIpv4HeaderBytes;
  // Three words of eight octets cover all that is compared with a constant, but the addresses.
  static constexpr std::array<uint32_t, 3> kWordsAt{0, 8, 16};
  // Of the word with the header's length: URG, ECE and CWR; and the others.
  static constexpr uint32_t kOtherFlags = uint32_t{kUrg | kEce | kCwr} << 16;
  static constexpr uint32_t kPlainFlags = uint32_t{kUrg - 1} << 16;
  static constexpr uint32_t kSynHeaderBytes = kTcpHeaderBytes + 20;
  static constexpr uint32_t kMssHeaderBytes = kTcpHeaderBytes + 4;
  static constexpr uint32_t kTimestampsHeaderBytes = kTcpHeaderBytes + kTimestampsPaddedBytes;

  static uint64_t Load64(const std::byte* at) {
    uint64_t v;
    std::memcpy(&v, at, sizeof v);
    return v;
  }

  // Window, flags and options lie in a segment as in the header: one store.
  MR_ALWAYS_INLINE static void StoreControl(uint32_t control, OptionBits options,
                                            Segment& segment) {
    constexpr size_t kAt = offsetof(Segment, window);
    static_assert(offsetof(Segment, flags) == kAt + 2 && offsetof(Segment, options) == kAt + 3);
    const uint32_t word = (control & 0x00FF'FFFF) | uint32_t{options} << 24;
    std::memcpy(reinterpret_cast<std::byte*>(&segment) + kAt, &word, sizeof word);
  }

  // Unicast from somebody else to us.
  MR_ALWAYS_INLINE bool IsPlainPair(uint32_t source, uint32_t destination) const {
    const uint32_t network = source >> 24;
    if (network - 1 >= 0xDF || network == 127 || source == broadcast_v4_) return false;
    if (((destination ^ own_v4_) & owned_mask_) != 0 || destination == broadcast_v4_) return false;
    return ((source ^ own_v4_) & owned_mask_) != 0;
  }

  // The options of a plain segment into `out`, which of them into `present`; added to `sum`. False
  // for another layout.
  MR_ALWAYS_INLINE static bool ParseOptions(const std::byte* options, uint32_t header_bytes,
                                            Segment& out, OptionBits& present, uint64_t& sum) {
    if (header_bytes == kTimestampsHeaderBytes) [[likely]] {
      if (LoadBe32(options) != kTimestampsPrefix) [[unlikely]]
        return ParseShortSynOptions(options, out, present, sum);
      const uint32_t tsval = LoadBe32(options + 4), tsecr = LoadBe32(options + 8);
      out.tsval = tsval;
      out.tsecr = tsecr;
      sum += uint64_t{kTimestampsPrefix} + tsval + tsecr;
      present = kTimestampsOption;
      return true;
    }
    present = 0;
    if (header_bytes == kTcpHeaderBytes) return true;
    if (header_bytes == kMssHeaderBytes) {
      const uint32_t mss = LoadBe32(options);
      out.mss = static_cast<uint16_t>(mss);
      sum += mss;
      present = kMssOption;
      return mss >> 16 == 0x0204;
    }
    if (header_bytes != kSynHeaderBytes) return false;
    // MSS; SACK-permitted and timestamps; NOP and window scale: the order of EmitTcpOptions.
    const uint32_t mss = LoadBe32(options), scale = LoadBe32(options + 16);
    const uint32_t tsval = LoadBe32(options + 8), tsecr = LoadBe32(options + 12);
    const bool plain = (((mss >> 16) ^ 0x0204) | (LoadBe32(options + 4) ^ 0x0402'080A) |
                        ((scale >> 8) ^ 0x01'0303)) == 0;
    out.mss = static_cast<uint16_t>(mss);
    out.tsval = tsval;
    out.tsecr = tsecr;
    out.window_scale = static_cast<uint8_t>(scale);
    sum += uint64_t{mss} + 0x0402'080A + tsval + tsecr + scale;
    present = kMssOption | kSackPermittedOption | kTimestampsOption | kWindowScaleOption;
    return plain;
  }

  // Those of a SYN without timestamps, which fill as many octets as timestamps alone: MSS; NOPs and
  // SACK-permitted; NOP and window scale.
  static bool ParseShortSynOptions(const std::byte* options, Segment& out, OptionBits& present,
                                   uint64_t& sum) {
    const uint32_t mss = LoadBe32(options), scale = LoadBe32(options + 8);
    const bool plain = (((mss >> 16) ^ 0x0204) | (LoadBe32(options + 4) ^ 0x0101'0402) |
                        ((scale >> 8) ^ 0x01'0303)) == 0;
    out.mss = static_cast<uint16_t>(mss);
    out.window_scale = static_cast<uint8_t>(scale);
    sum += uint64_t{mss} + 0x0101'0402 + scale;
    present = kMssOption | kSackPermittedOption | kWindowScaleOption;
    return plain;
  }

  std::array<uint64_t, kWordsAt.size()> is_{}, mask_{};
  uint32_t own_v4_ = 0, owned_mask_ = 0, broadcast_v4_ = 0;
};

}  // namespace millrace::wire

#endif  // MILLRACE_WIRE_PLAIN_FRAME_H_

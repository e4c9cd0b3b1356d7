// bench/rate/null_exchange.h - the floor under the connection rate: the same six packets over the
// same ports, answered by code that keeps nothing.
//
// Each packet is made from the one it answers, in the same buffer: addresses, ports and numbers
// change places, the next step of the exchange is known from the flags. Lengths, options and
// checksums (verified and filled in, in software) are those of the engine's packets, so what is
// left is the cost of ports, pools and memory traffic. No table, no timers, no TIME-WAIT.
#ifndef MILLRACE_BENCH_RATE_NULL_EXCHANGE_H_
#define MILLRACE_BENCH_RATE_NULL_EXCHANGE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "millrace/base/endian.h"
#include "millrace/dpdk/dpdk_port.h"
#include "millrace/stack/port.h"
#include "millrace/wire/checksum.h"
#include "millrace/wire/ethernet.h"
#include "millrace/wire/ipv4.h"
#include "millrace/wire/segment.h"
#include "millrace/wire/tcp_header.h"

namespace millrace::bench {

// One end. The client opens a new connection for every one that ended.
class NullEnd {
 public:
  NullEnd(dpdk::DpdkPort& port, bool timestamps)
      : port_(port), options_bytes_(timestamps ? 12 : 0), syn_options_bytes_(timestamps ? 20 : 8) {}

  // Starts one connection with the next Poll; false when that has no room for more or the pool is
  // empty.
  bool Open() {
    if (out_count_ >= stack::kBurst) return false;
    const wire::PacketHandle packet = port_.Allocate();
    if (packet == wire::PacketHandle::kNone) return false;
    std::byte* const frame = port_.Data(packet);
    std::memset(frame, 0, kFrameBytesMax);
    StoreBe16(frame + wire::kEthernetTypeAt, wire::kEtherTypeIpv4);
    std::byte* const ip = frame + wire::kEthernetHeaderBytes;
    StoreU8(ip, wire::kIpv4VersionIhl);
    StoreU8(ip + wire::kIpv4TtlAt, 64);
    StoreU8(ip + wire::kIpv4ProtocolAt, wire::kIpProtocolTcp);
    StoreBe32(ip + wire::kIpv4SourceAt, 0xC612'8001);
    StoreBe32(ip + wire::kIpv4DestinationAt, 0xC612'0001);
    std::byte* const tcp = ip + wire::kIpv4HeaderBytes;
    StoreBe16(tcp + wire::kTcpSourcePortAt, static_cast<uint16_t>(1024 + opened_++ % 64512));
    StoreBe16(tcp + wire::kTcpDestinationPortAt, 80);
    Finish(packet, frame, wire::kSyn, 0);
    return true;
  }

  // Answers a burst; returns how many frames came. `completed` counts the exchanges that ended here.
  size_t Poll(Instant now) {
    std::array<stack::RxFrame, stack::kBurst> burst;
    const size_t received = port_.RxBurst(now, burst);
    for (const stack::RxFrame& frame : std::span(burst).first(received)) Answer(frame);
    Send(now);
    packets_ += received;
    return received;
  }

  uint64_t completed = 0, broken = 0;
  uint64_t packets() const { return packets_; }

 private:
  static constexpr size_t kFrameBytesMax = 14 + 20 + 40 + 1;

  void Answer(const stack::RxFrame& frame) {
    using namespace wire;
    std::byte* const ip = frame.data + kEthernetHeaderBytes;
    std::byte* const tcp = ip + kIpv4HeaderBytes;
    const auto length = static_cast<uint16_t>(LoadBe16(ip + kIpv4TotalLengthAt) - kIpv4HeaderBytes);
    const uint32_t source = LoadBe32(ip + kIpv4SourceAt);
    const uint32_t destination = LoadBe32(ip + kIpv4DestinationAt);
    if (!TcpChecksumIsValidV4(source, destination, tcp, length)) ++broken;
    const uint8_t flags = LoadU8(tcp + kTcpFlagsAt);
    StoreBe32(ip + kIpv4SourceAt, destination);
    StoreBe32(ip + kIpv4DestinationAt, source);
    const uint16_t source_port = LoadBe16(tcp + kTcpSourcePortAt);
    StoreBe16(tcp + kTcpSourcePortAt, LoadBe16(tcp + kTcpDestinationPortAt));
    StoreBe16(tcp + kTcpDestinationPortAt, source_port);
    const uint32_t seq = LoadBe32(tcp + kTcpSeqAt);
    StoreBe32(tcp + kTcpSeqAt, LoadBe32(tcp + kTcpAckAt));
    StoreBe32(tcp + kTcpAckAt, seq + 1);
    const bool from_client = destination == 0xC612'0001;
    switch (flags) {
      case kSyn:
        return Finish(frame.packet, frame.data, kSyn | kAck, 0);
      case kSyn | kAck:
        return Finish(frame.packet, frame.data, kAck | kPsh, 1);  // the request
      case kAck | kPsh:
        return Finish(frame.packet, frame.data, kFin | kAck | kPsh, 1);  // the response
      case kFin | kAck | kPsh:
        return Finish(frame.packet, frame.data, kFin | kAck, 0);
      case kFin | kAck:
        if (from_client) return Finish(frame.packet, frame.data, kAck, 0);
        break;
      default:
        break;
    }
    if (flags == kAck) ++completed;
    port_.Free({&frame.packet, 1});
  }

  void Finish(wire::PacketHandle packet, std::byte* frame, unsigned flags, uint32_t payload) {
    using namespace wire;
    std::byte* const ip = frame + kEthernetHeaderBytes;
    std::byte* const tcp = ip + kIpv4HeaderBytes;
    const uint32_t options = (flags & kSyn) != 0 ? syn_options_bytes_ : options_bytes_;
    const auto length = static_cast<uint16_t>(kTcpHeaderBytes + options + payload);
    StoreBe16(ip + kIpv4TotalLengthAt, static_cast<uint16_t>(kIpv4HeaderBytes + length));
    StoreU8(tcp + kTcpDataOffsetAt, ((kTcpHeaderBytes + options) / 4) << 4);
    StoreU8(tcp + kTcpFlagsAt, flags);
    StoreBe16(ip + kIpv4ChecksumAt, 0);
    StoreBe16(ip + kIpv4ChecksumAt,
              static_cast<uint16_t>(~ChecksumFold(ChecksumAdd(ip, kIpv4HeaderBytes, 0))));
    StoreBe16(tcp + kTcpChecksumAt, 0);
    StoreBe16(tcp + kTcpChecksumAt,
              TcpChecksumV4(LoadBe32(ip + kIpv4SourceAt), LoadBe32(ip + kIpv4DestinationAt), tcp,
                            length));
    port_.Finish(packet, kEthernetHeaderBytes + kIpv4HeaderBytes + length, {});
    out_[out_count_++] = packet;
  }

  // What the ring has no room for is lost, and counted as broken.
  void Send(Instant now) {
    if (out_count_ == 0) return;
    const size_t sent = port_.TxBurst(now, std::span(out_).first(out_count_));
    if (sent < out_count_) {
      broken += out_count_ - sent;
      port_.Free(std::span(out_).subspan(sent, out_count_ - sent));
    }
    out_count_ = 0;
  }

  dpdk::DpdkPort& port_;
  uint32_t options_bytes_, syn_options_bytes_;
  uint32_t opened_ = 0;
  uint64_t packets_ = 0;
  size_t out_count_ = 0;
  std::array<wire::PacketHandle, 2 * stack::kBurst> out_{};
};

}  // namespace millrace::bench

#endif  // MILLRACE_BENCH_RATE_NULL_EXCHANGE_H_

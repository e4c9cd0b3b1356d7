#include "bench/rate/null_exchange.h"

#include <cstring>

#include "millrace/base/endian.h"
#include "millrace/wire/checksum.h"
#include "millrace/wire/ethernet.h"
#include "millrace/wire/ipv4.h"
#include "millrace/wire/tcp_header.h"

namespace millrace::bench {

NullEnd::NullEnd(dpdk::DpdkPort& port, const Plan& plan, bool client)
    : port_(port),
      meter_(port),
      metered_(plan.metered),
      client_(client),
      load_(plan.exchange.plan),
      options_bytes_(plan.exchange.tcp.timestamps ? 12 : 0),
      syn_options_bytes_(plan.exchange.tcp.timestamps ? 20 : 8) {}

size_t NullEnd::Poll(Instant now) {
  if (client_) OpenSome(now);
  std::array<stack::RxFrame, stack::kBurst> burst;
  const size_t received = Receive(now, burst);
  for (const stack::RxFrame& frame : std::span(burst).first(received)) Answer(frame);
  const size_t sent = out_count_;
  Send(now);
  packets_ += received + sent;
  return received + sent;
}

EndReport NullEnd::Count() const {
  return {.units = completed_in_window_,
          .all_units = completed_,
          .seconds = window_.seconds(),
          .failed = broken_,
          .packets = packets_,
          .driver_cycles = metered_ ? meter_.cycles() : 0};
}

void NullEnd::OpenSome(Instant now) {
  if (!started_) {
    started_ = true;
    start_ = now;
  }
  if (window_over_) return;
  const bool time_over = load_.duration.ns() != 0 && now - start_ >= load_.duration;
  if (time_over || (load_.count != 0 && completed_ == load_.count)) {
    window_over_ = true;
    window_ = now - start_;
    completed_in_window_ = completed_;
    return;
  }
  while (opened_ - completed_ < load_.concurrency && (load_.count == 0 || opened_ < load_.count) &&
         Open()) {
    ++opened_;
  }
}

void NullEnd::Send(Instant now) {
  if (out_count_ == 0) return;
  const auto packets = std::span<const wire::PacketHandle>(out_).first(out_count_);
  const size_t sent = metered_ ? meter_.TxBurst(now, packets) : port_.TxBurst(now, packets);
  if (sent < out_count_) {
    broken_ += out_count_ - sent;
    port_.Free(packets.subspan(sent));
  }
  out_count_ = 0;
}

bool NullEnd::Open() {
  using namespace wire;
  if (out_count_ >= stack::kBurst) return false;  // an answer for each packet has room too
  const PacketHandle packet = port_.Allocate();
  if (packet == PacketHandle::kNone) return false;
  std::byte* const frame = port_.Data(packet);
  constexpr size_t kHeaderBytesMax = 14 + 20 + 60;
  std::memset(frame, 0, kHeaderBytesMax);
  StoreBe16(frame + kEthernetTypeAt, kEtherTypeIpv4);
  std::byte* const ip = frame + kEthernetHeaderBytes;
  StoreU8(ip, kIpv4VersionIhl);
  StoreU8(ip + kIpv4TtlAt, 64);
  StoreU8(ip + kIpv4ProtocolAt, kIpProtocolTcp);
  StoreBe32(ip + kIpv4SourceAt, 0xC612'8001);
  StoreBe32(ip + kIpv4DestinationAt, 0xC612'0001);
  std::byte* const tcp = ip + kIpv4HeaderBytes;
  StoreBe16(tcp + kTcpSourcePortAt, static_cast<uint16_t>(1024 + opened_ % 64512));
  StoreBe16(tcp + kTcpDestinationPortAt, 80);
  Finish(packet, frame, kSyn, 0);
  return true;
}

void NullEnd::Answer(const stack::RxFrame& frame) {
  using namespace wire;
  std::byte* const ip = frame.data + kEthernetHeaderBytes;
  std::byte* const tcp = ip + kIpv4HeaderBytes;
  const auto length = static_cast<uint16_t>(LoadBe16(ip + kIpv4TotalLengthAt) - kIpv4HeaderBytes);
  const uint32_t source = LoadBe32(ip + kIpv4SourceAt);
  const uint32_t destination = LoadBe32(ip + kIpv4DestinationAt);
  if (!TcpChecksumIsValidV4(source, destination, tcp, length)) ++broken_;
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
      return Finish(frame.packet, frame.data, kAck | kPsh, load_.request_bytes);
    case kAck | kPsh:
      return Finish(frame.packet, frame.data, kFin | kAck | kPsh, load_.response_bytes);
    case kFin | kAck | kPsh:
      return Finish(frame.packet, frame.data, kFin | kAck, 0);
    case kFin | kAck:
      if (from_client) return Finish(frame.packet, frame.data, kAck, 0);
      break;
    default:
      break;
  }
  if (flags == kAck) ++completed_;
  port_.Free({&frame.packet, 1});
}

void NullEnd::Finish(wire::PacketHandle packet, std::byte* frame, unsigned flags,
                     uint32_t payload) {
  using namespace wire;
  std::byte* const ip = frame + kEthernetHeaderBytes;
  std::byte* const tcp = ip + kIpv4HeaderBytes;
  const uint32_t options = (flags & kSyn) != 0 ? syn_options_bytes_ : options_bytes_;
  const auto length = static_cast<uint16_t>(kTcpHeaderBytes + options + payload);
  StoreBe16(ip + kIpv4TotalLengthAt, static_cast<uint16_t>(kIpv4HeaderBytes + length));
  StoreU8(tcp + kTcpDataOffsetAt, ((kTcpHeaderBytes + options) / 4) << 4);
  StoreU8(tcp + kTcpFlagsAt, flags);
  if (payload > 0) std::memset(tcp + kTcpHeaderBytes + options, 'x', payload);
  StoreBe16(ip + kIpv4ChecksumAt, 0);
  StoreBe16(ip + kIpv4ChecksumAt,
            static_cast<uint16_t>(~ChecksumFold(ChecksumAdd(ip, kIpv4HeaderBytes, 0))));
  StoreBe16(tcp + kTcpChecksumAt, 0);
  StoreBe16(tcp + kTcpChecksumAt, TcpChecksumV4(LoadBe32(ip + kIpv4SourceAt),
                                                LoadBe32(ip + kIpv4DestinationAt), tcp, length));
  port_.Finish(packet, kEthernetHeaderBytes + kIpv4HeaderBytes + length, {});
  out_[out_count_++] = packet;
}

}  // namespace millrace::bench

// fuzz/fragments_fuzz.cc - fragments to datagrams: whatever comes out is what went in.
//
// Input: steps. An octet below 0xF0 chooses one of four datagrams (bits 0-1), whether more follows
// (bit 2) and whether the CE mark is set (bit 3); then come an octet each for where the piece
// begins and how long it is, in units of 8 octets. 0xF0 to 0xFD let time pass, 0x10 seconds at
// most. 0xFE and 0xFF: a length and so many octets as a frame of their own, with the checksum made
// right.
#include <algorithm>
#include <array>
#include <memory>
#include <vector>

#include "fuzz/fuzz_input.h"
#include "millrace/base/check.h"
#include "millrace/stack/reassembly.h"
#include "millrace/wire/frame.h"
#include "testing/fragments.h"

namespace millrace::fuzz {
namespace {

constexpr MacAddress kMac{{2, 0, 0, 0, 0, 1}};
constexpr uint32_t kPayloadBytes = 1000;
constexpr uint32_t kDatagrams = 4;
constexpr uint32_t kHeaderEnd = wire::kEthernetHeaderBytes + wire::kIpv6HeaderBytes;

std::byte OctetOf(uint32_t datagram, uint32_t at) {
  return static_cast<std::byte>(at * 7 + at / 256 + datagram * 64);
}

// UDP, so that the first fragment may be of any length. Datagrams 2 and 3 are of IPv6.
std::vector<std::byte> WholeFrame(uint32_t datagram) {
  const bool v6 = datagram >= 2;
  std::vector<std::byte> frame(kHeaderEnd);
  std::byte* const ip = frame.data() + wire::kEthernetHeaderBytes;
  wire::EmitEthernet(frame.data(), kMac, {{2, 0, 0, 0, 0, 2}},
                     v6 ? wire::kEtherTypeIpv6 : wire::kEtherTypeIpv4);
  if (v6) {
    wire::EmitIpv6(ip, {.payload_length = kPayloadBytes,
                        .next_header = wire::kIpProtocolUdp,
                        .traffic_class = wire::kEcnEct0,
                        .source = IpAddress::V6(1, datagram),
                        .destination = IpAddress::V6(1, 9)});
  } else {
    frame.resize(wire::kEthernetHeaderBytes + wire::kIpv4HeaderBytes);
    wire::EmitIpv4(ip,
                   {.total_length = wire::kIpv4HeaderBytes + kPayloadBytes,
                    .protocol = wire::kIpProtocolUdp,
                    .tos = wire::kEcnEct0,
                    .source = datagram,
                    .destination = 9},
                   false);
  }
  for (uint32_t i = 0; i < kPayloadBytes; ++i) frame.push_back(OctetOf(datagram, i));
  return frame;
}

class Tables {
 public:
  void Step(Input& input) {
    const uint8_t octet = input.Octet();
    if (octet >= 0xFE) {
      GiveRaw(input);
    } else if (octet >= 0xF0) {
      now_ = now_ + Duration::Seconds(octet - 0xEF);
    } else {
      GivePiece(octet, input);
    }
    honest_.Expire(now_);
    raw_.Expire(now_);
    MR_CHECK(honest_.waiting() <= kDatagrams - 1);
    MR_CHECK(raw_.waiting() <= 2);
  }

 private:
  static void Fix(std::vector<std::byte>& frame) {
    if (frame.size() < wire::kEthernetHeaderBytes + wire::kIpv4HeaderBytes) return;
    std::byte* const ip = frame.data() + wire::kEthernetHeaderBytes;
    const uint32_t bytes = (LoadU8(ip) & 0xFu) * 4;
    if (LoadU8(ip) >> 4 != 4 || bytes < 20 || bytes > frame.size() - 14) return;
    StoreBe16(ip + wire::kIpv4ChecksumAt, 0);
    const uint16_t sum = wire::ChecksumFold(wire::ChecksumAdd(ip, bytes, 0));
    StoreBe16(ip + wire::kIpv4ChecksumAt, static_cast<uint16_t>(~sum));
  }

  static bool Take(stack::Reassembler& r, const std::vector<std::byte>& frame, Instant now,
                   ExactBytes* out) {
    ExactBytes exact{std::make_unique<std::byte[]>(frame.size()),
                     static_cast<uint32_t>(frame.size())};
    std::copy(frame.begin(), frame.end(), exact.data.get());
    const auto fragment = wire::ParseFragment(exact.data.get(), exact.length, kMac);
    if (!fragment.has_value() || !r.Take(*fragment, now)) return false;
    const uint32_t length = r.FrameBytes();
    *out = {std::make_unique<std::byte[]>(length), length};
    r.Emit(out->data.get());
    return true;
  }

  void GivePiece(uint8_t octet, Input& input) {
    const uint32_t which = octet & 3;
    const uint32_t offset = input.Octet() * 8u % kPayloadBytes;
    const bool more = (octet & 4) != 0;
    uint32_t length = (input.Octet() + 1) * 8u;
    if (offset + length > kPayloadBytes) length = kPayloadBytes - offset;
    std::vector<std::byte> frame = testing::FragmentOf(wholes_[which], offset, length, more, 0x77);
    if ((octet & 8) != 0) {
      std::byte* const ip = frame.data() + wire::kEthernetHeaderBytes;
      if (which < 2) StoreU8(ip + wire::kIpv4TosAt, wire::kEcnCe);
      if (which >= 2) StoreBe16(ip, static_cast<uint16_t>(LoadBe16(ip) | wire::kEcnCe << 4));
    }
    Fix(frame);
    ExactBytes out;
    if (Take(honest_, frame, now_, &out)) CheckWhole(which, out);
  }

  // A datagram may end early, where a last fragment said so; its octets are right up to there.
  static void CheckWhole(uint32_t which, const ExactBytes& frame) {
    const uint32_t header = which >= 2 ? kHeaderEnd : 34;
    MR_CHECK(frame.length > header && frame.length <= header + kPayloadBytes);
    for (uint32_t i = header; i < frame.length; ++i) {
      MR_CHECK(frame.data[i] == OctetOf(which, i - header));
    }
    MR_CHECK(testing::PayloadBytes({frame.data.get(), frame.length}) == frame.length - header);
    MR_CHECK(!wire::ParseFragment(frame.data.get(), frame.length, kMac).has_value());
    Parse(frame);
  }

  void GiveRaw(Input& input) {
    const ExactBytes bytes = input.Take(input.Octet());
    std::vector<std::byte> frame(bytes.data.get(), bytes.data.get() + bytes.length);
    Fix(frame);
    ExactBytes out;
    if (Take(raw_, frame, now_, &out)) Parse(out);
  }

  static void Parse(const ExactBytes& frame) {
    wire::ParsedFrame parsed;
    const wire::LocalNet net{.mac = kMac, .address_v4 = 9};
    wire::ParseFrame(frame.data.get(), frame.length, wire::ChecksumState::kUnknown,
                     wire::ChecksumState::kUnknown, net, parsed);
    // Headers of ours have right checksums and no trace of the fragments.
    MR_CHECK(parsed.drop != wire::DropReason::kIpChecksum);
    MR_CHECK(parsed.drop != wire::DropReason::kIpHeader);
  }

  std::array<std::vector<std::byte>, kDatagrams> wholes_{WholeFrame(0), WholeFrame(1),
                                                         WholeFrame(2), WholeFrame(3)};
  // One datagram less than there are, so that the oldest makes room.
  stack::Reassembler honest_{{.datagrams_max = kDatagrams - 1}};
  stack::Reassembler raw_{{.datagrams_max = 2, .datagram_bytes_max = 200}};
  Instant now_ = Instant::FromNanoseconds(1'000'000'000);
};

}  // namespace
}  // namespace millrace::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  millrace::fuzz::Input input(data, size);
  const auto tables = std::make_unique<millrace::fuzz::Tables>();
  for (int steps = 0; steps < 4096 && !input.empty(); ++steps) tables->Step(input);
  return 0;
}

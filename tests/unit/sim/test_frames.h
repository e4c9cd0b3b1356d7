// tests/unit/sim/test_frames.h - frames for the tests of the simulator.
#ifndef MILLRACE_TESTS_UNIT_SIM_TEST_FRAMES_H_
#define MILLRACE_TESTS_UNIT_SIM_TEST_FRAMES_H_

#include <cstdint>
#include <cstring>
#include <span>

#include "millrace/base/endian.h"
#include "millrace/base/time.h"
#include "millrace/sim/frame.h"
#include "millrace/stack/port.h"
#include "millrace/wire/checksum.h"
#include "millrace/wire/ethernet.h"
#include "millrace/wire/ipv4.h"
#include "millrace/wire/tcp_header.h"

namespace millrace::sim {

constexpr Instant At(int64_t us) { return Instant::FromNanoseconds(us * 1000); }

constexpr uint32_t kTestSource = 0x0A000001, kTestDestination = 0x0A000002;
constexpr uint32_t kTestIpAt = wire::kEthernetHeaderBytes;
constexpr uint32_t kTestTcpAt = kTestIpAt + wire::kIpv4HeaderBytes;
constexpr uint32_t kTestPayloadAt = kTestTcpAt + wire::kTcpHeaderBytes;

enum class TestChecksums { kFilled, kLeftToPort };

// A TCP segment in IPv4 whose payload begins with `id` and has at least 4 octets.
inline Frame TcpFrame(uint32_t id, uint32_t payload_bytes = 4,
                      TestChecksums checksums = TestChecksums::kFilled) {
  const bool filled = checksums == TestChecksums::kFilled;
  Frame frame(kTestPayloadAt + payload_bytes);
  std::byte* const p = frame.data();
  wire::EmitEthernet(p, MacAddress{{2, 0, 0, 0, 0, 2}}, MacAddress{{2, 0, 0, 0, 0, 1}},
                     wire::kEtherTypeIpv4);
  const auto tcp_length = static_cast<uint16_t>(wire::kTcpHeaderBytes + payload_bytes);
  const auto total_length = static_cast<uint16_t>(wire::kIpv4HeaderBytes + tcp_length);
  wire::EmitIpv4(p + kTestIpAt,
                 {.total_length = total_length,
                  .ttl = 64,
                  .protocol = wire::kIpProtocolTcp,
                  .source = kTestSource,
                  .destination = kTestDestination},
                 filled);
  wire::EmitTcp(p + kTestTcpAt, {.source_port = 1, .destination_port = 2, .flags = wire::kAck});
  StoreBe32(p + kTestPayloadAt, id);
  const uint64_t pseudo =
      wire::PseudoHeaderSumV4(kTestSource, kTestDestination, wire::kIpProtocolTcp, tcp_length);
  StoreBe16(p + kTestTcpAt + wire::kTcpChecksumAt,
            filled ? wire::TcpChecksumV4(kTestSource, kTestDestination, p + kTestTcpAt, tcp_length)
                   : wire::ChecksumFold(pseudo));
  return frame;
}

inline Frame ArpFrame() {
  Frame frame(42);
  wire::EmitEthernet(frame.data(), MacAddress::Broadcast(), MacAddress{{2, 0, 0, 0, 0, 1}},
                     wire::kEtherTypeArp);
  return frame;
}

// The id of a TcpFrame; 0 for a frame too short to be one.
inline uint32_t IdOf(std::span<const std::byte> octets) {
  return octets.size() < kTestPayloadAt + 4 ? 0 : LoadBe32(octets.data() + kTestPayloadAt);
}
inline uint32_t IdOf(const stack::RxFrame& frame) { return IdOf({frame.data, frame.length}); }
inline uint32_t IdOf(const Frame& frame) { return IdOf(frame.octets()); }

}  // namespace millrace::sim

#endif  // MILLRACE_TESTS_UNIT_SIM_TEST_FRAMES_H_

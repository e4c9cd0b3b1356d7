// The straight path of the frame builder against the layers: the same segments to both, and every
// octet of the frames has to be the same.

#include "millrace/stack/frame_builder.h"

#include <gtest/gtest.h>

#include <array>
#include <iterator>
#include <span>
#include <vector>

#include "millrace/base/prng.h"

namespace millrace::stack {
namespace {

constexpr uint32_t kTextMax = 1448;
constexpr MacAddress kOurs{{2, 0, 0, 0, 0, 1}}, kPeer{{6, 5, 4, 3, 2, 1}};

std::vector<std::byte> Text(Prng& prng) {
  std::vector<std::byte> text(kTextMax);
  for (std::byte& octet : text) octet = static_cast<std::byte>(prng.Next());
  return text;
}

tcp::TxSegment RandomSegment(Prng& prng) {
  constexpr wire::OptionBits kLayouts[] = {0,
                                           wire::kTimestampsOption,
                                           wire::PlainEmitter::kSynOptions,
                                           wire::PlainEmitter::kShortSynOptions,
                                           wire::kMssOption,
                                           wire::kMssOption | wire::kTimestampsOption};
  tcp::TxSegment s;
  s.seq = SeqNum(static_cast<uint32_t>(prng.Next()));
  s.ack = SeqNum(static_cast<uint32_t>(prng.Next()));
  s.tsval = static_cast<uint32_t>(prng.Next());
  s.tsecr = static_cast<uint32_t>(prng.Next());
  s.window = static_cast<uint16_t>(prng.Next());
  s.flags = static_cast<wire::Flags>(prng.Next());
  s.options = kLayouts[prng.Below(std::size(kLayouts))];
  s.mss = static_cast<uint16_t>(prng.Next());
  s.window_scale = static_cast<uint8_t>(prng.Below(15));
  s.traffic_class = static_cast<uint8_t>(prng.Below(256));
  // Short texts have a way of their own.
  s.payload_length =
      static_cast<uint16_t>(prng.Chance(0.5) ? prng.Below(10) : prng.Below(kTextMax));
  return s;
}

FlowKey RandomKey(Prng& prng) {
  const uint64_t ports = prng.Next();
  return FlowKey::V4(static_cast<uint32_t>(prng.Next()), static_cast<uint16_t>(ports),
                     static_cast<uint32_t>(prng.Next()), static_cast<uint16_t>(ports >> 16));
}

class FrameBuilders : public testing::TestWithParam<PortCapabilities> {};

TEST_P(FrameBuilders, StraightAndInLayersAreTheSame) {
  Prng prng(1);
  const std::vector<std::byte> text = Text(prng);
  tcp::SendPool pool(16, 1);
  tcp::SendBuffer buffer;
  // Cut into pieces, some shorter than what is read at once.
  for (const auto& [begin, end] : {std::pair{0u, 3u}, {3u, 8u}, {8u, 700u}, {700u, 2 * kTextMax}}) {
    const uint32_t last = std::min(end, kTextMax);
    ASSERT_TRUE(buffer.AppendStatic(std::span(text).subspan(begin, last - begin), pool));
  }
  const AddressPairs pairs(1, {}, Region::Pages::kPlain);
  const FrameBuilder builder(GetParam(), 64, pairs);
  for (int round = 0; round < 20'000; ++round) {
    tcp::TxSegment segment = RandomSegment(prng);
    const auto from = static_cast<uint32_t>(prng.Below(kTextMax - segment.payload_length));
    if (segment.payload_length > 0) segment.payload = buffer.At(from, pool);
    const FlowKey key = RandomKey(prng);
    std::array<std::byte, 1600> straight{}, layers{};
    const uint32_t length = builder.BuildTcp(straight.data(), key, kPeer, segment, pool);
    ASSERT_EQ(length, builder.BuildTcpInLayers(layers.data(), key, kPeer, segment, pool));
    ASSERT_EQ(std::memcmp(straight.data(), layers.data(), length), 0) << "round " << round;
  }
}

INSTANTIATE_TEST_SUITE_P(Ports, FrameBuilders,
                         testing::Values(PortCapabilities{.mac = kOurs},
                                         PortCapabilities{.mac = kOurs, .tx_ipv4_checksum = true},
                                         PortCapabilities{.mac = kOurs, .tx_tcp_checksum = true}));

}  // namespace
}  // namespace millrace::stack

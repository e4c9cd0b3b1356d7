#include "millrace/wire/fragment.h"

#include <gtest/gtest.h>

#include <functional>

#include "testing/fragments.h"
#include "unit/wire/ipv6_builder.h"

namespace millrace::wire {
namespace {

using namespace testing;  // NOLINT: the builders of this folder
using millrace::testing::FragmentOf;

std::optional<Fragment> ParseBytes(const Bytes& frame) {
  return ParseFragment(frame.data(), static_cast<uint32_t>(frame.size()), kOurMac);
}

TEST(Fragment, FieldsOfAnIpv4FragmentAreRead) {
  const Bytes frame = FragmentOf(Build({.payload = Counting(200)}), 48, 64, true, 0x1234);
  const auto f = ParseBytes(frame);
  ASSERT_TRUE(f.has_value());
  EXPECT_EQ(f->key, (FragmentKey{.source = IpAddress::V4(kPeerIp),
                                 .destination = IpAddress::V4(kOurIp),
                                 .id = 0x1234,
                                 .protocol = kIpProtocolTcp}));
  EXPECT_TRUE(f->headers.v4);
  EXPECT_EQ(f->headers.bytes, 34);
  EXPECT_TRUE(f->more);
  EXPECT_EQ(f->offset, 48u);
  EXPECT_EQ(f->end(), 112u);
  EXPECT_EQ(f->payload, frame.data() + 34);
}

TEST(Fragment, FieldsOfAnIpv6FragmentBehindOptionsAreRead) {
  // Hop-by-hop options of 8 octets (PadN), then the fragment header.
  const Bytes frame = BuildV6({.extensions = {{kIpv6HopByHop, ToBytes({1, 4, 0, 0, 0, 0})},
                                              {kIpv6Fragment, ToBytes({0, 17, 0, 0, 0, 9})}},
                               .payload = Counting(64)});
  const auto f = ParseBytes(frame);
  ASSERT_TRUE(f.has_value());
  EXPECT_EQ(f->key.id, 9u);
  EXPECT_EQ(f->key.protocol, 0);
  EXPECT_FALSE(f->headers.v4);
  EXPECT_EQ(f->headers.next_header, kIpProtocolTcp);
  EXPECT_EQ(f->headers.next_header_at, 54);  // of the hop-by-hop header
  EXPECT_EQ(f->headers.bytes, 62);
  EXPECT_EQ(f->offset, 16u);
  EXPECT_TRUE(f->more);
}

TEST(Fragment, WholePacketsAndThoseOfOthersAreNone) {
  EXPECT_FALSE(ParseBytes(Build({.payload = Counting(64)})).has_value());
  EXPECT_FALSE(ParseBytes(BuildV6({.payload = Counting(64)})).has_value());
  // RFC 6946: offset 0 and no more fragments.
  EXPECT_FALSE(ParseBytes(BuildV6({.extensions = {{kIpv6Fragment, ToBytes({0, 0, 0, 0, 0, 9})}}}))
                   .has_value());
  EXPECT_FALSE(ParseBytes(FragmentOf(Build({.destination_mac = kPeerMac, .payload = Counting(64)}),
                                     0, 40, true, 1))
                   .has_value());
  EXPECT_FALSE(ParseBytes(Build({.ether_type = kEtherTypeArp})).has_value());
}

// IPL-01: what cannot be is left to the parser of frames, which drops and counts it.
TEST(Fragment, ImpossibleOnesAreRefused) {
  struct Case {
    const char* what;
    bool v6;
    std::function<void(Bytes&)> spoil;
  };
  const auto set16 = [](size_t at, unsigned value) {
    return [at, value](Bytes& f) { StoreBe16(f.data() + at, static_cast<uint16_t>(value)); };
  };
  const Case cases[] = {
      {"runt", false, [](Bytes& f) { f.resize(13); }},
      {"no IPv4 header", false, [](Bytes& f) { f.resize(33); }},
      {"version", false, [](Bytes& f) { StoreU8(f.data() + 14, 0x55); }},
      {"header of 16 octets", false, [](Bytes& f) { StoreU8(f.data() + 14, 0x44); }},
      {"total below the header", false, set16(16, 19)},
      {"total beyond the frame", false, set16(16, 85)},
      {"checksum", false, [](Bytes& f) { f[22] ^= std::byte{1}; }},
      {"no payload", false, set16(16, 20)},
      {"not a multiple of 8", false, set16(16, 20 + 57)},
      {"behind the end of all datagrams", false, set16(20, 0x3FFF)},
      {"no IPv6 header", true, [](Bytes& f) { f.resize(53); }},
      {"version 5", true, [](Bytes& f) { StoreU8(f.data() + 14, 0x50); }},
      {"length beyond the frame", true, set16(18, 8 + 65)},
      {"no fragment header", true, set16(18, 7)},
      {"not a multiple of 8 (IPv6)", true, set16(18, 8 + 57)},
      {"no payload (IPv6)", true, set16(18, 8)},
      {"behind the end (IPv6)", true, set16(56, 0xFFF9)},
      {"header longer than the packet", true,
       [](Bytes& f) {
         StoreU8(f.data() + 20, kIpv6HopByHop);
         StoreU8(f.data() + 55, 0xFF);
       }},
      {"mapped source", true, [](Bytes& f) { StoreIpv6(f.data() + 22, IpAddress::V4(kPeerIp)); }},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.what);
    const Bytes whole =
        c.v6 ? BuildV6({.payload = Counting(200)}) : Build({.payload = Counting(200)});
    Bytes frame = FragmentOf(whole, 0, 64, true, 1);
    ASSERT_TRUE(ParseBytes(frame).has_value());
    c.spoil(frame);
    if (!c.v6 && frame.size() >= 34 && std::string_view(c.what) != "checksum") {
      StoreBe16(frame.data() + 24, 0);
      StoreBe16(frame.data() + 24,
                static_cast<uint16_t>(~ChecksumFold(ChecksumAdd(frame.data() + 14, 20, 0))));
    }
    const Bytes exact = frame;  // without spare capacity: a read beyond it is seen
    EXPECT_FALSE(ParseBytes(exact).has_value());
  }
}

// A chain of headers that has no fragment header among the first nine is not followed further.
TEST(Fragment, ChainOfHeadersIsBounded) {
  std::vector<std::pair<uint8_t, Bytes>> chain(
      8, {kIpv6DestinationOptions, ToBytes({1, 4, 0, 0, 0, 0})});
  chain.emplace_back(kIpv6Fragment, ToBytes({0, 17, 0, 0, 0, 9}));
  EXPECT_TRUE(ParseBytes(BuildV6({.extensions = chain, .payload = Counting(64)})).has_value());
  chain.insert(chain.begin(), chain.front());
  EXPECT_FALSE(ParseBytes(BuildV6({.extensions = chain, .payload = Counting(64)})).has_value());
}

TEST(Fragment, WholeHeadersAreThoseOfTheUnfragmentedPacket) {
  for (const Bytes& whole :
       {Build({.payload = Counting(200)}), BuildV6({.payload = Counting(200)})}) {
    const Bytes first = FragmentOf(whole, 0, 64, true, 7);
    const auto f = ParseBytes(first);
    ASSERT_TRUE(f.has_value());
    for (const bool ce : {false, true}) {
      Bytes headers(first.begin(), first.begin() + f->headers.bytes);
      MakeWhole(headers.data(), static_cast<uint32_t>(whole.size()), f->headers, ce);
      headers.insert(headers.end(), whole.begin() + f->headers.bytes, whole.end());
      const Parsed parsed = ParseV6(headers);
      ASSERT_EQ(parsed.drop, DropReason::kNone);
      EXPECT_EQ(parsed.tcp.payload_length, 200u);
      EXPECT_EQ(parsed.tcp.ecn, ce ? kEcnCe : 0);
    }
  }
}

}  // namespace
}  // namespace millrace::wire

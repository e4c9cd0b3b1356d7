// What TCP asks of IPv4 (group IPL): addresses of an opening, TTL, identification, fragments.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "millrace/wire/ethernet.h"
#include "millrace/wire/ipv4.h"
#include "testing/trace.h"

namespace millrace::testing {
namespace {

using tcp::State;

struct Header {
  uint8_t ttl;
  uint16_t id, fragment;
  uint32_t source;
};

// The IP headers of all that a whole exchange sends: opening, data, a retransmission, closing.
std::vector<Header> HeadersOfAnExchange(uint8_t ttl) {
  TraceOptions options;
  options.config.ttl = ttl;
  Trace t(options);
  t.AcceptFromPeer();
  std::vector<Header> headers;
  t.port().SetSink([&headers](Instant, sim::Frame frame) {
    const std::byte* const ip = frame.data() + wire::kEthernetHeaderBytes;
    headers.push_back({.ttl = LoadU8(ip + wire::kIpv4TtlAt),
                       .id = LoadBe16(ip + wire::kIpv4IdAt),
                       .fragment = LoadBe16(ip + wire::kIpv4FragmentAt),
                       .source = LoadBe32(ip + wire::kIpv4SourceAt)});
  });
  t.Send(Octets(4000));
  t.Advance(Duration::Seconds(2));
  t.Receives({.flags = kAck, .seq = 1, .ack = 4001});
  t.Receives({.flags = kFin | kAck, .seq = 1, .ack = 4001});
  t.Shutdown();
  t.Receives({.flags = kSyn, .seq = 50});
  t.Abort();
  t.ReceivesFrom(Trace::kPeerAddress, 9, 9, {.flags = kSyn});  // RST of a closed port
  return headers;
}

// IPL-10, IPL-11, MUST-49, RFC 6864 4.1: "Originating sources MAY set the IPv4 ID field of atomic
// datagrams to any value"; the same for all of them tells nobody how many others we sent.
TEST(Ip, TtlIsTheConfiguredOneAndFragmentingIsForbidden) {
  for (const uint8_t ttl : {uint8_t{64}, uint8_t{1}, uint8_t{255}}) {
    const std::vector<Header> headers = HeadersOfAnExchange(ttl);
    ASSERT_GE(headers.size(), 8u);
    for (const Header& h : headers) {
      EXPECT_EQ(h.ttl, ttl);
      EXPECT_EQ(h.id, 0);
      EXPECT_EQ(h.fragment, wire::kIpv4DontFragment);
    }
  }
}

// MUST-45: "use the same local address for all segments of the connection".
TEST(Ip, SourceAddressStaysTheSame) {
  for (const Header& h : HeadersOfAnExchange(64)) EXPECT_EQ(h.source, Trace::kHostAddress);
}

// MUST-46: "A TCP implementation MUST reject as an error a local OPEN call for an invalid remote IP
// address (e.g., a broadcast or multicast address)."
TEST(Ip, OpeningToAnAddressThatIsNoHostIsRefused) {
  Trace t;
  const Endpoint local{IpAddress::V4(Trace::kHostAddress), 80};
  for (const uint32_t address :
       {0xFFFF'FFFFu, 0x0A00'00FFu, 0xE000'0001u, 0xEFFF'FFFFu, 0x7F00'0001u, 0x0000'0001u, 0u}) {
    SCOPED_TRACE(address);
    stack::Socket socket;
    EXPECT_EQ(t.engine().ConnectFrom(local, {IpAddress::V4(address), 9}, 0, &socket),
              stack::ConnectResult::kBadAddress);
  }
  EXPECT_EQ(t.engine().Connect({IpAddress::V4(Trace::kPeerAddress), 0}, 0, nullptr),
            stack::ConnectResult::kBadAddress);
  t.Poll();
  EXPECT_TRUE(t.SentNothing());
  t.ExpectNothingHeld();
}

// MUST-63: whatever the segment is and whether or not anybody listens, nothing that claims to come
// from an address that no other host has is answered, counted as a segment or remembered. It is
// asked of what belongs to no flow only: no flow begins with such an address.
TEST(Ip, SegmentsFromNobodysAddressAreDropped) {
  for (const bool listens : {false, true}) {
    Trace t;
    if (t.v6()) return;
    if (listens) t.Listen();
    uint64_t dropped = 0;
    for (const uint32_t source : {0u, 0x0000'0001u, 0x7F00'0001u, 0xE000'0001u, 0xFFFF'FFFFu,
                                  Trace::kHostAddress | 0xFF, Trace::kHostAddress}) {
      for (const wire::Flags flags : {kSyn, kAck, kRst, static_cast<wire::Flags>(kFin | kAck)}) {
        t.ReceivesFrom(source, 4000, 80, {.flags = flags, .seq = 1, .ack = 1});
        EXPECT_TRUE(t.SentNothing()) << std::hex << source;
        EXPECT_EQ(t.engine().counters().dropped(wire::DropReason::kIpSource), ++dropped);
      }
    }
    EXPECT_EQ(t.counters().in_segs, 0u);
    EXPECT_EQ(t.counters().no_listener + t.counters().out_rsts + t.counters().rst_ignored, 0u);
    EXPECT_EQ(t.engine().half_opens().used(), 0u);
    t.ExpectNothingHeld();
  }
}

// RFC 9293 3.9.1.1: a local address that is not ours, of the other family, or without a port; and a
// pair of sockets that is connected already ("connection already exists").
TEST(Ip, OpeningFromAnAddressThatIsNotOursIsRefused) {
  Trace t;
  const Endpoint peer{IpAddress::V4(Trace::kPeerAddress), 9};
  const IpAddress ours = IpAddress::V4(Trace::kHostAddress);
  for (const Endpoint& local : {Endpoint{IpAddress::V4(Trace::kHostAddress + 7), 80},
                                Endpoint{IpAddress::V6(1, 1), 80}, Endpoint{ours, 0}}) {
    EXPECT_EQ(t.engine().ConnectFrom(local, peer, 0, nullptr), stack::ConnectResult::kBadAddress);
  }
  EXPECT_EQ(t.engine().ConnectFrom({ours, 80}, {IpAddress::V6(1, 1), 9}, 0, nullptr),
            stack::ConnectResult::kUnsupported);
  EXPECT_EQ(t.engine().ConnectFrom({ours, 80}, peer, 0, nullptr), stack::ConnectResult::kOk);
  EXPECT_EQ(t.engine().ConnectFrom({ours, 80}, peer, 0, nullptr), stack::ConnectResult::kNoPorts);
}

// EXH: openings beyond the pool are refused at once and counted, whichever way they come.
TEST(Ip, OpeningWithoutAConnectionBlockIsRefused) {
  TraceOptions options;
  options.config.limits.connections = 1;
  Trace t(options);
  const Endpoint peer{IpAddress::V4(Trace::kPeerAddress), 9};
  ASSERT_EQ(t.engine().Connect(peer, 0, nullptr), stack::ConnectResult::kOk);
  EXPECT_EQ(t.engine().Connect(peer, 0, nullptr), stack::ConnectResult::kNoMemory);
  EXPECT_EQ(t.engine().ConnectFrom({IpAddress::V4(Trace::kHostAddress), 80}, peer, 0, nullptr),
            stack::ConnectResult::kNoMemory);
  EXPECT_EQ(t.counters().connections_full, 2u);
}

// What waits for a neighbour has a bound (IPL-08), and what finds no room there is freed at once:
// no list grows, whatever happens in one poll.
TEST(Ip, PacketsWithoutRoomAtANeighbourAreFreedAtOnce) {
  constexpr uint32_t kOpenings = 600;
  TraceOptions options;
  options.config.limits.connections = kOpenings;
  options.config.limits.receive_nodes = 16;
  Trace t(options);
  const size_t capacity = t.engine().released().capacity();
  ASSERT_LT(capacity, kOpenings);
  const Endpoint remote{IpAddress::V4(0x0A00'004D), 80};  // 10.0.0.77, which nobody answers for
  for (uint32_t i = 0; i < kOpenings; ++i) {
    const Endpoint local{IpAddress::V4(t.kHostAddress), static_cast<uint16_t>(2000 + i)};
    stack::Socket socket;
    ASSERT_EQ(t.engine().ConnectFrom(local, remote, 0, &socket), stack::ConnectResult::kOk);
  }
  t.Poll();
  const uint64_t dropped = t.engine().counters().tx_park_dropped;
  EXPECT_GT(dropped, capacity);
  EXPECT_EQ(t.engine().released().capacity(), capacity);
  EXPECT_EQ(t.port().live(), kOpenings - dropped);
}

}  // namespace
}  // namespace millrace::testing

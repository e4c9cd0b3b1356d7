// ICMP errors about our segments (group PMT, ICMP part): RFC 9293 3.9.2.2 as RFC 5927 narrows it.

#include "millrace/wire/icmp.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "millrace/wire/ethernet.h"
#include "testing/trace.h"

namespace millrace::testing {
namespace {

using tcp::State;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

struct Error {
  uint8_t type = wire::kIcmpUnreachable, code = wire::kIcmpPortUnreachable;
  uint32_t seq = 0;           // of the quoted segment, relative to our ISN
  size_t quoted_octets = 28;  // IP header and 8 octets
  uint16_t quoted_source_port = 80;
};

// An error from a router on the way about a segment from us to the peer.
std::vector<std::byte> FrameOf(const Trace& t, const Error& error) {
  std::vector<std::byte> frame(14 + 20 + wire::kIcmpHeaderBytes + error.quoted_octets);
  std::byte* const ip = frame.data() + 14;
  std::byte* const icmp = ip + 20;
  std::byte quoted[28];
  wire::EmitEthernet(frame.data(), Trace::kHostMac, Trace::kPeerMac, wire::kEtherTypeIpv4);
  wire::EmitIpv4(ip,
                 {.total_length = static_cast<uint16_t>(frame.size() - 14),
                  .ttl = 64,
                  .protocol = wire::kIpProtocolIcmp,
                  .source = Trace::kPeerAddress,
                  .destination = Trace::kHostAddress},
                 true);
  wire::EmitIpv4(quoted,
                 {.total_length = 40,
                  .ttl = 64,
                  .protocol = wire::kIpProtocolTcp,
                  .source = Trace::kHostAddress,
                  .destination = Trace::kPeerAddress},
                 true);
  StoreBe16(quoted + 20, error.quoted_source_port);
  StoreBe16(quoted + 22, t.options().peer_port);
  StoreBe32(quoted + 24, (t.host_isn() + error.seq).value());
  StoreBe32(icmp, uint32_t{error.type} << 24 | uint32_t{error.code} << 16);
  StoreBe32(icmp + 4, 0);
  std::memcpy(icmp + wire::kIcmpHeaderBytes, quoted, error.quoted_octets);
  const uint32_t length = static_cast<uint32_t>(wire::kIcmpHeaderBytes + error.quoted_octets);
  StoreBe16(icmp + wire::kIcmpChecksumAt, wire::IcmpChecksum(icmp, length));
  return frame;
}

// PMT-11, MUST-54, SHLD-26: a hard error about our SYN refuses the opening.
TEST(Icmp, PortUnreachableEndsAnOpening) {
  Trace t;
  t.Connect();
  t.ForgetSent();
  t.ReceivesFrame(FrameOf(t, {}));
  EXPECT_THAT(t.TakeLog(), ElementsAre("close unreachable"));
  EXPECT_TRUE(t.SentNothing());
  t.ExpectNothingHeld();
}

// PMT-11, RFC 5927 4.1: an error about a number that is not in flight is forged or late.
TEST(Icmp, ErrorAboutANumberThatIsNotInFlightIsIgnored) {
  for (const uint32_t seq : {1u, 1000u, 0xFFFF'FFFFu}) {
    SCOPED_TRACE(seq);
    Trace t;
    t.Connect();
    t.ReceivesFrame(FrameOf(t, {.seq = seq}));
    EXPECT_EQ(t.FlowState(), State::kSynSent);
    EXPECT_THAT(t.TakeLog(), IsEmpty());
  }
}

TEST(Icmp, ErrorAboutAnotherConnectionIsNotOurs) {
  Trace t;
  t.Connect();
  t.ReceivesFrame(FrameOf(t, {.quoted_source_port = 81}));
  EXPECT_EQ(t.FlowState(), State::kSynSent);
}

// PMT-10, MUST-56: net, host and source route unreachable, time exceeded and parameter problem are
// no reason to give up, in an opening neither.
TEST(Icmp, SoftErrorsNeverAbort) {
  const Error soft[] = {{.code = wire::kIcmpNetUnreachable},
                        {.code = wire::kIcmpHostUnreachable},
                        {.code = wire::kIcmpSourceRouteFailed},
                        {.type = wire::kIcmpTimeExceeded, .code = 0},
                        {.type = wire::kIcmpTimeExceeded, .code = 1},
                        {.type = wire::kIcmpParameterProblem, .code = 0}};
  for (const Error& error : soft) {
    SCOPED_TRACE(int{error.type} * 100 + error.code);
    Trace opening;
    opening.Connect();
    opening.ReceivesFrame(FrameOf(opening, error));
    EXPECT_EQ(opening.FlowState(), State::kSynSent);
    Trace open;
    open.AcceptFromPeer();
    open.Send("data");
    Error in_flight = error;
    in_flight.seq = 1;
    open.ReceivesFrame(FrameOf(open, in_flight));
    EXPECT_EQ(open.FlowState(), State::kEstablished);
    EXPECT_THAT(open.TakeLog(), IsEmpty());
  }
}

// SHLD-25: "it SHOULD make the information available to the application"; believed only about what
// is in flight (RFC 5927 4.1).
TEST(Icmp, SoftErrorsAreMadeKnown) {
  using tcp::SoftError;
  const struct {
    uint8_t type, code;
    SoftError meaning;
  } errors[] = {{wire::kIcmpUnreachable, 0, SoftError::kNetUnreachable},
                {wire::kIcmpUnreachable, 1, SoftError::kHostUnreachable},
                {wire::kIcmpUnreachable, 2, SoftError::kProtocolUnreachable},
                {wire::kIcmpUnreachable, 3, SoftError::kPortUnreachable},
                {wire::kIcmpUnreachable, 5, SoftError::kOther},
                {wire::kIcmpUnreachable, 6, SoftError::kNetUnreachable},
                {wire::kIcmpUnreachable, 7, SoftError::kHostUnreachable},
                {wire::kIcmpUnreachable, 13, SoftError::kProhibited},
                {wire::kIcmpTimeExceeded, 0, SoftError::kTimeExceeded},
                {wire::kIcmpTimeExceeded, 4, SoftError::kTimeExceeded},
                {wire::kIcmpParameterProblem, 0, SoftError::kParameterProblem}};
  Trace t;
  t.AcceptFromPeer();
  const stack::Socket socket = t.app().socket;
  EXPECT_EQ(socket.TakeSoftError(), SoftError::kNone);
  t.Send("data");
  uint64_t told = 0;
  for (const auto& error : errors) {
    SCOPED_TRACE(int{error.type} * 100 + error.code);
    for (const uint32_t not_in_flight : {0u, 5u, 100'000u}) {
      t.ReceivesFrame(FrameOf(t, {.type = error.type, .code = error.code, .seq = not_in_flight}));
      EXPECT_EQ(socket.TakeSoftError(), SoftError::kNone);
    }
    t.ReceivesFrame(FrameOf(t, {.type = error.type, .code = error.code, .seq = 4}));
    EXPECT_EQ(t.engine().counters().icmp_soft_errors, ++told);
    EXPECT_EQ(socket.TakeSoftError(), error.meaning) << ToString(error.meaning);
    EXPECT_EQ(socket.TakeSoftError(), SoftError::kNone);
  }
  EXPECT_EQ(stack::Socket().TakeSoftError(), SoftError::kNone);
  t.Receives({.flags = kAck | kFin, .seq = 1, .ack = 5});
  t.Close();
  t.Receives({.flags = kAck, .seq = 2, .ack = 6});
  t.ExpectNothingHeld();
}

// While an opening goes on, too.
TEST(Icmp, SoftErrorOfAnOpeningIsMadeKnown) {
  Trace t;
  t.Connect();
  t.ReceivesFrame(FrameOf(t, {.code = wire::kIcmpHostUnreachable}));
  EXPECT_EQ(t.FlowState(), State::kSynSent);
  EXPECT_EQ(t.app().socket.TakeSoftError(), tcp::SoftError::kHostUnreachable);
}

// PMT-12, RFC 5927 5.2: "TCP SHOULD treat all of the above as indications of soft errors" once the
// connection is synchronized.
TEST(Icmp, HardErrorDoesNotEndASynchronizedConnection) {
  for (const State state : kSynchronizedStates) {
    SCOPED_TRACE(tcp::ToString(state));
    Trace t;
    const Trace::Place place = t.Reach(state);
    for (const uint8_t code : {wire::kIcmpProtocolUnreachable, wire::kIcmpPortUnreachable}) {
      t.ReceivesFrame(FrameOf(t, {.code = code, .seq = place.snd_una}));
    }
    EXPECT_EQ(t.FlowState(), state);
    EXPECT_THAT(t.TakeLog(), IsEmpty());
  }
}

// PMT-13, MUST-55, RFC 6633: source quench does nothing.
TEST(Icmp, SourceQuenchIsIgnored) {
  Trace t;
  t.AcceptFromPeer();
  t.Send(Octets(20'000));
  const uint32_t window = t.tcb()->congestion.cwnd;
  t.ReceivesFrame(FrameOf(t, {.type = wire::kIcmpSourceQuench, .code = 0, .seq = 1}));
  EXPECT_EQ(t.tcb()->congestion.cwnd, window);
  EXPECT_EQ(t.FlowState(), State::kEstablished);
}

// PMT-14: errors that quote less than a segment's first 8 octets name nobody.
TEST(Icmp, ErrorThatQuotesTooLittleIsSafe) {
  for (size_t quoted = 0; quoted < 28; ++quoted) {
    Trace t;
    t.Connect();
    t.ReceivesFrame(FrameOf(t, {.quoted_octets = quoted}));
    EXPECT_EQ(t.FlowState(), State::kSynSent) << quoted;
  }
}

}  // namespace
}  // namespace millrace::testing

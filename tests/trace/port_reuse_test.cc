// Source ports out of TIME-WAIT: an opening of ours takes a tuple again when that is safe (RFC 6191
// from the other side), and not before.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "testing/trace.h"

namespace millrace::testing {
namespace {

using stack::ConnectResult;
using tcp::State;

TraceOptions OnePort() {
  TraceOptions options;
  options.config.source_port_min = options.config.source_port_max = options.local_port = 5000;
  return options;
}

ConnectResult ConnectAgain(Trace& t) {
  const Endpoint remote{t.AddressOf(Trace::kPeerAddress), t.options().peer_port};
  const ConnectResult result = t.engine().Connect(remote, 0, &t.app().socket);
  t.Poll();
  return result;
}

// We open, send so many octets, and close first. What we sent ends at 2 + octets.
void OpenAndCloseFirst(Trace& t, bool timestamps, uint32_t octets = 0) {
  Seg syn_ack{.mss = 1460};
  if (timestamps) syn_ack.tsval = 100;
  t.ConnectToPeer(syn_ack);
  const auto ack = [&](int flags, uint32_t seq, uint32_t number) {
    Seg seg{.flags = flags, .seq = seq, .ack = number};
    if (timestamps) seg.tsval = 200, seg.tsecr = 0;
    t.Receives(seg);
  };
  uint32_t acked = 1;
  for (int round = 0; round < 10'000 && acked < octets + 1; ++round) {
    if (acked % 10'000 == 1) t.Send(Octets(10'000));
    for (const Seg& s : t.AllSent()) {
      acked = std::max(acked, s.seq + static_cast<uint32_t>(s.data.size()));
    }
    ack(kAck, 1, acked);
  }
  ASSERT_EQ(acked, octets + 1);
  t.Close();
  ack(kFin | kAck, 1, acked + 1);
  ASSERT_EQ(t.FlowState(), State::kTimeWait);
}

TEST(PortReuse, TakesATupleOutOfTimeWaitAfterASecond) {
  Trace t(OnePort());
  OpenAndCloseFirst(t, true);
  const auto fin = t.Sent();
  t.ForgetSent();
  EXPECT_EQ(ConnectAgain(t), ConnectResult::kNoPorts);
  t.Advance(Duration::Milliseconds(990));
  EXPECT_EQ(ConnectAgain(t), ConnectResult::kNoPorts);
  EXPECT_EQ(t.FlowState(), State::kTimeWait);
  t.Advance(Duration::Milliseconds(150));
  EXPECT_EQ(ConnectAgain(t), ConnectResult::kOk);
  EXPECT_EQ(t.app().socket.local().port, 5000);
  EXPECT_EQ(t.counters().time_wait_recycled, 1u);
  EXPECT_EQ(t.engine().time_waits().used(), 0u);
  const auto syn = t.Sent();
  ASSERT_TRUE(syn.has_value());
  EXPECT_EQ(syn->flags, kSyn);
  EXPECT_GT(static_cast<int32_t>(syn->seq), 2);
  EXPECT_GT(static_cast<int32_t>(*syn->tsval - *fin->tsval), 0);
}

// The ISN clock alone (244 octets a millisecond) would be behind what was sent.
TEST(PortReuse, NewIssIsAboveTheLastSequenceNumber) {
  Trace t(OnePort());
  constexpr uint32_t kOctets = 1'000'000;
  OpenAndCloseFirst(t, true, kOctets);
  t.ForgetSent();
  t.Advance(Duration::Milliseconds(1'200));
  ASSERT_EQ(ConnectAgain(t), ConnectResult::kOk);
  const auto syn = t.Sent();
  ASSERT_TRUE(syn.has_value());
  EXPECT_GT(syn->seq, kOctets + 2);
  EXPECT_LT(syn->seq, 1u << 31);
}

TEST(PortReuse, WithoutTimestampsATupleWaitsForTheEnd) {
  Trace t(OnePort());
  OpenAndCloseFirst(t, false);
  t.Advance(Duration::Seconds(58));
  EXPECT_EQ(ConnectAgain(t), ConnectResult::kNoPorts);
  t.Advance(Duration::Seconds(3));
  EXPECT_EQ(ConnectAgain(t), ConnectResult::kOk);
  EXPECT_EQ(t.counters().time_wait_recycled, 0u);
}

TEST(PortReuse, CanBeSwitchedOff) {
  TraceOptions options = OnePort();
  options.config.tcp.time_wait_reuse = false;
  Trace t(options);
  OpenAndCloseFirst(t, true);
  t.Advance(Duration::Seconds(30));
  EXPECT_EQ(ConnectAgain(t), ConnectResult::kNoPorts);
}

// The gauge counts what is not to be had: live tuples, and those in a TIME-WAIT that must last.
TEST(PortReuse, FillLevelOfTheSourcePorts) {
  TraceOptions options;
  options.v6 = false;
  options.config.source_port_min = 2000;
  options.config.source_port_max = 2015;
  options.config.tcp.time_wait_reuse = false;
  Trace t(options);
  const Endpoint remote{IpAddress::V4(Trace::kPeerAddress), 80};
  EXPECT_EQ(t.engine().SourcePortFill(remote), 0u);
  stack::Socket socket;
  for (int i = 0; i < 8; ++i) {
    ASSERT_EQ(t.engine().Connect(remote, 0, &socket), ConnectResult::kOk);
  }
  EXPECT_EQ(t.engine().SourcePortFill(remote), 500u);
  for (int i = 0; i < 8; ++i) {
    ASSERT_EQ(t.engine().Connect(remote, 0, &socket), ConnectResult::kOk);
  }
  EXPECT_EQ(t.engine().SourcePortFill(remote), 1000u);
  EXPECT_EQ(t.engine().Connect(remote, 0, &socket), ConnectResult::kNoPorts);
  EXPECT_EQ(t.engine().SourcePortFill({IpAddress::V4(Trace::kPeerAddress), 81}), 0u);
}

}  // namespace
}  // namespace millrace::testing

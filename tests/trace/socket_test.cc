// The application's handle: what it says of a connection, and that one whose connection is over
// touches nothing, least of all the connection that has its place now.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

#include "millrace/tcp/liveness.h"
#include "testing/trace.h"

namespace millrace::testing {
namespace {

using tcp::State;
using ::testing::ElementsAre;

const Endpoint kNone{};

// Every call, on a socket without a connection.
void ExpectDead(const stack::Socket& socket) {
  std::array<std::byte, 8> octets{};
  EXPECT_FALSE(socket.IsOpen());
  EXPECT_EQ(socket.state(), State::kClosed);
  EXPECT_EQ(socket.Send(octets), 0u);
  EXPECT_FALSE(socket.SendStatic(octets));
  EXPECT_EQ(socket.Receive(octets), 0u);
  EXPECT_EQ(socket.Peek(octets), 0u);
  EXPECT_EQ(socket.ready_bytes(), 0u);
  EXPECT_EQ(socket.unsent_bytes(), 0u);
  EXPECT_EQ(socket.urgent_bytes(), 0u);
  EXPECT_EQ(socket.TakeSoftError(), tcp::SoftError::kNone);
  EXPECT_FALSE(socket.SetLiveness({}));
  EXPECT_FALSE(socket.SetDiffserv(1));
  EXPECT_FALSE(socket.passive());
  EXPECT_EQ(socket.local(), kNone);
  EXPECT_EQ(socket.remote(), kNone);
  socket.set_user_data(7);
  EXPECT_EQ(socket.user_data(), 0u);
  socket.Shutdown();
  socket.Close();
  socket.Abort();
  socket.Resume();
  for (const bool on : {true, false}) {
    socket.SetNoDelay(on);
    socket.SetPush(on);
    socket.SetCork(on);
  }
}

TEST(SocketTest, OneThatNeverWasDoesNothing) { ExpectDead(stack::Socket()); }

TEST(SocketTest, StaleOneLeavesTheNextConnectionAlone) {
  TraceOptions options;
  options.config.limits.connections = 1;
  Trace t(options);
  t.AcceptFromPeer();
  const stack::Socket stale = t.app().socket;
  t.Receives({.flags = kRst, .seq = 1});
  EXPECT_THAT(t.TakeLog(), ElementsAre("close reset"));
  ExpectDead(stale);
  t.ForgetIsn();
  t.Receives({.flags = kSyn, .seq = 500});
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kSyn | kAck, .seq = 0, .ack = 501}));
  t.Receives({.flags = kAck, .seq = 501, .ack = 1});
  ASSERT_NE(t.app().socket.id(), stale.id());
  ASSERT_EQ(t.app().socket.id().index, stale.id().index);
  t.app().socket.set_user_data(5);
  ExpectDead(stale);
  t.Poll();
  EXPECT_EQ(t.state(), State::kEstablished);
  EXPECT_EQ(t.app().socket.user_data(), 5u);
  EXPECT_TRUE(t.SentNothing());
}

// An aborted connection sends its one reset and no more, though OnClose comes with the next poll.
TEST(SocketTest, CommandsBehindAnAbortDoNothing) {
  Trace t;
  t.AcceptFromPeer();
  const stack::Socket socket = t.app().socket;
  socket.Abort();
  std::array<std::byte, 8> octets{};
  EXPECT_EQ(socket.Send(octets), 0u);
  EXPECT_FALSE(socket.SendStatic(octets));
  socket.Shutdown();
  socket.Close();
  socket.Abort();
  t.Poll();
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kRst | kAck, .seq = 1, .ack = 1}));
  EXPECT_TRUE(t.SentNothing());
  EXPECT_THAT(t.TakeLog(), ElementsAre("close aborted"));
  EXPECT_EQ(t.counters().abort_by_user, 1u);
  t.ExpectNothingHeld();
}

TEST(SocketTest, TellsWhoAndHowMuch) {
  Trace t;
  t.AcceptFromPeer();
  const stack::Socket socket = t.app().socket;
  EXPECT_TRUE(socket.IsOpen());
  EXPECT_TRUE(socket.passive());
  EXPECT_EQ(socket.local(), (Endpoint{t.AddressOf(Trace::kHostAddress), t.options().local_port}));
  EXPECT_EQ(socket.remote(), (Endpoint{t.AddressOf(Trace::kPeerAddress), t.options().peer_port}));
  t.Send("data");
  EXPECT_EQ(socket.unsent_bytes(), 4u);
  t.Receives({.flags = kAck, .seq = 1, .ack = 5});
  EXPECT_EQ(socket.unsent_bytes(), 0u);
  Trace active;
  active.ConnectToPeer();
  EXPECT_FALSE(active.app().socket.passive());
}

// The other way to receive: Peek leaves the octets where they are, Receive does not, and the window
// opens with what was read.
TEST(SocketTest, PeekLeavesWhatReceiveTakes) {
  Trace t;
  t.AcceptFromPeer();
  t.app().reading = false;
  t.Receives({.flags = kAck, .seq = 1, .ack = 1, .data = "abcdef"});
  const stack::Socket socket = t.app().socket;
  std::array<char, 4> out{};
  const auto octets = std::as_writable_bytes(std::span(out));
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(socket.Peek(octets), 4u);
    EXPECT_EQ(std::string(out.data(), 4), "abcd");
  }
  EXPECT_EQ(socket.ready_bytes(), 6u);
  EXPECT_EQ(socket.Receive(octets), 4u);
  EXPECT_EQ(socket.Receive(octets), 2u);
  EXPECT_EQ(std::string(out.data(), 2), "ef");
  EXPECT_EQ(socket.Receive(octets), 0u);
}

}  // namespace
}  // namespace millrace::testing

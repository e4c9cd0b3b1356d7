// KernelStack against sockets of the kernel on loopback, in one thread: what each thing that a peer
// can do is called, and that nothing of a connection stays behind.

#include "apps/kernel/kernel_stack.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>

#include "unit/kernel/kernel_rig.h"

namespace millrace::testing {
namespace {

using apps::KernelEngine;
using apps::KernelSocket;
using tcp::CloseReason;
using ::testing::ElementsAre;

TEST_P(KernelStackTest, OpensExchangesAndClosesFirst) {
  LocalServer server(loopback());
  Fd peer = Establish(server);
  const std::string request = "question";
  EXPECT_TRUE(socket_.SendStatic(Octets(request)));
  EXPECT_EQ(peer.Read(), "question");
  peer.Send("answer");
  ASSERT_TRUE(Until([this] { return app_.received == "answer"; }));
  socket_.Close();
  bool end = false;
  ASSERT_TRUE(Until([&] { return peer.Read(&end).empty() && end; }));
  EXPECT_THAT(app_.reasons, ElementsAre()) << "the peer has not closed";
  peer.Close();
  ASSERT_TRUE(UntilClosed());
  EXPECT_THAT(app_.reasons, ElementsAre(CloseReason::kNormal));
  EXPECT_THAT(app_.users, ElementsAre(7u));
  EXPECT_EQ(engine_->used(), 0u);
  EXPECT_GE(engine_->counters().out_segs, 4u) << "SYN, ACK, request, FIN, with acknowledgments";
}

TEST_P(KernelStackTest, ClosesAfterThePeer) {
  LocalServer server(loopback());
  Fd peer = Establish(server);
  peer.Send("all of it");
  peer.Close();
  ASSERT_TRUE(UntilClosed());
  EXPECT_EQ(app_.received, "all of it");
  EXPECT_EQ(app_.peer_closed, 1);
  EXPECT_THAT(app_.reasons, ElementsAre(CloseReason::kNormal));
}

TEST_P(KernelStackTest, HalfOpenEndStillReceives) {
  LocalServer server(loopback());
  Fd peer = Establish(server);
  socket_.Shutdown();
  bool end = false;
  ASSERT_TRUE(Until([&] { return peer.Read(&end).empty() && end; }));
  peer.Send("late");
  ASSERT_TRUE(Until([this] { return app_.received == "late"; }));
  peer.Close();
  ASSERT_TRUE(UntilClosed());
  EXPECT_THAT(app_.reasons, ElementsAre(CloseReason::kNormal));
}

TEST_P(KernelStackTest, CloseAfterBothFinsIsNoticedToo) {
  app_.closes = false;
  LocalServer server(loopback());
  Fd peer = Establish(server);
  socket_.Shutdown();
  peer.Close();
  ASSERT_TRUE(Until([this] { return app_.peer_closed == 1; }));
  for (int i = 0; i < 20; ++i) stack_.Poll(engine_->Now());
  EXPECT_THAT(app_.reasons, ElementsAre()) << "the application has not closed";
  socket_.Close();
  ASSERT_TRUE(UntilClosed());
  EXPECT_THAT(app_.reasons, ElementsAre(CloseReason::kNormal));
}

TEST_P(KernelStackTest, PortWithoutListenerRefuses) {
  LocalServer server(loopback(), /*listens=*/false);
  ASSERT_EQ(Open(server.endpoint()), stack::ConnectResult::kOk);
  ASSERT_TRUE(UntilClosed());
  EXPECT_THAT(app_.reasons, ElementsAre(CloseReason::kRefused));
  EXPECT_EQ(app_.opened, 0);
  EXPECT_EQ(engine_->counters().rst_received, 1u);
}

TEST_P(KernelStackTest, ResetIsToldAfterTheDataBeforeIt) {
  LocalServer server(loopback());
  Fd peer = Establish(server);
  peer.Send("some");
  peer.Reset();
  ASSERT_TRUE(UntilClosed());
  EXPECT_EQ(app_.received, "some");
  EXPECT_THAT(app_.reasons, ElementsAre(CloseReason::kReset));
}

TEST_P(KernelStackTest, WhatIsSentIntoAResetIsTakenAndTheResetIsTold) {
  LocalServer server(loopback());
  Fd peer = Establish(server);
  peer.Reset();
  // The kernel knows of it, and nothing was polled since.
  EXPECT_TRUE(socket_.SendStatic(Octets("first")));
  EXPECT_TRUE(socket_.SendStatic(Octets("second")));
  EXPECT_EQ(socket_.Send(Octets("third")), 5u);
  ASSERT_TRUE(UntilClosed());
  EXPECT_THAT(app_.reasons, ElementsAre(CloseReason::kReset));
  EXPECT_FALSE(socket_.SendStatic(Octets("it is over")));
}

TEST_P(KernelStackTest, ResetInTheCloseIsToldAsOne) {
  LocalServer server(loopback());
  Fd peer = Establish(server);
  socket_.Close();
  peer.Reset();
  ASSERT_TRUE(UntilClosed());
  EXPECT_THAT(app_.reasons, ElementsAre(CloseReason::kReset));
}

TEST_P(KernelStackTest, WhatComesBehindTheCloseIsReceived) {
  LocalServer server(loopback());
  Fd peer = Establish(server);
  socket_.Close();
  peer.Send("more");
  ASSERT_TRUE(Until([this] { return app_.received == "more"; }));
}

TEST_P(KernelStackTest, AbortResets) {
  LocalServer server(loopback());
  Fd peer = Establish(server);
  socket_.Abort();
  EXPECT_FALSE(socket_.SendStatic(Octets("nothing goes any more")));
  ASSERT_TRUE(UntilClosed());
  EXPECT_THAT(app_.reasons, ElementsAre(CloseReason::kAborted));
  char octet;
  EXPECT_EQ(recv(peer.get(), &octet, 1, 0), -1);
  EXPECT_EQ(errno, ECONNRESET);
}

TEST_P(KernelStackTest, APeerThatNeverAnswersIsLeftByAbort) {
  LocalServer server(loopback());  // its backlog accepts, and nobody reads
  ASSERT_EQ(Open(server.endpoint()), stack::ConnectResult::kOk);
  ASSERT_TRUE(Until([this] { return app_.opened == 1; }));
  for (int i = 0; i < 20; ++i) stack_.Poll(engine_->Now());
  EXPECT_THAT(app_.reasons, ElementsAre());
  socket_.Abort();
  ASSERT_TRUE(UntilClosed());
  EXPECT_EQ(engine_->used(), 0u);
}

TEST_P(KernelStackTest, MoreThanThePeerHasRoomForGoesOutLater) {
  LocalServer server(loopback());
  Fd peer = Establish(server);
  const std::string block(8u << 20, 'x');
  ASSERT_TRUE(socket_.SendStatic(Octets(block)));
  EXPECT_EQ(socket_.Send(Octets("end")), 3u);
  socket_.Close();  // the FIN waits behind it
  EXPECT_GT(engine_->counters().sends_cut_short, 0u);
  std::string got;
  bool end = false;
  ASSERT_TRUE(Until([&] {
    std::string piece = "-";
    while (!piece.empty()) got += piece = peer.Read(&end);
    return end;
  }));
  EXPECT_EQ(got.size(), block.size() + 3);
  EXPECT_TRUE(got.ends_with("xend"));
}

TEST_P(KernelStackTest, OneThatSendsForEverDoesNotKeepOthersFromTheirTurn) {
  LocalServer server(loopback());
  Fd peer = Establish(server);
  const std::string block(1u << 18, 'y');
  size_t polls = 0, most = 0;
  ASSERT_TRUE(Until([&] {
    while (send(peer.get(), block.data(), block.size(), MSG_DONTWAIT | MSG_NOSIGNAL) > 0) {
    }
    const size_t before = app_.received.size();
    stack_.Poll(engine_->Now());
    most = std::max(most, app_.received.size() - before);
    return ++polls == 50;
  }));
  EXPECT_GT(app_.received.size(), 1u << 20);
  EXPECT_LE(most, 4u * 65'536) << "a connection has its turn, and others theirs";
  socket_.Abort();
  ASSERT_TRUE(UntilClosed());
}

TEST_P(KernelStackTest, NoMoreThanItsConnections) {
  LocalServer server(loopback());
  for (int i = 0; i < 4; ++i) {
    ASSERT_EQ(Open(server.endpoint()), stack::ConnectResult::kOk);
  }
  EXPECT_EQ(Open(server.endpoint()), stack::ConnectResult::kNoMemory);
  EXPECT_EQ(engine_->counters().connections_full, 1u);
}

TEST_P(KernelStackTest, AStaleSocketDoesNothingToItsSuccessor) {
  LocalServer server(loopback());
  Fd first = Establish(server);
  const KernelSocket stale = socket_;
  socket_.Abort();
  ASSERT_TRUE(UntilClosed());
  ASSERT_EQ(Open(server.endpoint()), stack::ConnectResult::kOk);
  ASSERT_TRUE(Until([this] { return app_.opened == 2; }));
  ASSERT_EQ(socket_.id().index, stale.id().index);
  stale.Abort();
  stale.Close();
  for (int i = 0; i < 20; ++i) stack_.Poll(engine_->Now());
  EXPECT_EQ(app_.reasons.size(), 1u);
}

INSTANTIATE_TEST_SUITE_P(BothFamilies, KernelStackTest, ::testing::Values("127.0.0.1", "::1"),
                         [](const auto& p) { return std::string(p.index == 0 ? "V4" : "V6"); });

}  // namespace
}  // namespace millrace::testing

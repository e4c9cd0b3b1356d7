// KernelStack against sockets of the kernel on loopback, in one thread: what each thing that a peer
// can do is called, and that nothing of a connection stays behind.

#include "apps/kernel/kernel_stack.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "unit/kernel/local_server.h"

namespace millrace::testing {
namespace {

using apps::KernelEngine;
using apps::KernelSocket;
using tcp::CloseReason;
using ::testing::ElementsAre;

constexpr int kPollsMax = 5000;  // of a millisecond each, when nothing happens

// Writes down what it is told, and does what `on_open` says.
struct Recorder {
  void OnOpen(KernelSocket socket) {
    ++opened;
    if (on_open) on_open(socket);
  }
  size_t OnReceive(KernelSocket socket, std::span<const std::byte> data) {
    received.append(reinterpret_cast<const char*>(data.data()), data.size());
    if (on_receive) on_receive(socket);
    return data.size();
  }
  void OnPeerClosed(KernelSocket socket) {
    ++peer_closed;
    if (closes) socket.Close();
  }
  void OnClose(KernelSocket socket, CloseReason reason) {
    users.push_back(socket.user_data());
    reasons.push_back(reason);
  }
  void OnPoll(KernelEngine&, Instant) {}

  std::function<void(KernelSocket)> on_open, on_receive;
  bool closes = true;  // when the peer has
  int opened = 0, peer_closed = 0;
  std::string received;
  std::vector<uint64_t> users;
  std::vector<CloseReason> reasons;
};

std::span<const std::byte> Octets(const std::string& text) {
  return std::as_bytes(std::span(text));
}

class KernelStackTest : public ::testing::TestWithParam<const char*> {
 protected:
  explicit KernelStackTest(KernelEngine::Options options = {.connections = 4})
      : engine_(*KernelEngine::Create(options)), stack_(*engine_, app_) {}

  void SetUp() override {
    if (!LocalServer::MayHave(loopback())) GTEST_SKIP() << "no " << GetParam() << " here";
  }
  IpAddress loopback() const { return *IpAddress::Parse(GetParam()); }
  stack::ConnectResult Open(const Endpoint& to, uint64_t user = 7) {
    return engine_->Connect(to, user, &socket_);
  }
  // Polls until `done`; false when it does not come to that.
  bool Until(const std::function<bool()>& done) {
    for (int i = 0; i < kPollsMax; ++i) {
      if (done()) return true;
      stack_.Wait(Duration::Milliseconds(1));
      stack_.Poll(engine_->Now());
    }
    return done();
  }
  bool UntilClosed() {
    return Until([this] { return !app_.reasons.empty(); });
  }
  // The server's end of a connection that is open at both.
  Fd Establish(const LocalServer& server) {
    EXPECT_EQ(Open(server.endpoint()), stack::ConnectResult::kOk);
    Fd accepted;
    EXPECT_TRUE(Until([&] {
      if (!accepted.valid()) accepted = server.Accept();
      return accepted.valid() && app_.opened == 1;
    }));
    return accepted;
  }

  Recorder app_;
  std::unique_ptr<KernelEngine> engine_;
  apps::KernelStack<Recorder> stack_;
  KernelSocket socket_;
};

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

// A port for one connection alone.
class KernelPortTest : public KernelStackTest {
 protected:
  static KernelEngine::Options OnePort() {
    LocalServer free_port(IpAddress::V4(0x7f00'0001), /*listens=*/false);
    apps::KernelSources sources{.addresses = {IpAddress::V4(0x7f00'0001)},
                                .ports = {{free_port.endpoint().port, free_port.endpoint().port}}};
    return {
        .connections = 4,
        .sources = apps::SourceWalk(std::make_shared<const apps::KernelSources>(sources), 0, 1, 1)};
  }
  KernelPortTest() : KernelStackTest(OnePort()) {}
};

TEST_P(KernelPortTest, ASourceThatIsInUseIsNoPort) {
  LocalServer server(loopback());
  ASSERT_EQ(Open(server.endpoint()), stack::ConnectResult::kOk);
  EXPECT_EQ(Open(server.endpoint()), stack::ConnectResult::kNoPorts);
  EXPECT_EQ(engine_->counters().ports_exhausted, 1u);
  LocalServer other(loopback());
  EXPECT_EQ(Open(other.endpoint()), stack::ConnectResult::kOk) << "another tuple";
}

INSTANTIATE_TEST_SUITE_P(V4, KernelPortTest, ::testing::Values("127.0.0.1"));

}  // namespace
}  // namespace millrace::testing

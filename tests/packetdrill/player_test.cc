// The object that packetdrill loads, driven as packetdrill does it: packets and calls in, packets,
// results and times out. What the engine makes of the packets is shown by the other tests; here it
// is the adaptor: descriptors, errno, waiting, readiness, options, virtual time.

#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "packetdrill/connected.h"

namespace millrace::packetdrill {
namespace {

using wire::kAck;
using wire::kFin;
using wire::kPsh;
using wire::kRst;
using wire::kSyn;

TEST(Player, HandshakeDataAndCloseInBothDirections) {
  Connected p;
  EXPECT_EQ(p.Write(500), 500);
  EXPECT_EQ(p.Next(), (Packet{.flags = kAck | kPsh, .seq = 1, .ack = 1, .length = 500}));
  p.Inject({.flags = kAck | kPsh, .seq = 1, .ack = 501, .length = 300});
  EXPECT_EQ(p.Next(), (Packet{.flags = kAck, .seq = 501, .ack = 301}));
  EXPECT_EQ(p.Read(1000), 300);
  p.Inject({.flags = kAck | kFin, .seq = 301, .ack = 501});
  EXPECT_EQ(p.Next(), (Packet{.flags = kAck, .seq = 501, .ack = 302}));
  EXPECT_EQ(p.Read(1000), 0);
  EXPECT_EQ(p.calls().close(p.posix(), p.fd), 0);
  EXPECT_EQ(p.Next(), (Packet{.flags = kAck | kFin, .seq = 501, .ack = 302}));
  p.Inject({.flags = kAck, .seq = 302, .ack = 502});
  // Nobody knows the connection any more.
  p.Inject({.flags = kAck, .seq = 302, .ack = 502});
  EXPECT_EQ(p.Next(), (Packet{.flags = kRst, .seq = 502}));
}

TEST(Player, DescriptorsAreTheKernels) {
  Connected p;
  // packetdrill closes with the system's call what a script left open.
  EXPECT_EQ(::close(p.fd), 0);
  EXPECT_EQ(::close(p.listener), 0);
}

TEST(Player, ConnectTellsItsProgressByErrno) {
  Player p;
  const int fd = p.StartConnect();
  const sockaddr_in peer = Player::PeerAddress();
  const auto connect = [&] {
    return p.calls().connect(p.posix(), fd, reinterpret_cast<const sockaddr*>(&peer), sizeof peer);
  };
  EXPECT_EQ(connect(), -1);
  EXPECT_EQ(errno, EALREADY);
  char octet = 0;
  EXPECT_EQ(p.calls().write(p.posix(), fd, &octet, 1), -1);
  EXPECT_EQ(errno, EAGAIN);
  p.Inject({.flags = kSyn | kAck, .seq = 0, .ack = 1, .mss = 1460});
  EXPECT_EQ(p.Next(), (Packet{.flags = kAck, .seq = 1, .ack = 1}));
  EXPECT_EQ(connect(), 0);
  EXPECT_EQ(connect(), -1);
  EXPECT_EQ(errno, EISCONN);
}

TEST(Player, RefusedAndResetConnectionsSayWhyOnce) {
  Player p;
  const int fd = p.StartConnect();
  p.Inject({.flags = kRst | kAck, .seq = 0, .ack = 1});
  int error = 0;
  socklen_t length = sizeof error;
  const auto ask = [&] {
    EXPECT_EQ(p.calls().getsockopt(p.posix(), fd, SOL_SOCKET, SO_ERROR, &error, &length), 0);
    return error;
  };
  EXPECT_EQ(ask(), ECONNREFUSED);
  EXPECT_EQ(ask(), 0);

  Connected q;
  q.Inject({.flags = kRst, .seq = 1});
  EXPECT_EQ(q.Read(10), -1);
  EXPECT_EQ(errno, ECONNRESET);
  EXPECT_EQ(q.Read(10), 0);
  EXPECT_EQ(q.Write(10), -1);
  EXPECT_EQ(errno, EPIPE);
}

TEST(Player, SynBackOffPassesInVirtualTime) {
  Player p("sysctl=none");
  const int fd = p.StartConnect();
  const int64_t begin_us = p.NowUs();
  int64_t due_us = 1'000'000;
  for (int retry = 0; retry < 6; ++retry) {
    const auto syn = p.Next();
    ASSERT_EQ(syn, (Packet{.flags = kSyn}));
    EXPECT_NEAR(static_cast<double>(syn->time_us - begin_us), static_cast<double>(due_us), 4'000);
    due_us = 2 * due_us + 1'000'000;
  }
  EXPECT_EQ(p.Next(), std::nullopt);
  int error = 0;
  socklen_t length = sizeof error;
  EXPECT_EQ(p.calls().getsockopt(p.posix(), fd, SOL_SOCKET, SO_ERROR, &error, &length), 0);
  EXPECT_EQ(error, ETIMEDOUT);
}

TEST(Player, ReadsWaitOnTheSecondThreadAndEndAtTheTimeOfTheData) {
  Connected p;
  ssize_t result = 0;
  p.Begin([&] { result = p.Read(2000); });
  EXPECT_FALSE(p.IsDone());
  p.Sleep(50'000);
  EXPECT_FALSE(p.IsDone());
  const int64_t sent_us = p.NowUs();
  p.Data(0, 700);
  EXPECT_NEAR(static_cast<double>(p.Finish()), static_cast<double>(sent_us), 3);
  EXPECT_EQ(result, 700);
}

TEST(Player, AcceptConnectAndCloseWaitToo) {
  Player p;
  const int listener = p.Listen();
  int accepted = -1;
  p.Begin([&] { accepted = p.calls().accept(p.posix(), listener, nullptr, nullptr); });
  p.Inject({.flags = kSyn, .mss = 1000});
  EXPECT_EQ(p.Next(), (Packet{.flags = kSyn | kAck, .ack = 1}));
  EXPECT_FALSE(p.IsDone());
  p.Inject({.flags = kAck, .seq = 1, .ack = 1});
  p.Finish();
  EXPECT_GE(accepted, 0);

  const linger wait{1, 2};
  EXPECT_EQ(p.calls().setsockopt(p.posix(), accepted, SOL_SOCKET, SO_LINGER, &wait, sizeof wait),
            0);
  int closed = -1;
  p.Begin([&] { closed = p.calls().close(p.posix(), accepted); });
  EXPECT_EQ(p.Next(), (Packet{.flags = kAck | kFin, .seq = 1, .ack = 1}));
  EXPECT_FALSE(p.IsDone());
  p.Inject({.flags = kAck, .seq = 1, .ack = 2});
  p.Finish();
  EXPECT_EQ(closed, 0);
}

TEST(Player, WritesWaitForRoomInTheSendBuffer) {
  Connected p;
  EXPECT_EQ(p.SetOption(SOL_SOCKET, SO_SNDBUF, 10'000), 0);
  EXPECT_EQ(p.Option(SOL_SOCKET, SO_SNDBUF), 20'000);
  ssize_t result = 0;
  p.Begin([&] { result = p.Write(200'000); });
  EXPECT_FALSE(p.IsDone());
  uint32_t acked = 0;
  for (int step = 0; step < 400 && !p.IsDone(); ++step) {
    const auto packet = p.Next();
    ASSERT_TRUE(packet.has_value());
    acked = std::max(acked, packet->seq + packet->length);
    p.Inject({.flags = kAck, .seq = 1, .ack = acked});
  }
  EXPECT_TRUE(p.IsDone());
  p.Finish();
  EXPECT_EQ(result, 200'000);
  EXPECT_GT(acked, 100'000u);

  p.SetNonblocking();
  EXPECT_LT(p.Write(500'000), 100'000);
  EXPECT_EQ(p.Write(1), -1);
  EXPECT_EQ(errno, EAGAIN);
}

TEST(Player, PollWaitsUntilReadyOrUntilItsTimeIsOver) {
  Connected p;
  pollfd entry{p.fd, POLLIN, 0};
  const int64_t begin_us = p.NowUs();
  EXPECT_EQ(p.calls().poll(p.posix(), &entry, 1, 250), 0);
  EXPECT_NEAR(static_cast<double>(p.NowUs() - begin_us), 250'000, 5);
  entry.events = POLLIN | POLLOUT;
  EXPECT_EQ(p.calls().poll(p.posix(), &entry, 1, -1), 1);
  EXPECT_EQ(entry.revents, POLLOUT);
  int result = -1;
  entry.events = POLLIN;
  p.Begin([&] { result = p.calls().poll(p.posix(), &entry, 1, -1); });
  p.Data(0, 10, kFin);
  p.Finish();
  EXPECT_EQ(result, 1);
  EXPECT_EQ(entry.revents, POLLIN);
}

TEST(Player, EpollTellsAnEdgeOnce) {
  Connected p;
  const int epoll = p.calls().epoll_create(p.posix(), 1);
  epoll_event event{};
  event.events = EPOLLIN | EPOLLET;
  event.data.fd = p.fd;
  EXPECT_EQ(p.calls().epoll_ctl(p.posix(), epoll, EPOLL_CTL_ADD, p.fd, &event), 0);
  EXPECT_EQ(p.calls().epoll_ctl(p.posix(), epoll, EPOLL_CTL_ADD, p.fd, &event), -1);
  EXPECT_EQ(errno, EEXIST);
  epoll_event told{};
  const auto wait = [&] { return p.calls().epoll_wait(p.posix(), epoll, &told, 1, 0); };
  EXPECT_EQ(wait(), 0);
  p.Data(0, 100);
  EXPECT_EQ(wait(), 1);
  EXPECT_EQ(told.events, static_cast<uint32_t>(EPOLLIN));
  EXPECT_EQ(told.data.fd, p.fd);
  EXPECT_EQ(wait(), 0);  // the same edge
  p.Data(100, 100);
  EXPECT_EQ(wait(), 1);
  event.events = EPOLLIN;
  EXPECT_EQ(p.calls().epoll_ctl(p.posix(), epoll, EPOLL_CTL_MOD, p.fd, &event), 0);
  EXPECT_EQ(wait(), 1);
  EXPECT_EQ(wait(), 1);  // a level stays
  EXPECT_EQ(p.Read(1000), 200);
  EXPECT_EQ(wait(), 0);
}

TEST(Player, NullAndForeignArgumentsAreErrorsNotCrashes) {
  Connected p;
  EXPECT_EQ(p.calls().write(p.posix(), p.fd, nullptr, 10), -1);
  EXPECT_EQ(errno, EFAULT);
  p.Data(0, 10);
  EXPECT_EQ(p.calls().read(p.posix(), p.fd, nullptr, 10), -1);
  EXPECT_EQ(errno, EFAULT);
  EXPECT_EQ(p.Read(10), 10);
  EXPECT_EQ(p.calls().read(p.posix(), 9999, nullptr, 10), -1);
  EXPECT_EQ(errno, EBADF);
  EXPECT_EQ(p.calls().socket(p.posix(), AF_UNIX, SOCK_STREAM, 0), -1);
  EXPECT_EQ(errno, EAFNOSUPPORT);
  const int fresh = p.calls().socket(p.posix(), AF_INET, SOCK_STREAM, 0);
  EXPECT_EQ(p.calls().shutdown(p.posix(), fresh, SHUT_WR), -1);
  EXPECT_EQ(errno, ENOTCONN);
}

TEST(Player, ShutdownEndsOneDirection) {
  Connected p;
  EXPECT_EQ(p.calls().shutdown(p.posix(), p.fd, SHUT_WR), 0);
  EXPECT_EQ(p.Next(), (Packet{.flags = kAck | kFin, .seq = 1, .ack = 1}));
  EXPECT_EQ(p.Write(1), -1);
  EXPECT_EQ(errno, EPIPE);
  p.Inject({.flags = kAck, .seq = 1, .ack = 2, .length = 50});
  EXPECT_EQ(p.Read(100), 50);
}

}  // namespace
}  // namespace millrace::packetdrill

// Data on a SYN, by the options and flags of Linux.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/tcp.h>

#include <cerrno>
#include <vector>

#include "packetdrill/player.h"

namespace millrace::packetdrill {
namespace {

using wire::kAck;
using wire::kRst;
using wire::kSyn;

// A client that asks for Fast Open, from port 8080 to the peer.
struct Client : Player {
  int Make(bool connect_option) {
    const int fd = calls().socket(posix(), AF_INET, SOCK_STREAM, IPPROTO_TCP);
    const sockaddr_in ours = OurAddress();
    EXPECT_EQ(calls().bind(posix(), fd, reinterpret_cast<const sockaddr*>(&ours), sizeof ours), 0);
    EXPECT_EQ(calls().fcntl(posix(), fd, F_SETFL, O_RDWR | O_NONBLOCK), 0);
    const int on = connect_option ? 1 : 0;
    EXPECT_EQ(calls().setsockopt(posix(), fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &on, sizeof on),
              0);
    return fd;
  }
  int Connect(int fd) {
    const sockaddr_in peer = PeerAddress();
    return calls().connect(posix(), fd, reinterpret_cast<const sockaddr*>(&peer), sizeof peer);
  }
  ssize_t SendTo(int fd, size_t size) {
    const sockaddr_in peer = PeerAddress();
    const std::vector<char> data(size, 'x');
    return calls().sendto(posix(), fd, data.data(), size, MSG_FASTOPEN,
                          reinterpret_cast<const sockaddr*>(&peer), sizeof peer);
  }
  // What the first connection to a server does: there is a cookie then.
  void FetchCookie() {
    const int fd = Make(true);
    EXPECT_EQ(Connect(fd), -1);
    EXPECT_EQ(errno, EINPROGRESS);
    EXPECT_EQ(Next(), (Packet{.flags = kSyn}));
    Inject({.flags = kSyn | kAck, .seq = 0, .ack = 1, .mss = 1000, .cookie_bytes = 8});
    EXPECT_EQ(Next(), (Packet{.flags = kAck, .seq = 1, .ack = 1}));
    Inject({.flags = kRst | kAck, .seq = 1, .ack = 1});
    EXPECT_EQ(calls().close(posix(), fd), 0);
  }
};

TEST(PlayerFastOpen, WithACookieConnectWaitsForTheFirstWrite) {
  Client p;
  p.FetchCookie();
  const int fd = p.Make(true);
  EXPECT_EQ(p.Connect(fd), 0);
  EXPECT_EQ(p.Connect(fd), -1);
  EXPECT_EQ(errno, EISCONN);
  EXPECT_EQ(p.calls().write(p.posix(), fd, nullptr, 1), -1);
  EXPECT_EQ(errno, EFAULT);
  const std::vector<char> data(300, 'x');
  EXPECT_EQ(p.calls().write(p.posix(), fd, data.data(), data.size()), 300);
  EXPECT_EQ(p.Next(), (Packet{.flags = kSyn, .length = 300}));
  p.Inject({.flags = kSyn | kAck, .seq = 0, .ack = 301, .mss = 1000});
  EXPECT_EQ(p.Next(), (Packet{.flags = kAck, .seq = 301, .ack = 1}));
}

TEST(PlayerFastOpen, SendtoTakesWhatTheSynHasRoomFor) {
  Client p;
  const int first = p.Make(false);
  EXPECT_EQ(p.SendTo(first, 300), -1) << "no cookie";
  EXPECT_EQ(errno, EINPROGRESS);
  EXPECT_EQ(p.Next(), (Packet{.flags = kSyn}));
  p.Inject({.flags = kRst | kAck, .seq = 0, .ack = 1});
  EXPECT_EQ(p.calls().close(p.posix(), first), 0);

  p.FetchCookie();
  const int fd = p.Make(false);
  const ssize_t taken = p.SendTo(fd, 3000);
  EXPECT_GT(taken, 900);
  EXPECT_LE(taken, 1000) << "the server's MSS was 1000";
  EXPECT_EQ(p.Next(), (Packet{.flags = kSyn, .length = static_cast<uint32_t>(taken)}));
}

TEST(PlayerFastOpen, OptionIsForFreshSockets) {
  Client p;
  const int fd = p.Make(false);
  EXPECT_EQ(p.Connect(fd), -1);
  const int on = 1;
  EXPECT_EQ(p.calls().setsockopt(p.posix(), fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &on, sizeof on),
            -1);
  EXPECT_EQ(errno, EISCONN);
}

}  // namespace
}  // namespace millrace::packetdrill

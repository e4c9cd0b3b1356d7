// Data on a SYN, by the options and flags of Linux.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "packetdrill/player.h"

namespace millrace::packetdrill {
namespace {

using wire::kAck;
using wire::kRst;
using wire::kSyn;

// A client that asks for Fast Open, from port 8080 to the peer.
struct Client : Player {
  explicit Client(const char* flags = "sysctl=none") : Player(flags) {}
  int InfoOptions(int fd) {
    tcp_info info{};
    socklen_t length = sizeof info;
    EXPECT_EQ(calls().getsockopt(posix(), fd, IPPROTO_TCP, TCP_INFO, &info, &length), 0);
    return info.tcpi_options;
  }
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

TEST(PlayerFastOpen, SecondSendtoIsToldHowFarTheFirstIs) {
  Client p;
  p.FetchCookie();
  const int fd = p.Make(false);
  EXPECT_EQ(p.SendTo(fd, 300), 300);
  EXPECT_EQ(p.SendTo(fd, 300), -1);
  EXPECT_EQ(errno, EALREADY);
  EXPECT_EQ(p.Next(), (Packet{.flags = kSyn, .length = 300}));
  p.Inject({.flags = kSyn | kAck, .seq = 0, .ack = 301, .mss = 1000});
  EXPECT_EQ(p.Next(), (Packet{.flags = kAck, .seq = 301, .ack = 1}));
  EXPECT_EQ(p.SendTo(fd, 100), 100);
  EXPECT_EQ(p.Next(), (Packet{.flags = kAck | wire::kPsh, .seq = 301, .ack = 1, .length = 100}));
  EXPECT_EQ(p.SendTo(fd, 100), -1);
  EXPECT_EQ(errno, EISCONN);
  EXPECT_NE(p.InfoOptions(fd) & TCPI_OPT_SYN_DATA, 0);
}

TEST(PlayerFastOpen, SocketThatWaitsForItsFirstWriteIsWritable) {
  Client p;
  p.FetchCookie();
  const int fd = p.Make(true);
  EXPECT_EQ(p.Connect(fd), 0);
  pollfd entry{.fd = fd, .events = POLLIN | POLLOUT, .revents = 0};
  EXPECT_EQ(p.calls().poll(p.posix(), &entry, 1, 0), 1);
  EXPECT_EQ(entry.revents, POLLOUT);
  char octet = 0;
  EXPECT_EQ(p.calls().read(p.posix(), fd, &octet, 1), -1);
  EXPECT_EQ(errno, EAGAIN);
}

TEST(PlayerFastOpen, KeysHaveSixteenOctetsOrTwiceThat) {
  Client p;
  const int fd = p.Make(false);
  const std::vector<char> octets(48, 'k');
  for (const socklen_t length : {0u, 3u, 15u, 17u, 48u}) {
    EXPECT_EQ(
        p.calls().setsockopt(p.posix(), fd, IPPROTO_TCP, TCP_FASTOPEN_KEY, octets.data(), length),
        -1);
    EXPECT_EQ(errno, EINVAL);
  }
  for (const socklen_t length : {16u, 32u}) {
    EXPECT_EQ(
        p.calls().setsockopt(p.posix(), fd, IPPROTO_TCP, TCP_FASTOPEN_KEY, octets.data(), length),
        0);
  }
}

// A listener that takes data from everybody. What came before a reset is still read.
TEST(PlayerFastOpen, DataOfASynIsReadThoughAResetFollowed) {
  char directory[] = "/tmp/millrace-player-XXXXXX";
  ASSERT_NE(mkdtemp(directory), nullptr);
  const std::string path = directory;
  std::ofstream(path + "/tcp_fastopen") << (0x2 | 0x200 | 0x400) << '\n';
  {
    Client p(("sysctl=" + path).c_str());
    const int listener = p.Listen();
    p.Inject({.flags = kSyn, .seq = 0, .length = 10, .mss = 1000});
    EXPECT_EQ(p.Next(), (Packet{.flags = kSyn | kAck, .seq = 0, .ack = 11}));
    const int fd = p.calls().accept(p.posix(), listener, nullptr, nullptr);
    ASSERT_GE(fd, 0);
    EXPECT_NE(p.InfoOptions(fd) & TCPI_OPT_SYN_DATA, 0);
    p.Inject({.flags = kRst, .seq = 11});
    char octets[20];
    EXPECT_EQ(p.calls().recv(p.posix(), fd, octets, 4, MSG_PEEK), 4);
    EXPECT_EQ(p.calls().read(p.posix(), fd, octets, 4), 4);
    EXPECT_EQ(p.calls().read(p.posix(), fd, octets, sizeof octets), 6);
    EXPECT_EQ(p.calls().read(p.posix(), fd, octets, sizeof octets), -1);
    EXPECT_EQ(errno, ECONNRESET);
    EXPECT_EQ(p.calls().read(p.posix(), fd, octets, sizeof octets), 0);
  }
  std::filesystem::remove_all(path);
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

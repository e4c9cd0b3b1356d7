// Socket options, ioctls and TCP_INFO of the object that packetdrill loads, and the preloaded
// library.

#include <dlfcn.h>
#include <gtest/gtest.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <array>
#include <cstring>

#include "packetdrill/connected.h"

namespace millrace::packetdrill {
namespace {

using wire::kAck;
using wire::kPsh;
using wire::kRst;

tcp_info InfoOf(Connected& p) {
  tcp_info info{};
  socklen_t length = sizeof info;
  EXPECT_EQ(p.calls().getsockopt(p.posix(), p.fd, IPPROTO_TCP, TCP_INFO, &info, &length), 0);
  EXPECT_EQ(length, sizeof info);
  return info;
}

TEST(PlayerOptions, PeekingAndQueueLengthLeaveTheDataThere) {
  Connected p;
  p.Data(0, 600);
  p.Data(600, 600);
  int queued = 0;
  EXPECT_EQ(p.calls().ioctl(p.posix(), p.fd, SIOCINQ, &queued), 0);
  EXPECT_EQ(queued, 1200);
  std::array<char, 2000> out{};
  EXPECT_EQ(p.calls().recv(p.posix(), p.fd, out.data(), out.size(), MSG_PEEK), 1200);
  EXPECT_EQ(p.SetOption(IPPROTO_TCP, TCP_INQ, 1), 0);
  std::array<char, CMSG_SPACE(sizeof(int))> control{};
  iovec pieces[2] = {{out.data(), 400}, {out.data() + 400, 500}};
  msghdr message{};
  message.msg_iov = pieces;
  message.msg_iovlen = 2;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  EXPECT_EQ(p.calls().recvmsg(p.posix(), p.fd, &message, 0), 900);
  ASSERT_NE(CMSG_FIRSTHDR(&message), nullptr);
  std::memcpy(&queued, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof queued);
  EXPECT_EQ(queued, 300);
  EXPECT_EQ(p.Read(2000), 300);
}

TEST(PlayerOptions, LingerOfZeroResets) {
  Connected p;
  const linger now{1, 0};
  EXPECT_EQ(p.calls().setsockopt(p.posix(), p.fd, SOL_SOCKET, SO_LINGER, &now, sizeof now), 0);
  EXPECT_EQ(p.calls().close(p.posix(), p.fd), 0);
  EXPECT_EQ(p.Next(), (Packet{.flags = kRst | kAck, .seq = 1, .ack = 1}));
}

TEST(PlayerOptions, TcpInfoCountsPacketsInLinuxLayout) {
  Connected p;
  tcp_info info = InfoOf(p);
  EXPECT_EQ(info.tcpi_state, 1);  // TCP_ESTABLISHED
  EXPECT_EQ(info.tcpi_snd_cwnd, 10u);
  EXPECT_EQ(info.tcpi_snd_ssthresh, 0x7FFF'FFFFu);
  EXPECT_EQ(info.tcpi_snd_mss, 1000u);
  EXPECT_EQ(info.tcpi_advmss, 1460u);
  EXPECT_EQ(info.tcpi_options, TCPI_OPT_WSCALE);
  EXPECT_NEAR(info.tcpi_rtt, 10'000, 200);
  EXPECT_EQ(p.Write(2000), 2000);
  EXPECT_EQ(InfoOf(p).tcpi_unacked, 2u);
  p.Sleep(5'000);
  EXPECT_NEAR(static_cast<double>(InfoOf(p).tcpi_busy_time), 5'000, 10);
  p.Inject({.flags = kAck, .seq = 1, .ack = 2001});
  info = InfoOf(p);
  EXPECT_EQ(info.tcpi_unacked, 0u);
  EXPECT_EQ(info.tcpi_last_data_recv, 5u);
  EXPECT_EQ(p.calls().close(p.posix(), p.fd), 0);
  EXPECT_EQ(p.Next()->flags & kPsh, 0);
}

TEST(PlayerOptions, MaximumSegmentSizeIsOfferedAndKept) {
  Player p;
  const int listener = p.Listen();
  const int mss = 700;
  EXPECT_EQ(p.calls().setsockopt(p.posix(), listener, IPPROTO_TCP, TCP_MAXSEG, &mss, sizeof mss),
            0);
  const int fd = p.Accept(listener);
  int value = 0;
  socklen_t length = sizeof value;
  EXPECT_EQ(p.calls().getsockopt(p.posix(), fd, IPPROTO_TCP, TCP_MAXSEG, &value, &length), 0);
  EXPECT_EQ(value, mss);
}

// Linux's habits: what the profile sets in the engine's configuration.
TEST(PlayerOptions, FirstSegmentsAreAcknowledgedAtOnce) {
  Connected p;
  const int64_t begin_us = p.NowUs();
  p.Data(0, 1000);
  const auto ack = p.Next();
  ASSERT_EQ(ack, (Packet{.flags = kAck, .seq = 1, .ack = 1001}));
  EXPECT_NEAR(static_cast<double>(ack->time_us - begin_us), 0, 5);

  Connected q("sysctl=none,profile=freebsd");
  const int64_t later_us = q.NowUs();
  q.Data(0, 1000);
  const auto delayed = q.Next();
  ASSERT_EQ(delayed, (Packet{.flags = kAck, .seq = 1, .ack = 1001}));
  EXPECT_NEAR(static_cast<double>(delayed->time_us - later_us), 40'000, 1'000);
}

// With the preloaded library in place, packetdrill's own getsockopt reaches the object, and an
// object that was opened with RTLD_DEEPBIND still loads.
TEST(Preload, PassesOptionsOfTheObjectsDescriptorsOnly) {
  if (dlsym(RTLD_DEFAULT, kRegisterSymbol) == nullptr) {
    GTEST_SKIP() << "runs with LD_PRELOAD, as the test packetdrill-preload";
  }
  Connected p;
  tcp_info info{};
  socklen_t length = sizeof info;
  EXPECT_EQ(::getsockopt(p.fd, IPPROTO_TCP, TCP_INFO, &info, &length), 0);
  EXPECT_EQ(info.tcpi_snd_cwnd, 10u);
  const int other = ::socket(AF_INET, SOCK_STREAM, 0);
  ASSERT_GE(other, 0);
  int type = 0;
  length = sizeof type;
  EXPECT_EQ(::getsockopt(other, SOL_SOCKET, SO_TYPE, &type, &length), 0);
  EXPECT_EQ(type, SOCK_STREAM);
  EXPECT_EQ(::close(other), 0);
}

}  // namespace
}  // namespace millrace::packetdrill

// packetdrill/connected.h - a Player with a connection that was accepted.
#ifndef MILLRACE_PACKETDRILL_CONNECTED_H_
#define MILLRACE_PACKETDRILL_CONNECTED_H_

#include <fcntl.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "packetdrill/player.h"

namespace millrace::packetdrill {

struct Connected : Player {
  explicit Connected(const char* flags = "sysctl=none")
      : Player(flags), listener(Listen()), fd(Accept(listener)) {
    EXPECT_GE(fd, 0);
  }
  ssize_t Write(size_t size) {
    const std::vector<char> data(size, 'x');
    return calls().write(posix(), fd, data.data(), size);
  }
  ssize_t Read(size_t size) {
    std::vector<char> data(size);
    return calls().read(posix(), fd, data.data(), size);
  }
  int SetOption(int level, int name, int value) {
    return calls().setsockopt(posix(), fd, level, name, &value, sizeof value);
  }
  int Option(int level, int name) {
    int value = -1;
    socklen_t length = sizeof value;
    EXPECT_EQ(calls().getsockopt(posix(), fd, level, name, &value, &length), 0);
    return value;
  }
  void SetNonblocking() { EXPECT_EQ(calls().fcntl(posix(), fd, F_SETFL, O_NONBLOCK), 0); }
  // The peer's next octets, after `before` of them.
  void Data(uint32_t before, uint32_t length, int flags = 0) {
    Inject(
        {.flags = wire::kAck | wire::kPsh | flags, .seq = 1 + before, .ack = 1, .length = length});
  }
  int listener, fd;
};

}  // namespace millrace::packetdrill

#endif  // MILLRACE_PACKETDRILL_CONNECTED_H_

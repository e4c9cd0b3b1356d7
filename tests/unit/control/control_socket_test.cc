// A control socket and its clients in one thread: nothing waits.
#include "apps/control/control_socket.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

namespace millrace::apps {
namespace {

class ControlSocketTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = ::testing::TempDir() + "control-XXXXXX";
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
    path_ = folder_ + "/s";
    auto opened = ControlSocket::Open(path_);
    ASSERT_TRUE(opened.ok()) << opened.status();
    socket_ = *std::move(opened);
  }
  void TearDown() override {
    socket_.reset();
    EXPECT_NE(access(path_.c_str(), F_OK), 0) << "the file stays behind";
    unlink(path_.c_str());
    rmdir(folder_.c_str());
  }
  int Connect() {
    const auto fd = ControlSocket::Connect(path_);
    EXPECT_TRUE(fd.ok()) << fd.status();
    fcntl(*fd, F_SETFL, O_NONBLOCK);
    return *fd;
  }
  static void Send(int fd, const std::string& text) {
    EXPECT_EQ(send(fd, text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
  }
  // What is there: "-" for nothing yet, "" for the end.
  static std::string Receive(int fd) {
    std::array<char, 4096> octets{};
    const ssize_t count = recv(fd, octets.data(), octets.size(), 0);
    return count < 0 ? "-" : std::string(octets.data(), static_cast<size_t>(count));
  }

  std::string folder_, path_;
  std::unique_ptr<ControlSocket> socket_;
};

TEST_F(ControlSocketTest, OneLineOfAClientIsUnderWayAtATime) {
  const int fd = Connect();
  Send(fd, "fir");
  EXPECT_TRUE(socket_->Poll().empty());
  Send(fd, "st\nsecond\n");
  auto lines = socket_->Poll();
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0].text, "first");
  EXPECT_TRUE(socket_->Poll().empty());
  socket_->Reply(lines[0].client, "1");
  EXPECT_EQ(Receive(fd), "1\n");
  lines = socket_->Poll();
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0].text, "second");
  close(fd);
  socket_->Reply(lines[0].client, "2");  // to nobody
  EXPECT_TRUE(socket_->Poll().empty());
}

TEST_F(ControlSocketTest, LastLineMayEndWithTheInput) {
  const int fd = Connect();
  Send(fd, "count");
  shutdown(fd, SHUT_WR);
  const auto lines = socket_->Poll();
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0].text, "count");
  EXPECT_TRUE(socket_->Poll().empty());
  socket_->Reply(lines[0].client, "3");
  EXPECT_TRUE(socket_->Poll().empty());
  EXPECT_EQ(Receive(fd), "3\n");
  EXPECT_EQ(Receive(fd), "");
  close(fd);
}

TEST_F(ControlSocketTest, TooLongALineIsSaidAndEndsTheConnection) {
  const int fd = Connect();
  Send(fd, std::string(ControlSocket::kLineMax + 1, 'x'));
  EXPECT_TRUE(socket_->Poll().empty());
  EXPECT_THAT(Receive(fd), ::testing::HasSubstr("at most 1024"));
  EXPECT_TRUE(socket_->Poll().empty());
  EXPECT_EQ(Receive(fd), "");
  close(fd);
}

TEST_F(ControlSocketTest, RepliesThatNobodyReadsWaitAndHoldUpNobody) {
  const int slow = Connect(), fd = Connect();
  Send(slow, "list\nlist\n");
  auto lines = socket_->Poll();
  ASSERT_EQ(lines.size(), 1u);
  std::string reply(4'000'000, 'r');  // more than the kernel takes
  socket_->Reply(lines[0].client, reply);
  Send(fd, "count\n");
  lines = socket_->Poll();
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0].text, "count");
  socket_->Reply(lines[0].client, "1");
  EXPECT_EQ(Receive(fd), "1\n");
  size_t received = 0;
  for (int turn = 0; turn < 100'000 && received <= reply.size(); ++turn) {
    const std::string part = Receive(slow);
    if (part != "-") received += part.size();
    for (const auto& line : socket_->Poll()) EXPECT_EQ(line.text, "list");
  }
  EXPECT_EQ(received, reply.size() + 1);
  close(fd);
  close(slow);
}

TEST_F(ControlSocketTest, ClientsAreBounded) {
  std::vector<int> clients;
  for (size_t i = 0; i < ControlSocket::kClientsMax + 1; ++i) {
    clients.push_back(Connect());
    Send(clients.back(), "count\n");
  }
  EXPECT_EQ(socket_->Poll().size(), ControlSocket::kClientsMax);
  EXPECT_TRUE(socket_->Poll().empty());
  for (const int fd : clients) close(fd);
}

TEST_F(ControlSocketTest, IsTheUsersOwnAndTakesNobodysPlace) {
  struct stat file {};
  ASSERT_EQ(stat(path_.c_str(), &file), 0);
  EXPECT_EQ(file.st_mode & 0777, 0700u);
  EXPECT_THAT(std::string(ControlSocket::Open(path_).status().message()),
              ::testing::HasSubstr("served by another process"));
  EXPECT_THAT(std::string(ControlSocket::Open(folder_).status().message()),
              ::testing::HasSubstr("is no socket"));
  EXPECT_FALSE(ControlSocket::Open(std::string(200, 'x')).ok());
  EXPECT_FALSE(ControlSocket::Connect(folder_ + "/nobody").ok());
}

TEST_F(ControlSocketTest, ASocketOfAnotherKindStays) {
  const std::string other = folder_ + "/datagrams";
  const int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  other.copy(address.sun_path, other.size());
  ASSERT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  EXPECT_FALSE(ControlSocket::Open(other).ok());
  EXPECT_EQ(access(other.c_str(), F_OK), 0);
  close(fd);
  unlink(other.c_str());
}

TEST_F(ControlSocketTest, LeavesWhatAnotherProgramHasPutInItsPlace) {
  const std::string other = folder_ + "/replaced";
  auto first = ControlSocket::Open(other);
  ASSERT_TRUE(first.ok());
  unlink(other.c_str());
  auto second = ControlSocket::Open(other);
  ASSERT_TRUE(second.ok());
  first->reset();
  EXPECT_EQ(access(other.c_str(), F_OK), 0);
  second->reset();
  EXPECT_NE(access(other.c_str(), F_OK), 0);
}

TEST_F(ControlSocketTest, AFileThatACrashLeftBehindIsReplaced) {
  const std::string other = folder_ + "/left";
  const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  other.copy(address.sun_path, other.size());
  ASSERT_EQ(bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  close(fd);
  EXPECT_FALSE(ControlSocket::Connect(other).ok());
  const auto opened = ControlSocket::Open(other);
  ASSERT_TRUE(opened.ok()) << opened.status();
  const auto client = ControlSocket::Connect(other);
  EXPECT_TRUE(client.ok());
  close(*client);
}

}  // namespace
}  // namespace millrace::apps

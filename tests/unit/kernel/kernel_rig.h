// unit/kernel/kernel_rig.h - a KernelStack on loopback with an application that writes down what it
// is told, in the test's thread.
#ifndef MILLRACE_TESTS_UNIT_KERNEL_KERNEL_RIG_H_
#define MILLRACE_TESTS_UNIT_KERNEL_KERNEL_RIG_H_

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "apps/kernel/kernel_stack.h"
#include "unit/kernel/local_server.h"

namespace millrace::testing {

inline constexpr int kPollsMax = 5000;  // of a millisecond each, when nothing happens

// Writes down what it is told, and does what `on_open` says.
struct Recorder {
  void OnOpen(apps::KernelSocket socket) {
    ++opened;
    if (on_open) on_open(socket);
  }
  size_t OnReceive(apps::KernelSocket socket, std::span<const std::byte> data) {
    received.append(reinterpret_cast<const char*>(data.data()), data.size());
    if (on_receive) on_receive(socket);
    return data.size();
  }
  void OnPeerClosed(apps::KernelSocket socket) {
    ++peer_closed;
    if (closes) socket.Close();
  }
  void OnClose(apps::KernelSocket socket, tcp::CloseReason reason) {
    users.push_back(socket.user_data());
    reasons.push_back(reason);
  }
  void OnPoll(apps::KernelEngine&, Instant) {}

  std::function<void(apps::KernelSocket)> on_open, on_receive;
  bool closes = true;  // when the peer has
  int opened = 0, peer_closed = 0;
  std::string received;
  std::vector<uint64_t> users;
  std::vector<tcp::CloseReason> reasons;
};

inline std::span<const std::byte> Octets(const std::string& text) {
  return std::as_bytes(std::span(text));
}

class KernelStackTest : public ::testing::TestWithParam<const char*> {
 protected:
  explicit KernelStackTest(apps::KernelEngine::Options options = {.connections = 4})
      : engine_(*apps::KernelEngine::Create(options)), stack_(*engine_, app_) {}

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
  std::unique_ptr<apps::KernelEngine> engine_;
  apps::KernelStack<Recorder> stack_;
  apps::KernelSocket socket_;
};

}  // namespace millrace::testing

#endif  // MILLRACE_TESTS_UNIT_KERNEL_KERNEL_RIG_H_

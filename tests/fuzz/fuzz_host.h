// fuzz/fuzz_host.h - one engine with an application that does what an input says, and the checks
// that must hold after everything that happens to it.
#ifndef MILLRACE_TESTS_FUZZ_FUZZ_HOST_H_
#define MILLRACE_TESTS_FUZZ_FUZZ_HOST_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "fuzz/fuzz_frames.h"
#include "millrace/sim/checkers.h"
#include "millrace/sim/sim_port.h"
#include "millrace/stack/stack.h"

namespace millrace::fuzz {

inline constexpr uint16_t kListenPort = 80;

// What an application may do in a callback, on the connection itself or on another one.
enum class Deed : uint8_t {
  kNothing,
  kSend,
  kSendMuch,
  kShutdown,
  kClose,
  kAbort,
  kConnect,
  kResume,
  kCloseOther,
  kAbortOther,
  kSendOther,
  kResumeOther,
  kSendStatic,
  kPause,
  kListen,
  kUnlisten,
};
inline constexpr int kDeeds = 16;

class FuzzApp {
 public:
  void SetEngine(stack::Engine* engine) { engine_ = engine; }

  void OnOpen(stack::Socket socket);
  size_t OnReceive(stack::Socket socket, std::span<const std::byte> data);
  void OnPeerClosed(stack::Socket socket);
  void OnWritable(stack::Socket socket);
  void OnClose(stack::Socket socket, tcp::CloseReason reason);
  void OnPoll(stack::Engine&, Instant);

  void Do(Deed deed, stack::Socket socket, size_t other);
  void Remember(stack::Socket socket);
  stack::Socket Get(size_t number) const { return sockets_[number % sockets_.size()]; }
  // Reads everything and does nothing by itself any more.
  void Calm();

  enum Callback : uint8_t {
    kOpen,
    kReceive,
    kPeerClosed,
    kWritable,
    kCloseCall,
    kPoll,
    kCallbacks
  };
  std::array<Deed, kCallbacks> deeds{};
  bool reading = true;
  size_t read_max = SIZE_MAX;  // octets that a call consumes at most
  uint64_t commands = 0;       // calls that may make the engine send something
  uint64_t resets_wanted = 0;

 private:
  struct Told {
    bool opened = false, peer_closed = false, closed = false;
  };
  Told& ToldOf(stack::Socket socket);

  stack::Engine* engine_ = nullptr;
  std::array<stack::Socket, 8> sockets_;
  size_t next_socket_ = 0;
  std::vector<std::pair<stack::ConnectionId, Told>> told_;
};

struct HostOptions {
  stack::EngineConfig config;
  bool static_neighbor = true;
  bool isn_near_wrap = false;
  bool offloads = false;
};
// Small limits, so that a short input meets every one of them.
HostOptions SmallHost();

class FuzzHost {
 public:
  explicit FuzzHost(const HostOptions& options);
  // Ends everything, waits until nothing can be left, and checks that nothing is.
  ~FuzzHost();

  // Frames that arrive together. REQUIRES: at most 32.
  void Receive(const std::vector<Bytes>& frames);
  void Command(Deed deed, size_t socket, size_t other);
  void Connect(uint16_t local_port, uint16_t remote_port);
  // Polls at each deadline, but not for ever.
  void Advance(Duration duration);

  stack::Engine& engine() { return stack_->engine(); }
  FuzzApp& app() { return app_; }
  sim::SimPort& port() { return port_; }
  // IP packet of the last TCP segment that the engine sent; may be empty.
  const Bytes& last_sent() const { return last_sent_; }

 private:
  void PollUntilIdle();
  void Check();
  void OnFrame(const sim::Frame& frame);

  Instant now_;
  sim::SimPort port_;
  std::unique_ptr<stack::Stack<sim::SimPort, FuzzApp>> stack_;
  FuzzApp app_;
  sim::EngineChecker checker_;
  Bytes last_sent_;
  uint64_t sent_small_ = 0;  // frames without text
  uint64_t sent_resets_ = 0;
};

}  // namespace millrace::fuzz

#endif  // MILLRACE_TESTS_FUZZ_FUZZ_HOST_H_

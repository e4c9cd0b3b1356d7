// sim/swarm_app.h - the application of a simulated host: streams whose octets can be checked, and
// whims about reading, writing and closing.
#ifndef MILLRACE_SIM_SWARM_APP_H_
#define MILLRACE_SIM_SWARM_APP_H_

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "millrace/base/prng.h"
#include "millrace/stack/socket.h"

namespace millrace::sim {

// Octet `position` of the stream that a side sends.
constexpr std::byte StreamOctet(uint32_t stream, uint64_t position) {
  const uint64_t mixed = (position + stream * 0x1'0001ull) * 0x9E37'79B9'7F4A'7C15ull;
  return static_cast<std::byte>(mixed >> 56);
}

enum class CloseStyle : uint8_t {
  kCloseAfterSend,  // full close as soon as all is written, whatever the peer still sends
  kHalfClose,       // FIN, then read to the peer's FIN, then close
  kCloseAfterPeer,  // waits for the peer's FIN first
  kAbortSomewhere,  // RST at a random moment
};
inline constexpr int kCloseStyles = 4;

class SwarmApp {
 public:
  // `dice` decides the whims; `after` runs a call later and wakes the host.
  using After = std::function<void(Duration delay, std::function<void()> call)>;
  struct Settings {
    uint64_t seed = 0;
    uint32_t stream_octets_max = 0;
    bool pauses = false;  // stops reading now and then
    bool aborts = false;  // kAbortSomewhere is among the styles
    bool small_writes = false;
  };

  SwarmApp(const Settings& settings, After after)
      : settings_(settings), dice_(settings.seed), after_(std::move(after)) {}

  void OnOpen(stack::Socket socket);
  size_t OnReceive(stack::Socket socket, std::span<const std::byte> data);
  void OnPeerClosed(stack::Socket socket);
  void OnWritable(stack::Socket socket);
  void OnClose(stack::Socket socket, tcp::CloseReason reason);
  void OnPoll(stack::Engine&, Instant) {}

  // The user data of a socket that is to be opened; of accepted ones it is 0 and set in OnOpen.
  uint64_t NewSession(bool active);
  // From now on everything is read and nothing delayed, so that all can end.
  void Calm();

  // A session in words, for the text of a failure.
  std::string Describe(stack::Socket socket) const;

  const std::string& failure() const { return failure_; }
  uint64_t octets() const { return octets_; }
  uint64_t opened() const { return opened_; }
  uint64_t closed() const { return closed_; }

 private:
  struct Session {
    bool active = false;
    bool open = false, over = false;
    bool paused = false;
    bool peer_closed = false, own_closed = false;
    uint32_t id = 0;  // names the streams; sent as the first four octets by both sides
    uint32_t peer_id = 0;
    uint64_t to_send = 0, sent = 0, received = 0;
    uint64_t abort_at = 0;  // octets received and sent after which it aborts
    CloseStyle style = CloseStyle::kHalfClose;
    stack::Socket socket;
  };

  Session& Of(stack::Socket socket) { return sessions_[socket.user_data() - 1]; }
  void Fail(const std::string& what);
  std::byte OctetToSend(const Session& session, uint64_t position) const;
  void Write(Session& session);
  void MaybeClose(Session& session);

  Settings settings_;
  Prng dice_;
  After after_;
  std::vector<Session> sessions_;
  std::string failure_;
  uint64_t octets_ = 0, opened_ = 0, closed_ = 0;
  bool calm_ = false;
};

}  // namespace millrace::sim

#endif  // MILLRACE_SIM_SWARM_APP_H_

// packetdrill/player.h - plays packetdrill's part: loads the object, sends packets, makes calls.
//
// One peer (192.0.2.1:40000) against a socket of ours on port 8080; sequence numbers are relative
// to the first of each side, as in a script. Each Player is a stack of its own.
#ifndef MILLRACE_PACKETDRILL_PLAYER_H_
#define MILLRACE_PACKETDRILL_PLAYER_H_

#include <netinet/in.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <ostream>
#include <thread>

#include "millrace/wire/segment.h"
#include "packetdrill/interface.h"

namespace millrace::packetdrill {

struct Packet {
  int flags = 0;
  uint32_t seq = 0, ack = 0;  // relative
  uint32_t length = 0;        // octets of payload
  int64_t time_us = 0;        // when it was sent; not compared, see IsPacket
  uint16_t window = 60'000;
  uint16_t mss = 0;          // 0: no option
  uint8_t window_scale = 0;  // 0: no option
  uint8_t cookie_bytes = 0;  // of Fast Open; 0: no option
  bool operator==(const Packet& other) const {
    return flags == other.flags && seq == other.seq && ack == other.ack && length == other.length;
  }
};
std::ostream& operator<<(std::ostream& out, const Packet& packet);

class Player {
 public:
  static constexpr uint16_t kOurPort = 8080, kPeerPort = 40'000;

  explicit Player(const char* flags = "sysctl=none");
  ~Player();
  Player(const Player&) = delete;
  Player& operator=(const Player&) = delete;

  const Interface& calls() const { return interface_; }
  void* posix() const { return interface_.user_data; }

  int64_t NowUs();
  void Sleep(int64_t duration_us) {
    interface_.sleep_us(posix(), static_cast<useconds_t>(duration_us));
  }
  void Inject(const Packet& packet);
  // The next packet of the object, which waits for it in virtual time; nullopt when none comes.
  std::optional<Packet> Next();

  // A listener on port 8080, and a connection from the peer with `syn`'s options, accepted.
  int Listen(int backlog = 5);
  int Accept(int listener, Packet syn = {.mss = 1000, .window_scale = 7});
  // A non-blocking active open from port 8080 as far as the SYN.
  int StartConnect();
  static sockaddr_in PeerAddress();
  static sockaddr_in OurAddress();

  // Makes a call on a second thread and returns when that sleeps or is done, as packetdrill does.
  void Begin(std::function<void()> call);
  // The call that was begun has returned, at this time.
  bool IsDone() const { return done_; }
  int64_t Finish();

 private:
  void* library_ = nullptr;
  Interface interface_{};
  uint32_t our_first_ = 0;
  bool our_first_known_ = false;
  std::thread thread_;
  std::atomic<bool> done_{true};
  std::atomic<int> thread_id_{0};
  int64_t end_us_ = 0;
};

}  // namespace millrace::packetdrill

#endif  // MILLRACE_PACKETDRILL_PLAYER_H_

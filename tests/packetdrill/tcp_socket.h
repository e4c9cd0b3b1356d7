// packetdrill/tcp_socket.h - what the adaptor keeps for a socket beside the engine's connection.
//
// The engine forgets a connection that is over; a POSIX socket lives until close() and remembers
// how it ended. Octets wait in the engine; but a reset flushes them there (RFC 9293 3.10.7.4) and
// not in Linux, so there is a copy of what is unread.
#ifndef MILLRACE_PACKETDRILL_TCP_SOCKET_H_
#define MILLRACE_PACKETDRILL_TCP_SOCKET_H_

#include <sys/socket.h>

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "millrace/base/ip_address.h"
#include "millrace/base/time.h"
#include "millrace/stack/socket.h"
#include "packetdrill/settings.h"

namespace millrace::packetdrill {

// Option values as setsockopt left them, inherited by accepted sockets. Options that are not here
// have their default.
struct SocketOptions {
  uint32_t send_buffer = 0;  // octets, as getsockopt tells them: twice what was set
  uint32_t receive_buffer = 0;
  std::optional<uint32_t> notsent_low;  // TCP_NOTSENT_LOWAT; none: the sysctl's
  linger close_linger{};
  bool no_delay = false, cork = false, queue_length = false;  // the last is TCP_INQ
  bool fast_open_connect = false, fast_open_listen = false;   // TCP_FASTOPEN_CONNECT, _FASTOPEN
  FastOpenKeys fast_open_keys;                // TCP_FASTOPEN_KEY; none: the sysctl's
  uint16_t mss = 0;                           // TCP_MAXSEG, 0: not set
  std::map<std::pair<int, int>, int> others;  // (level, name): kept and told, nothing more
};

// Where time goes (tcpi_busy_time and its parts): sampled after every poll.
struct SendTimes {
  enum class Limit : uint8_t { kIdle, kBusy, kWindow, kSendBuffer };
  Limit limit = Limit::kIdle;
  Instant since;
  Duration busy, window, send_buffer;  // closed stretches; busy counts all three kinds

  void Enter(Limit next, Instant now) {
    if (next == limit) return;
    Close(now);
    limit = next;
  }
  // Ends the stretch that runs and starts it anew, so that the sums are right at `now`.
  void Close(Instant now) {
    const Duration length = now - since;
    if (limit != Limit::kIdle) busy = busy + length;
    if (limit == Limit::kWindow) window = window + length;
    if (limit == Limit::kSendBuffer) send_buffer = send_buffer + length;
    since = now;
  }
};

struct TcpSocket {
  enum class Kind : uint8_t { kFresh, kListener, kConnection };

  Kind kind = Kind::kFresh;
  int domain = AF_INET;
  int fd = -1;  // -1: not accepted yet, or closed
  bool nonblocking = false;
  bool bound = false;
  Endpoint local, remote;

  // A connection.
  stack::Socket socket;
  bool deferred = false;          // connect() has left the SYN to the first write (Fast Open)
  bool syn_data = false;          // octets on the SYN were taken (TCPI_OPT_SYN_DATA) ...
  uint32_t syn_octets = 0;        // ... this many of ours
  bool opened = false;            // ESTABLISHED was reached
  bool open_told = false;         // connect() has said so
  bool over = false;              // OnClose came
  std::vector<std::byte> unread;  // the copy; read from when `over`
  int error = 0;                  // SO_ERROR; told once
  bool shut_read = false, shut_write = false;
  bool more = false;      // MSG_MORE of the last write still holds
  bool no_space = false;  // a write or a poll found no room: the next room is an event
  Instant last_data;      // when data came last
  SendTimes times;

  // A listener.
  int backlog = 0;
  std::deque<TcpSocket*> pending;  // established, not accepted

  // Counted up when something becomes ready again, for EPOLLET.
  uint32_t in_edges = 0, out_edges = 0;

  SocketOptions options;
};

}  // namespace millrace::packetdrill

#endif  // MILLRACE_PACKETDRILL_TCP_SOCKET_H_

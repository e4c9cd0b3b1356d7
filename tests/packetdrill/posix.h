// packetdrill/posix.h - POSIX sockets over the engine's own calls: the adaptor's centre.
//
// The public members are the calls of Interface with the same meaning: -1 and errno on failure.
// The files: posix.cc opening and closing, transfer.cc reading and writing, fast_open.cc data on a
// SYN, options.cc options and ioctls, readiness.cc poll and epoll, tcp_info.cc TCP_INFO, events.cc
// what the engine tells and time, packets.
// Descriptors are eventfds: packetdrill closes with the system's close() what a script left open.
// Threading: every public call takes the lock of Blocking; see there.
#ifndef MILLRACE_PACKETDRILL_POSIX_H_
#define MILLRACE_PACKETDRILL_POSIX_H_

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "packetdrill/blocking.h"
#include "packetdrill/interface.h"
#include "packetdrill/machine.h"
#include "packetdrill/settings.h"
#include "packetdrill/tcp_socket.h"

namespace millrace::packetdrill {

// Sets errno and returns -1.
int Fail(int error);
// Address and port of a sockaddr; nullopt for a family or length that is none.
std::optional<Endpoint> FromSockaddr(const sockaddr* address, socklen_t length);
// The other way, in the form of `domain` (IPv4-mapped for AF_INET6), cut to *length as POSIX says.
void ToSockaddr(const Endpoint& endpoint, int domain, sockaddr* address, socklen_t* length);

// Of what a write takes: whether a piece has octets and no place; all octets together.
bool HasNull(std::span<const iovec> pieces);
std::vector<std::byte> Gather(std::span<const iovec> pieces);

class Posix {
 public:
  explicit Posix(const Settings& settings);
  Posix(const Posix&) = delete;
  Posix& operator=(const Posix&) = delete;

  // posix.cc
  int Socket(int domain, int type, int protocol);
  int Bind(int fd, const sockaddr* address, socklen_t length);
  int Listen(int fd, int backlog);
  int Accept(int fd, sockaddr* address, socklen_t* length);
  int Connect(int fd, const sockaddr* address, socklen_t length);
  int Close(int fd);
  int Shutdown(int fd, int how);

  // transfer.cc
  ssize_t Receive(int fd, std::span<const iovec> pieces, int flags);
  ssize_t ReceiveMessage(int fd, msghdr* message, int flags);
  // `to`: where a SYN with MSG_FASTOPEN goes.
  ssize_t Send(int fd, std::span<const iovec> pieces, int flags,
               const std::optional<Endpoint>& to = std::nullopt);

  // options.cc
  int GetOption(int fd, int level, int name, void* value, socklen_t* length);
  int SetOption(int fd, int level, int name, const void* value, socklen_t length);
  int Fcntl(int fd, int command, int argument);
  int Ioctl(int fd, unsigned long request, int* value);
  bool Owns(int fd);

  // readiness.cc
  int Poll(std::span<pollfd> entries, int timeout_ms);
  int EpollCreate();
  int EpollControl(int epoll_fd, int operation, int fd, const epoll_event* event);
  int EpollWait(int epoll_fd, std::span<epoll_event> events, int timeout_ms);

  // events.cc
  int PacketIn(std::span<const std::byte> packet);
  int PacketOut(std::span<std::byte> room, size_t* size, long long* time_us);
  int SleepUs(useconds_t duration_us);
  int TimeOfDay(timeval* now);

 private:
  // Holds the lock during a call, and remembers which thread's it is.
  class Call {
   public:
    explicit Call(Posix& posix);

   private:
    Blocking::Lock lock_;
  };
  struct EpollEntry {
    epoll_event wanted;
    TcpSocket* socket;
    bool fresh = true;  // nothing was told since it was added or changed
    uint32_t in_seen = 0, out_seen = 0;
  };
  struct Epoll {
    std::map<int, EpollEntry> entries;
  };

  TcpSocket* Find(int fd);
  TcpSocket& Make(int domain);
  int GiveDescriptor(TcpSocket& socket);
  EventSink MakeSink();
  TcpSocket* SocketOf(stack::Socket socket) const;
  void OnOpen(stack::Socket socket);
  void OnClose(stack::Socket socket, tcp::CloseReason reason);
  void AfterPoll();
  void SampleTimes(TcpSocket& socket);

  // Waits until ready() or the deadline, in virtual time. False: the deadline came first.
  bool WaitUntil(const std::function<bool()>& ready, Instant deadline);
  Instant DeadlineAfter(int timeout_ms) const;  // negative: Never
  static int TakeError(TcpSocket& socket);      // SO_ERROR, cleared

  // Takes over what the scripts changed in the sysctls.
  void Configure(const TcpSocket& socket, bool fast_open = false);
  Endpoint ListenEndpoint(const TcpSocket& socket) const;
  int StartConnect(TcpSocket& socket, const Endpoint& remote, bool fast_open);
  // What connect() says of an attempt that was started before, or just now.
  int AwaitConnect(TcpSocket& socket, bool started);
  void Drop(TcpSocket& socket);
  ssize_t ReceiveInto(TcpSocket& socket, std::span<std::byte> out, int flags);
  // errno of a write that cannot go on, 0 when it can.
  static int WriteError(TcpSocket& socket);
  void Flush(TcpSocket& socket);
  uint32_t SendRoom(const TcpSocket& socket);
  bool IsWritable(const TcpSocket& socket);
  uint32_t NotSent(const TcpSocket& socket);
  uint32_t NotSentLow(const TcpSocket& socket) const;
  bool AtEnd(const TcpSocket& socket);
  static size_t Unread(const TcpSocket& socket);
  static void CopyUnread(TcpSocket& socket);
  size_t TakeUnread(TcpSocket& socket, std::span<std::byte> out, bool peek);
  bool PeerClosed(const TcpSocket& socket);

  // fast_open.cc
  int SetFastOpen(TcpSocket& socket, int name, int value);
  int SetFastOpenKeys(TcpSocket& socket, std::span<const std::byte> octets);
  // Whether connect() leaves the SYN to the first write.
  bool Defers(TcpSocket& socket, const Endpoint& remote);
  ssize_t SendOnSyn(TcpSocket& socket, const Endpoint& remote, std::span<const iovec> pieces,
                    int flags);
  ssize_t SendData(TcpSocket& socket, std::span<const std::byte> data, int flags);

  int GetTcpOption(TcpSocket& socket, int name, void* value, socklen_t* length);
  int SetTcpOption(TcpSocket& socket, int name, int value);
  // Keepalive and user timeout as the options say, when the connection is open.
  void ApplyLiveness(const TcpSocket& socket);
  uint16_t CurrentMss(const TcpSocket& socket);
  std::vector<std::byte> TcpInfo(TcpSocket& socket);

  uint32_t ReadyEvents(TcpSocket& socket);
  int CollectEvents(Epoll& epoll, std::span<epoll_event> events);

  const Settings settings_;
  Blocking blocking_;
  Blocking::Lock* main_lock_ = nullptr;
  Blocking::Lock* second_lock_ = nullptr;
  Machine machine_;
  std::vector<std::unique_ptr<TcpSocket>> sockets_;
  std::map<int, TcpSocket*> by_fd_;
  std::map<int, Epoll> epolls_;
};

}  // namespace millrace::packetdrill

#endif  // MILLRACE_PACKETDRILL_POSIX_H_

// kernel/kernel_engine.h - TCP connections over the sockets of the Linux kernel, by the calls that
// applications make on our own engine (stack/engine.h, stack/socket.h): what is written for one
// runs on the other, which is how the two are compared.
//
// What the kernel says by errno becomes a ConnectResult, a CloseReason or a counter; nothing is
// left without a name. A connection is over when the kernel says that it is in CLOSED or TIME-WAIT:
// then both FINs are acknowledged, and its TIME-WAIT is the kernel's.
// Bounds: `connections` at a time, each a descriptor; of what the kernel has no room for only spans
// are kept (SendStatic) or the copy of one message (Send).
// Threading: one owner. KernelStack (kernel/kernel_stack.h) polls it.
#ifndef MILLRACE_APPS_KERNEL_KERNEL_ENGINE_H_
#define MILLRACE_APPS_KERNEL_KERNEL_ENGINE_H_

#include <sys/epoll.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "apps/kernel/kernel_counters.h"
#include "apps/kernel/kernel_sources.h"
#include "millrace/base/ip_address.h"
#include "millrace/dpdk/clock.h"
#include "millrace/stack/engine_types.h"
#include "millrace/stack/socket.h"

namespace millrace::apps {

class KernelEngine;

// As stack::Socket. Calls on a connection that is over do nothing.
class KernelSocket {
 public:
  KernelSocket() = default;
  KernelSocket(KernelEngine* engine, stack::ConnectionId id) : engine_(engine), id_(id) {}

  stack::ConnectionId id() const { return id_; }
  KernelEngine& engine() const { return *engine_; }
  uint64_t user_data() const;
  // Takes all or nothing; false when the kernel has no memory. What does not fit goes out later,
  // and what the peer has reset meanwhile is taken, too: OnClose says so.
  size_t Send(std::span<const std::byte> data) const;
  [[nodiscard]] bool SendStatic(std::span<const std::byte> data) const;
  void Shutdown() const;
  // Unlike an engine of ours the kernel does not refuse what comes behind it: OnReceive goes on.
  void Close() const;
  void Abort() const;
  [[nodiscard]] bool SetDiffserv(uint8_t dscp) const;

 private:
  KernelEngine* engine_ = nullptr;
  stack::ConnectionId id_;
};

// Of every socket.
struct KernelSocketOptions {
  uint16_t mss = 0;  // at most; 0: what the kernel finds
  uint8_t ttl = 0;   // or hop limit; 0: the system's
  uint8_t dscp = 0;
  std::string congestion;  // as kernel/kernel_congestion.h names it; "": the system's
};

class KernelEngine {
 public:
  struct Options {
    uint32_t connections = 1;
    KernelSocketOptions sockets;
    SourceWalk sources;
    dpdk::Clock clock = dpdk::Clock::Monotonic();
  };
  static absl::StatusOr<std::unique_ptr<KernelEngine>> Create(const Options& options);
  ~KernelEngine();
  KernelEngine(const KernelEngine&) = delete;
  KernelEngine& operator=(const KernelEngine&) = delete;

  // The application's side.
  stack::ConnectResult Connect(const Endpoint& remote, uint64_t user_data, KernelSocket* socket);
  Instant Now() const { return clock_.Now(); }
  // Segments are those that the kernel has counted, of connections that are open as of when they
  // were looked at the last time (CountSome).
  const KernelCounters& counters() const { return counters_; }
  uint32_t used() const { return static_cast<uint32_t>(connections_.size() - free_.size()); }

  // The stack's side, one connection at a time.
  // What became ready since the last call.
  std::span<const epoll_event> Events();
  // Until something is ready, or something has to be looked at again.
  void Wait(Duration most);
  static stack::ConnectionId IdOf(const epoll_event& event);
  // What has to be looked at again though the kernel does not say so.
  void LookAgain(stack::ConnectionId id, uint32_t events);
  // Each once.
  std::vector<stack::ConnectionId> TakeAgain();
  // Why; 0 when it is over, or was looked at meanwhile and has to be once more.
  uint32_t TakeAgainEvents(stack::ConnectionId id);
  // False when it is over, or was.
  bool IsOpen(stack::ConnectionId id) const { return Find(id) != nullptr; }
  // Whether the handshake has just been completed.
  bool FinishConnect(stack::ConnectionId id, uint32_t events);
  bool IsConnected(stack::ConnectionId id) const;
  // Sends what waits.
  void Flush(stack::ConnectionId id);
  enum class ReadKind : uint8_t { kNothing, kData, kEnd };
  struct ReadResult {
    ReadKind kind = ReadKind::kNothing;
    std::span<const std::byte> data;
    bool more = false;  // there may be more to read
  };
  ReadResult Receive(stack::ConnectionId id);
  // Finds out whether it is over.
  void Settle(stack::ConnectionId id, uint32_t events);
  // A connection that is over, until there is none; its place is free afterwards.
  struct Over {
    stack::ConnectionId id;
    tcp::CloseReason reason;
  };
  bool TakeOver(Over* over);
  void Release(stack::ConnectionId id);
  // Adds to counters() what the kernel has counted meanwhile of a few open connections, those whose
  // turn it is: each has it within n / 8 ms when n are open, and within places / 64 ms. A call for
  // each, so once a millisecond at most.
  void CountSome(Instant now);
  // Of all of them.
  void CountAll();
  // What was done since the last call: events, calls of the application.
  size_t TakeWork() { return std::exchange(work_, 0); }

 private:
  friend class KernelSocket;

  static constexpr size_t kEventsMax = 32;  // as frames of a burst
  static constexpr size_t kReadBytes = 65'536;
  static constexpr size_t kCountedMax = 8;   // connections by CountSome
  static constexpr size_t kVisitedMax = 64;  // places, in use or not, for that

  // What the kernel had no room for.
  struct Unsent {
    std::vector<std::span<const std::byte>> pieces;
    std::vector<std::vector<std::byte>> copies;
    size_t at = 0;  // the first piece that is not sent
  };
  struct Connection {
    int fd = -1;
    uint32_t generation = 1;
    uint64_t user_data = 0;
    std::unique_ptr<Unsent> unsent;
    bool used = false, v4 = true;
    bool connected = false, over = false;
    bool fin_wanted = false, fin_sent = false, peer_closed = false;
    bool closing = false;  // by Close: OnClose is all that is to come
    bool queued = false;   // in again_
    uint32_t again_events = 0;
    uint32_t in_segs = 0, out_segs = 0, retrans_segs = 0;  // that are in counters_
    tcp::CloseReason reason = tcp::CloseReason::kNormal;
  };

  explicit KernelEngine(const Options& options);
  const Connection* Find(stack::ConnectionId id) const;
  Connection* Find(stack::ConnectionId id) {
    return const_cast<Connection*>(std::as_const(*this).Find(id));
  }
  stack::ConnectionId IdOf(const Connection& c) const {
    return {static_cast<uint32_t>(&c - connections_.data()), c.generation};
  }
  // Whether it is over and not by Abort, and OnClose is still to come.
  bool IsEnding(stack::ConnectionId id) const;
  // A socket with its options, on its way to `remote`, or -errno.
  int OpenSocket(const Endpoint& remote);
  int SetOptions(int fd, bool v4) const;
  Connection& Add(int fd, const Endpoint& remote, uint64_t user_data);
  // 0 or errno of a connection that could not begin.
  stack::ConnectResult ResultOf(int error);
  bool SendPiece(Connection& c, std::span<const std::byte>* data);
  void SendFin(Connection& c);
  void End(Connection& c, tcp::CloseReason reason);
  void EndBy(Connection& c, int error);
  // Its state (RFC 9293's, by the kernel's numbers), and what it counts.
  int ReadInfo(Connection& c, bool count);

  KernelSocketOptions socket_options_;
  SourceWalk sources_;
  mutable dpdk::Clock clock_;
  KernelCounters counters_;
  int epoll_ = -1;
  std::vector<Connection> connections_;
  std::vector<uint32_t> free_;
  std::vector<Over> over_;
  std::vector<stack::ConnectionId> again_;
  std::array<epoll_event, kEventsMax> events_;
  size_t waited_for_ = 0;  // of these: what Wait found
  std::vector<std::byte> read_;
  size_t work_ = 0;
  size_t next_counted_ = 0;  // index of the connection that CountSome begins with
  Instant next_count_;
};

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_KERNEL_KERNEL_ENGINE_H_

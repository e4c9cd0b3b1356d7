// stack/listener.h - passive OPENs of one worker (RFC 9293 3.9.1.1, MUST-41, MUST-42).
//
// A listener names a local port and an address or any address of a family (0.0.0.0 or ::, neither
// takes the other's connections); the exact address wins. Its backlog
// bounds the half-open connections: there is no accept queue, because the application is told of a
// connection in the poll that completes it. When the pool of connections is empty then, the
// connection stays half-open, and what the peer sends next completes it (OPN-09). A SYN beyond the
// backlog is answered by a cookie (tcp/syn_cookie.h) or, without cookies, dropped and counted;
// never answered by RST, so that the peer tries again (OPN-08).
//
// Fairness: a listener takes a half-open record only while it holds less than kShareOfFree times
// those that are free (Choudhury and Hahne's dynamic threshold). However large its backlog, a
// flood of one so leaves a ninth of the pool to the others.
// Cost: Find is one load for a port without a listener, two or three with.
#ifndef MILLRACE_STACK_LISTENER_H_
#define MILLRACE_STACK_LISTENER_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "millrace/base/check.h"
#include "millrace/base/ip_address.h"
#include "millrace/base/time.h"

namespace millrace::stack {

struct Listener {
  IpAddress address;  // unspecified: any of ours of that family
  uint16_t port = 0;
  bool open = false;
  uint32_t backlog = 0;    // half-open connections, at most
  uint32_t half_open = 0;  // now
  uint64_t user_data = 0;  // given to each accepted connection
  uint16_t next = 0xFFFF;  // another address with the same port
  Instant cookies_until;   // an ACK may be that of a cookie before this
  // Each SYN is to be looked at (stack/source_limit.h): `backlog` is 0, so that it looks full, and
  // this is the real one.
  bool guarded = false;
  uint32_t guarded_backlog = 0;

  static constexpr uint32_t kShareOfFree = 8;
  bool HasRoomForSyn(uint32_t pool_free) const { return HasRoom(backlog, pool_free); }
  bool HasRoomBehindGuard(uint32_t pool_free) const { return HasRoom(guarded_backlog, pool_free); }
  uint32_t backlog_wanted() const { return guarded ? guarded_backlog : backlog; }

 private:
  bool HasRoom(uint32_t limit, uint32_t pool_free) const {
    return half_open < limit && half_open < uint64_t{kShareOfFree} * pool_free;
  }
};

class ListenerTable {
 public:
  static constexpr uint16_t kNone = 0xFFFF;
  static constexpr size_t kListenersMax = 4096;

  ListenerTable() : first_(65536, kNone) {}

  // kNone when the same address and port are listening already, or the table is full.
  uint16_t Add(const IpAddress& address, uint16_t port, uint32_t backlog, uint64_t user_data) {
    uint16_t reuse = kNone;
    for (uint16_t i = 0; i < listeners_.size(); ++i) {
      const Listener& l = listeners_[i];
      if (l.open && l.address == address && l.port == port) return kNone;
      if (!l.open && l.half_open == 0) reuse = i;
    }
    if (reuse == kNone) {
      if (listeners_.size() >= kListenersMax) return kNone;
      reuse = static_cast<uint16_t>(listeners_.size());
      listeners_.emplace_back();
    }
    listeners_[reuse] = {address, port, true, backlog, 0, user_data, first_[port]};
    first_[port] = reuse;
    return reuse;
  }

  // Before the first SYN.
  void Guard(uint16_t index) {
    Listener& listener = listeners_[index];
    listener.guarded = true;
    listener.guarded_backlog = listener.backlog;
    listener.backlog = 0;
  }

  // Half-open connections of it go on; new SYNs find it no more. REQUIRES: it is open.
  void Close(uint16_t index) {
    Listener& listener = listeners_[index];
    MR_DCHECK(listener.open);
    listener.open = false;
    uint16_t* link = &first_[listener.port];
    while (*link != index) link = &listeners_[*link].next;
    *link = listener.next;
  }

  uint16_t Find(const IpAddress& address, uint16_t port) const {
    const IpAddress unspecified = address.IsV4() ? IpAddress::V4(0) : IpAddress();
    uint16_t any = kNone;
    for (uint16_t i = first_[port]; i != kNone; i = listeners_[i].next) {
      if (listeners_[i].address == address) return i;
      if (listeners_[i].address == unspecified) any = i;
    }
    return any;
  }

  Listener& operator[](uint16_t index) { return listeners_[index]; }
  const Listener& operator[](uint16_t index) const { return listeners_[index]; }
  size_t size() const { return listeners_.size(); }

 private:
  std::vector<uint16_t> first_;  // by port
  std::vector<Listener> listeners_;
};

}  // namespace millrace::stack

#endif  // MILLRACE_STACK_LISTENER_H_

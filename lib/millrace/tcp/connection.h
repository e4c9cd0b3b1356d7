// tcp/connection.h - the calls on a connection: segments, time and commands in; facts, events and
// segments out.
//
// The order of use, once per poll:
//   OnSegment for each segment that belongs to the connection, OnTimeout when its deadline is
//   reached, commands (Send..., Close, ...) at any time: they change variables and leave facts;
//   then PollSend, the only place that builds segments: it turns the facts into at most
//   Outbox::room() of them and is called again while it returns kMore;
//   then take `events` for the application, and ask timers.Next() for the next deadline.
// A connection whose state became CLOSED (or TIME-WAIT) is given back by the engine after its
// events were delivered. Nothing here allocates, reads a clock or looks into a packet.
#ifndef MILLRACE_TCP_CONNECTION_H_
#define MILLRACE_TCP_CONNECTION_H_

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "millrace/tcp/env.h"
#include "millrace/tcp/tcb.h"
#include "millrace/wire/segment.h"

namespace millrace::tcp {

// What happens to the packet of a segment.
enum class [[nodiscard]] PayloadFate : uint8_t{kNotKept, kKept};

// What the caller has to do: send a RST made from the segment by MakeReset; keep what the segment
// says of Fast Open (tcp/fast_open.h).
enum class Reply : uint8_t { kNone, kReset, kLearnFastOpen };

struct [[nodiscard]] InputResult {
  PayloadFate fate = PayloadFate::kNotKept;
  Reply reply = Reply::kNone;
};

// Of a segment to be built: header values and where its payload is.
struct TxFields {
  SeqNum seq, ack;
  uint32_t tsval = 0, tsecr = 0;
  uint16_t window = 0;  // as on the wire
  wire::Flags flags = 0;
  wire::OptionBits options = 0;
  uint16_t mss = 0;
  uint8_t window_scale = 0;
  uint16_t payload_length = 0;
  uint8_t sack_count = 0;     // valid blocks of TxSegment::sack; with kFastOpenOption see SetCookie
  uint8_t traffic_class = 0;  // of the IP header: Diffserv and ECN
  SendCursor payload;
};

// A segment to be built.
struct TxSegment : TxFields {
  std::array<SackBlock, kSackBlocksMax> sack;

  // Adds a Fast Open option to a SYN, which has no SACK blocks: the cookie lies in their place.
  // `form` is kFastOpenOption, with kFastOpenExperiment for a peer that spoke so.
  // REQUIRES: at most 16 octets; none is a request.
  void SetCookie(std::span<const std::byte> cookie, wire::OptionBits form) {
    options |= form;
    sack_count = static_cast<uint8_t>(cookie.size() + 2);
    std::memcpy(sack.data(), cookie.data(), cookie.size());
  }
};

// Segments of one PollSend. The caller builds frames from them before it lets the send buffer
// change.
class Outbox {
 public:
  static constexpr size_t kCapacity = 32;

  size_t size() const { return size_; }
  size_t room() const { return kCapacity - size_; }
  TxSegment& Add() { return segments_[size_++]; }
  std::span<const TxSegment> segments() const { return {segments_.data(), size_}; }
  std::span<TxSegment> segments() { return {segments_.data(), size_}; }
  void Clear() { size_ = 0; }

 private:
  size_t size_ = 0;
  std::array<TxSegment, kCapacity> segments_;
};

enum class [[nodiscard]] SendProgress : uint8_t{kDone, kMore};

// What an active open needs beside the configuration.
struct OpenParameters {
  SeqNum iss;
  uint32_t ts_offset = 0;
  uint16_t mss = 0;  // ours; also the bound of what we send
};

// Active OPEN: SYN-SENT, the SYN is due. `tcb` may hold anything before.
void OpenActive(Tcb& tcb, const OpenParameters& parameters, Env& env);

// RFC 9293 section 3.10.7.3 and 3.10.7.4 for one segment of this connection.
InputResult OnSegment(Tcb& tcb, const wire::Segment& segment, Env& env);

// Acts on every timer that is due at env.tick.
void OnTimeout(Tcb& tcb, Env& env);

// Builds what is due. kMore: the outbox is full; call again after sending it.
SendProgress PollSend(Tcb& tcb, Env& env, Outbox& out);

// Commands of the application. Each returns at once; PollSend does the sending.
// Octets accepted, 0 after CloseSend. When short, kEventWritable follows once there is room.
uint32_t Send(Tcb& tcb, std::span<const std::byte> data, Env& env);
// All or nothing; `data` must stay unchanged until the connection is gone.
[[nodiscard]] bool SendStatic(Tcb& tcb, std::span<const std::byte> data, Env& env);
// Half-close: FIN after what was sent; data of the peer is still taken, for as long as it comes.
void CloseSend(Tcb& tcb, Env& env);
// Full close: FIN after what was sent and no more data taken. Data that was not consumed, or that
// arrives later, resets the connection (RFC 9293 3.6.1, SHLD-3).
[[gnu::noinline]] void Close(Tcb& tcb, Env& env);
// Abort: RST, everything queued is dropped.
void Abort(Tcb& tcb, CloseReason reason, Env& env);
// The path carries segments of `mss` octets of text without options: when that is less than now,
// what is in flight goes again in shorter ones. False: it is not less.
bool OnPathMtu(Tcb& tcb, uint16_t mss, Env& env);
// The same, as an ICMP message says of the segment at `seq`, which somebody may have forged.
enum class [[nodiscard]] PathClaim : uint8_t{
    kNotCredible,  // nothing has changed
    kBelieved,     // OnPathMtu was done
    kAwaited,      // will be believed if the segment is not acknowledged within its time-out
};
PathClaim OnPacketTooBig(Tcb& tcb, SeqNum seq, uint16_t mss, Env& env);
// RFC 9293 3.9.1.9 (MUST-48, SHLD-21): the Diffserv field of what is sent from now on, `dscp` 0 to
// 63. False without memory.
[[nodiscard]] bool SetDiffserv(Tcb& tcb, uint8_t dscp, Env& env);
// Puts it on what PollSend has built. REQUIRES: tcb.extra != 0.
void MarkDiffserv(const Tcb& tcb, const Env& env, Outbox& out);
// Octets that the application has still to read up to the peer's urgent pointer, 0: none (MUST-33).
uint32_t UrgentBytes(const Tcb& tcb, const Env& env);
// The application is done with `length` octets of what was delivered. OfferRoom: what that means
// for the window.
[[gnu::noinline]] void OfferRoom(Tcb& tcb, Env& env);
inline void Consume(Tcb& tcb, uint32_t length, Env& env) {
  if (length == 0) return;
  tcb.receive.Consume(std::min(length, tcb.receive.ready_bytes()), env.receive_pool, env.released);
  if (IsIn(tcb.state, kReceivingStates)) OfferRoom(tcb, env);
}

// True when the engine should keep a TIME-WAIT for it, false when it may vanish.
inline bool IsOver(const Tcb& tcb) { return IsAtEnd(tcb.state); }

// Gives back all that the connection holds. Its packets go to env.released.
void ReleaseHeld(Tcb& tcb, Env& env);
inline void Release(Tcb& tcb, Env& env) {
  // Nothing is left of nearly all.
  const bool holds = tcb.Has(kRecord) || tcb.extra != 0;
  if (holds || tcb.send.size_bytes() != 0 || !tcb.receive.IsEmpty()) [[unlikely]]
    ReleaseHeld(tcb, env);
}

// RFC 9293 3.5.2: the RST that answers a segment which belongs to no connection. False when there
// is none to send (never a RST for a RST).
[[nodiscard]] bool MakeReset(const wire::Segment& segment, TxSegment& out);

}  // namespace millrace::tcp

#endif  // MILLRACE_TCP_CONNECTION_H_

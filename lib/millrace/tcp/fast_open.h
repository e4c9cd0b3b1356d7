// tcp/fast_open.h - TCP Fast Open (RFC 7413): data on the SYN, vouched for by a cookie. Off by
// default on both sides.
//
// Server. A cookie is eight octets of SipHash-2-4 over the pair of addresses and an epoch of an
// hour; the present and the previous epoch are believed (4.1.2: "periodically expiring"). Servers
// behind one address share keys instead (Engine::SetFastOpenKeys). A SYN with a good cookie becomes
// a Connection in SYN-RECEIVED at once: its data is delivered, and what the application answers is
// sent before the handshake is complete. Without a good cookie, or beyond
// Config::fast_open_pending_max, it is opened like any other and its data comes again. Client. What
// the application has sent by the time the SYN goes out is put on it, up to a segment. A SYN that
// has to be repeated is repeated bare (4.1.3), and its data is sent after the handshake.
#ifndef MILLRACE_TCP_FAST_OPEN_H_
#define MILLRACE_TCP_FAST_OPEN_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "millrace/base/ip_address.h"
#include "millrace/base/siphash.h"
#include "millrace/base/time.h"
#include "millrace/tcp/connection.h"
#include "millrace/tcp/half_open.h"

namespace millrace::tcp {

inline constexpr size_t kFastOpenCookieBytes = 8;  // of ours; RFC 7413 4.1.1 allows 4 to 16
using FastOpenCookie = std::array<std::byte, kFastOpenCookieBytes>;

// `addresses` names the pair of addresses, ours first (stack/flow_key.h).
FastOpenCookie MakeFastOpenCookie(SipKey key, uint64_t addresses, Instant now);
[[nodiscard]] bool CheckFastOpenCookie(SipKey key, uint64_t addresses, Instant now,
                                       std::span<const std::byte> cookie);

// The cookie of servers that share a key (6.3.4), as Linux makes it: SipHash-2-4 over the client's
// address and the server's, as they are in packets. It is good until the key is changed.
FastOpenCookie MakeSharedFastOpenCookie(SipKey key, const IpAddress& client,
                                        const IpAddress& server);

// Server: makes `tcb` of a SYN with a good cookie, takes its data and leaves the SYN-ACK due. False
// when there is no record for it (tcp/extra.h) or too many are pending: `tcb` is not usable then.
[[nodiscard]] bool AcceptFastOpen(Tcb& tcb, const HalfOpen& half_open, const wire::Segment& syn,
                                  Env& env, PayloadFate* fate);

// Client: the SYN of `tcb`, which is in SYN-SENT and has not sent it, asks for a cookie (empty) or
// carries this one, with data up to `peer_mss` less options. Nullopt: data without any cookie.
void UseFastOpen(Tcb& tcb, std::optional<std::span<const std::byte>> cookie, uint16_t peer_mss,
                 Env& env);

// Octets of data beside the options of a SYN, to a peer with this MSS.
uint32_t FastOpenRoom(uint16_t mss);

// For output: adds the option and the data to a SYN. REQUIRES: kFastOpen, SYN-SENT.
void AddFastOpen(Tcb& tcb, TxSegment& syn, Env& env);

// For input: the handshake is complete. `events` are those from before it. REQUIRES: kFastOpen.
void SettleFastOpen(Tcb& tcb, const wire::Segment& segment, uint8_t events, Env& env);

}  // namespace millrace::tcp

#endif  // MILLRACE_TCP_FAST_OPEN_H_

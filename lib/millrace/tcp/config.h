// tcp/config.h - every constant of the protocol, with its unit, its reason and its source.
//
// Fixed when an engine starts; the same for all of its connections unless a connection says
// otherwise (no_delay). Departures from an RFC are said here and in lib/ARCHITECTURE.md.
#ifndef MILLRACE_TCP_CONFIG_H_
#define MILLRACE_TCP_CONFIG_H_

#include <cstdint>

#include "millrace/base/time.h"

namespace millrace::tcp {

// When a SYN is answered by a cookie instead of being remembered (tcp/syn_cookie.h).
enum class SynCookies : uint8_t {
  kNever,     // a SYN beyond the backlog is dropped
  kWhenFull,  // beyond the backlog, or beyond the listener's share of the half-open pool
  kAlways,    // no half-open connections at all
};

// How long silence is borne (tcp/liveness.h); per connection, the default is Config::liveness.
struct Liveness {
  bool keepalive = false;                                 // RFC 9293 3.8.4 (MUST-24, MUST-25)
  Duration keepalive_idle = Duration::Seconds(2 * 3600);  // (MUST-28): no less than two hours
  Duration keepalive_interval = Duration::Seconds(75);    // between unanswered probes, as Linux
  uint8_t keepalive_probes = 9;
  // How long octets may wait for their acknowledgment, also under a closed window, in any state
  // (RFC 9293 3.9.1, RFC 5482). 0: Config::r2, and for ever while probes are answered.
  Duration user_timeout;
  bool adopt_user_timeout = false;  // take it from the peer's option, within bounds
  // CLOSE-WAIT of an application that does not close ends in a reset. 0: never.
  Duration close_wait;

  bool Any() const {
    return keepalive || user_timeout > Duration() || adopt_user_timeout || close_wait > Duration();
  }
};

// How the congestion window is governed (tcp/congestion_control.h).
enum class CongestionKind : uint8_t {
  kCubic,    // RFC 9438 with HyStart++ (RFC 9406)
  kNewReno,  // RFC 5681
  kDctcp,    // RFC 8257; where ECN is not negotiated it is NewReno
  kNone,     // a fixed window, for links that are one's own alone
  kBbr,      // draft-ietf-ccwg-bbr (version 3); NewReno for a peer without SACK
};

inline constexpr int kCongestionKinds = 5;

// Explicit congestion notification (RFC 3168, 8311).
enum class Ecn : uint8_t {
  kOff,
  kPassive,  // when the peer asks for it, as Linux
  kActive,   // asked for in our SYNs too
};
inline constexpr int kEcnModes = 3;

struct Config {
  // Octets of TCP payload that the local link carries without options: MTU - 40. Sent as our MSS.
  uint16_t mss = 1460;
  // Below this a peer's MSS is taken as this: a peer that asks for 8-octet segments asks for our
  // CPU (CVE-2019-11479). FreeBSD's TCP_MINMSS.
  uint16_t mss_min = 216;
  // RFC 9293 3.7.1 (MUST-15): default send MSS of a peer that names none, IPv4.
  uint16_t mss_default = 536;

  bool timestamps = true;      // offer and accept RFC 7323 timestamps
  bool window_scaling = true;  // offer and accept RFC 7323 window scaling
  bool sack_permitted = true;  // offer and accept the option (RFC 2018)
  bool dsack = true;           // report duplicates to a peer with SACK (RFC 2883)

  // Receive buffer of a connection: the largest window that is advertised. Packet memory is held
  // only for data that the application has not consumed.
  uint32_t receive_buffer_bytes = 256 * 1024;
  // Up to which the receive buffer grows when the application takes more than half of it per round
  // trip (tcp/receive_tuning.h), and the sum of that growth over all connections of a core.
  uint32_t receive_buffer_max_bytes = 4 * 1024 * 1024;
  uint64_t receive_tuning_bytes_max = 64 * 1024 * 1024;
  // Packets that a connection may hold, in order and out of order together: a window filled with
  // 1-octet segments would pin a 2 KiB packet for each octet. What comes in order beyond it is
  // copied together (Limits::receive_chunks).
  uint16_t receive_packets_max = 256;
  // Of those, out of order: FreeBSD's maxqueuelen (SegmentSmack, CVE-2018-5390).
  uint16_t reassembly_packets_max = 100;
  // Runs of sent and unacknowledged octets that are told apart per connection (tcp/scoreboard.h).
  uint16_t sent_runs_max = 1024;
  // RFC 8985; false: losses are found by RFC 6675's count of SACKed octets, and no probe is sent.
  bool rack = true;
  // Also for a single segment in flight: its probe takes the place of the first time-out, as Linux
  // has it; the window is not cut to one segment then. False: it has the time-out alone.
  bool probe_single_segments = false;
  // Nagle as Minshall has it: the end of a long write waits only for a small segment in flight, not
  // for full ones. Told from what is in flight: a multiple of the MSS has no small segment.
  bool nagle_minshall = false;
  // RFC 8985 7.2, TLP.max_ack_delay: how long a peer may hold back the ACK of a single segment.
  Duration max_ack_delay = Duration::Milliseconds(200);
  // Copied octets that Send accepts before it returns short; static octets cost only an extent.
  uint32_t send_buffer_bytes = 256 * 1024;

  // When the core's send memory is used up, a cut-short Send is told to try again after this.
  Duration send_memory_retry = Duration::Milliseconds(5);

  // RFC 6298 2.1 says 1 s until there is a sample.
  Duration rto_initial = Duration::Seconds(1);
  // RFC 6298 5.7: the time-out of data while there is no sample because the SYN was lost.
  Duration rto_after_syn_loss = Duration::Seconds(3);
  // Departs from RFC 6298 2.4 (SHOULD 1 s): 200 ms, as Linux. ARCHITECTURE.md, "RTO floor".
  Duration rto_min = Duration::Milliseconds(200);
  // RFC 6298 2.3, G of max(G, K*RTTVAR): Linux has 200 ms here, so that its RTO stays 200 ms above
  // a steady round trip; then rto_min is always met.
  Duration rto_granularity;
  Duration rto_max = Duration::Seconds(60);  // RFC 6298 2.5: at least 60 s
  // Active open: 1+2+4+8+16+32+60+60 = 183 s before ETIMEDOUT. RFC 9293 3.8.3 (MUST-23): R2 of a
  // SYN is at least 3 minutes.
  uint8_t syn_retransmits_max = 7;      // at most 31
  uint8_t syn_ack_retransmits_max = 5;  // passive open, as Linux: 1+2+4+8+16+32 = 63 s; 15 at most
  SynCookies syn_cookies = SynCookies::kWhenFull;
  // TCP Fast Open (RFC 7413), both off by default. A server must bear that a SYN with data is
  // delivered twice (RFC 7413 6.1). Cookies are an engine's own: several workers of one server need
  // the same keys (Engine::SetFastOpenKeys), because a client's next connection has another port.
  bool fast_open_server = false;
  bool fast_open_client = false;
  // RFC 7413 7.3: data on SYNs without cookies, for networks where nobody forges addresses.
  bool fast_open_server_cookieless = false;  // taken from everybody
  bool fast_open_client_cookieless = false;  // sent to everybody
  // For how long a destination whose SYN-ACK came only for a bare SYN gets no other (RFC 7413
  // 4.1.3.1); 0: the next SYN tries again, as with Linux after one loss.
  Duration fast_open_blocked = Duration::Seconds(3600);
  uint32_t fast_open_pending_max = 256;  // PendingFastOpenRequests of a core (RFC 7413 5.1)
  uint8_t r1_retransmits = 3;            // RFC 9293 3.8.3 (SHLD-10); at most 7
  Duration r2 = Duration::Seconds(120);  // RFC 9293 3.8.3 (SHLD-11): at least 100 s

  Liveness liveness;
  // Bounds of what a peer may set by RFC 5482 (3.1: L_LIMIT at least R2's 100 s, and U_LIMIT).
  Duration user_timeout_min = Duration::Seconds(100);
  Duration user_timeout_max = Duration::Seconds(600);

  // Path MTU black holes (RFC 4821): after so many time-outs in a row of a full-size segment it is
  // sent again with black_hole_mss octets (IPv6's least MTU, 1280), after twice as many with the
  // least (IPv4's 552, as Linux). 0: never. Linux probes after 3 (tcp_retries1), when asked to.
  uint8_t black_hole_timeouts = 3;  // at most 3
  uint16_t black_hole_mss = 1220, black_hole_mss_least = 512;

  // RFC 9293 3.8.6.3 (MUST-40): less than 0.5 s; 40 ms as Linux.
  Duration delayed_ack = Duration::Milliseconds(40);
  // While the peer has sent no more than this, every segment is acknowledged at once, as Linux does
  // for the peer's slow start; 0: from the first octet on ACKs are delayed.
  uint32_t quick_ack_bytes = 0;
  // Data after a full close is answered by the RST of RFC 9293 3.5.2, made from the segment, as
  // Linux does. False: by that of an ABORT, behind all that was sent, which the peer believes when
  // it has received that.
  bool reset_from_segment = false;
  // Zero-window probes are an empty, old segment, as Linux and keepalive have them, and not an
  // octet that the peer has no room for.
  bool empty_window_probes = false;
  // PSH also on the last of each burst of two segments and more that leave together, as a device
  // that segments for Linux has it; it tells the receiver's stack to pass on what it has. A burst
  // is as long as tcp_tso_autosize of Linux makes it, at least this; 0: no such PSH.
  uint8_t push_burst_segments = 0;
  // One challenge ACK (RFC 5961) or answer to an unacceptable segment without data per this time
  // and connection; never a limit shared by connections (CVE-2016-5696).
  Duration challenge_ack_interval = Duration::Milliseconds(500);

  // TIME-WAIT. Departs from RFC 9293 3.4.2 (MSL of 2 minutes, so 4 minutes here), as Linux does.
  // 1 s to 4 minutes.
  Duration time_wait = Duration::Seconds(60);
  // RFC 1337: a RST does not end TIME-WAIT. true follows RFC 9293's letter instead.
  bool time_wait_honours_rst = false;
  // An opening of ours may end a TIME-WAIT of a second and more, when both sides had timestamps.
  bool time_wait_reuse = true;
  // FIN-WAIT-2 of a connection that the application has closed altogether, as Linux.
  Duration fin_wait_2_orphan = Duration::Seconds(60);

  Ecn ecn = Ecn::kPassive;
  CongestionKind congestion = CongestionKind::kCubic;
  uint8_t initial_window_segments = 10;  // RFC 6928
  // Slow start grows by all that an ACK covers, as Linux does, and not by at most L segments (RFC
  // 3465 2.2: 2; RFC 9406 4.2: 8 without pacing).
  bool slow_start_whole_acks = false;
  // Losses cut the window, as Linux has it, and not what was in flight (RFC 5681 equation 4): an
  // application that sends less than it may is not set back further for that (RFC 9438 4.6 allows
  // both).
  bool threshold_from_window = false;
  // RFC 5681 4.1: back to the initial window after idling for longer than the RTO.
  bool restart_after_idle = true;
  uint32_t congestion_window_max_bytes = 1u << 30;
  uint32_t fixed_window_bytes = 1u << 20;  // of CongestionKind::kNone
  // Spreads a window over the round trip: less bursty, more work. Needs round trips longer than a
  // tick (tcp/timers.h).
  bool pacing = false;
};

}  // namespace millrace::tcp

#endif  // MILLRACE_TCP_CONFIG_H_

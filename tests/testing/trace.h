// testing/trace.h - one engine against a scripted peer: tests that read like packet traces.
//
// The engine under test (10.0.0.1) is the shipped Stack over a SimPort, in virtual time. The peer
// (10.0.0.2) is the test itself: it sends segments with Receives and checks what comes back with
// Sent. Sequence numbers are relative, as tcpdump prints them: `seq` counts from the sender's ISN,
// `ack` from the other side's, so a SYN has seq 0 and the first octet of data seq 1.
//
// The same tests run over both families: the program trace-v6 is linked with a fixture whose
// options say v6. An IPv4 address that a test names stands for an IPv6 one of its kind (AddressOf),
// and the link carries 20 octets more, so that an MSS means the same.
#ifndef MILLRACE_TESTING_TRACE_H_
#define MILLRACE_TESTING_TRACE_H_

#include <gmock/gmock.h>

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "millrace/base/time.h"
#include "millrace/sim/sim_port.h"
#include "millrace/stack/stack.h"
#include "millrace/wire/ipv4.h"
#include "millrace/wire/segment.h"

namespace millrace::testing {

using wire::kAck;
using wire::kCwr;
using wire::kEce;
using wire::kFin;
using wire::kPsh;
using wire::kRst;
using wire::kSyn;
using wire::kUrg;

// Octets [left, right), relative.
struct SackRange {
  uint32_t left = 0, right = 0;
  bool operator==(const SackRange&) const = default;
};

// A segment as the trace writes it. What is not given is not sent, and not compared.
struct Seg {
  int flags = 0;
  uint32_t seq = 0;
  uint32_t ack = 0;
  std::string data;
  std::optional<uint16_t> window;  // as on the wire; Receives sends 65535 by default
  std::optional<uint16_t> mss;
  std::optional<uint8_t> window_scale;
  bool sack_permitted = false;
  std::optional<uint32_t> tsval, tsecr;  // both or none
  uint16_t urgent = 0;
  std::vector<SackRange> sack = {};   // relative to the data sender's ISN
  std::optional<uint8_t> ecn;         // field of the IP header; Receives sends 0 by default
  std::optional<std::string> cookie;  // Fast Open; empty: a request
  bool cookie_experiment = false;     // in the form of the experiment, kind 254
};
std::ostream& operator<<(std::ostream& out, const Seg& seg);

// N octets that differ from their neighbours: data for tests of order.
std::string Octets(size_t count, size_t from = 0);

struct TraceOptions {
  stack::EngineConfig config;
  uint32_t peer_isn = 1'000'000;
  uint16_t local_port = 80, peer_port = 40'000;
  stack::PortCapabilities capabilities;
  bool v6;                             // as the program is
  uint8_t v6_detection_transmits = 0;  // addresses are ready at once
  bool v6_group_reports = false;
  TraceOptions();
};

// For tests of the arithmetic of RFC 5681.
TraceOptions NewReno();

// The application under test does what the test says and writes down what it is told:
// "open", "data abc", "fin", "writable", "close normal".
class ScriptedApp {
 public:
  void OnOpen(stack::Socket socket);
  size_t OnReceive(stack::Socket socket, std::span<const std::byte> data);
  void OnPeerClosed(stack::Socket socket);
  void OnWritable(stack::Socket socket);
  void OnClose(stack::Socket, tcp::CloseReason reason);
  void OnPoll(stack::Engine&, Instant);
  void OnUrgent(stack::Socket s) {
    if (in_urgent) in_urgent(s);
  }

  std::vector<std::string> log;
  std::string received;
  bool reading = true;            // false: OnReceive consumes nothing
  size_t read_budget = SIZE_MAX;  // octets that OnReceive still consumes
  bool log_data = true;
  bool close_on_data = false;  // Close in OnReceive
  std::string reply_on_data;   // Send in OnReceive
  // Called last in the call of that name; for tests of what an application may do in there.
  std::function<void(stack::Socket)> in_open, in_receive, in_peer_closed, in_writable, in_close,
      in_urgent;
  std::function<void()> in_poll;
  stack::Socket socket;  // the connection opened last
};

class Trace {
 public:
  explicit Trace(const TraceOptions& options = {});

  // Opening. Listen is a passive open on local_port; Connect an active one to peer_port.
  void Listen(uint32_t backlog = 16);
  void Connect();
  // The whole three-way handshake, with the peer as the one who opens, or the one who is opened.
  // Options of the peer's SYN come from `syn` (flags, seq and ack are set here).
  void AcceptFromPeer(Seg syn = {});
  void ConnectToPeer(Seg syn_ack = {});

  // Accepts from the peer and goes on to a synchronized state by the shortest way. What was sent is
  // forgotten. Returns the sequence variables, relative: a bare ACK in place is
  // {kAck, rcv_nxt, snd_una} and changes nothing.
  struct Place {
    uint32_t rcv_nxt, snd_una, snd_nxt;
  };
  Place Reach(tcp::State target, Seg syn = {});
  // Before opening: waits until the next ISN of this tuple is about `distance` below 2^32.
  void AwaitIsnBelowWrap(uint32_t distance);

  // The peer sends one segment, or several that arrive in one burst; the engine polls.
  void Receives(const Seg& seg) { ReceivesBurst({seg}); }
  void ReceivesBurst(const std::vector<Seg>& segs);
  // A segment from other ports or addresses than the connection's.
  void ReceivesFrom(uint32_t address_v4, uint16_t port, uint16_t local_port, const Seg& seg);
  // A raw Ethernet frame.
  void ReceivesFrame(std::vector<std::byte> frame);

  // The oldest segment that the engine sent and nobody has looked at; nullopt when there is none.
  std::optional<Seg> Sent();
  std::vector<Seg> AllSent();
  void ForgetSent() { sent_.clear(); }
  bool SentNothing() const { return sent_.empty(); }

  // Lets time pass; the engine is polled at every deadline and at least every millisecond.
  void Advance(Duration duration);
  void Poll();
  Instant now() const { return now_; }

  // The application.
  ScriptedApp& app() { return app_; }
  void Send(const std::string& data);
  void Shutdown();
  void Close();
  void Abort();
  std::vector<std::string> TakeLog();
  tcp::State state() const { return app_.socket.state(); }
  // State of the flow in whatever pool it is: SYN-RECEIVED and TIME-WAIT too; CLOSED for none.
  tcp::State FlowState();
  tcp::Tcb* tcb();  // null when there is no connection block

  stack::Engine& engine() { return stack_->engine(); }
  const tcp::Counters& counters() { return engine().tcp_counters(); }
  sim::SimPort& port() { return port_; }
  SeqNum host_isn() const { return host_isn_; }
  // The next SYN of the engine begins a new connection: its ISN is taken from there.
  void ForgetIsn() { host_isn_known_ = false; }
  const TraceOptions& options() const { return options_; }
  stack::FlowKey key() const;
  bool v6() const { return options_.v6; }
  // What an IPv4 address of a trace stands for: itself, or over IPv6 the one with the same last 32
  // bits in 2001:db8::/64; unspecified, loopback and group addresses become such.
  IpAddress AddressOf(uint32_t v4) const;
  // Nothing is held any more: pools full, no packet out, table empty.
  void ExpectNothingHeld();

  static constexpr uint64_t kPrefixV6 = 0x2001'0DB8'0000'0000;
  static constexpr uint32_t kHostAddress = 0x0A00'0001, kPeerAddress = 0x0A00'0002;
  static constexpr MacAddress kHostMac{{2, 0, 0, 0, 0, 1}}, kPeerMac{{2, 0, 0, 0, 0, 2}};

  // The frame of a segment from the peer, for tests that change it.
  std::vector<std::byte> FrameOf(const Seg& seg, uint32_t address_v4 = kPeerAddress,
                                 uint16_t port = 0, uint16_t local_port = 0,
                                 uint32_t destination_v4 = kHostAddress) const;
  // Where TCP begins in such a frame; and its checksum made right again.
  size_t TcpAt() const;
  void FixTcpChecksum(std::vector<std::byte>& frame) const;
  // What an ICMP error quotes of our segment at `seq`: its IP header and 8 octets.
  std::vector<std::byte> QuotedSegment(uint32_t seq) const;
  // The frame of an IP packet of the peer's.
  std::vector<std::byte> PacketOf(uint8_t protocol, const std::vector<std::byte>& content) const;
  // Frames that are not TCP (ARP, ICMP), in order.
  std::vector<std::vector<std::byte>> other_frames;

 private:
  void OnFrame(sim::Frame frame);
  // Ethernet and IP headers for `tcp_length` octets, which the result has room for.
  std::vector<std::byte> Headers(uint32_t source_v4, uint32_t destination_v4, uint16_t tcp_length,
                                 uint8_t protocol = wire::kIpProtocolTcp, uint8_t ecn = 0) const;
  uint16_t ChecksumOf(uint32_t source_v4, uint32_t destination_v4, const std::byte* tcp,
                      uint16_t tcp_length) const;

  TraceOptions options_;
  Instant now_ = Instant::FromNanoseconds(int64_t{1000} * 1'000'000'000);
  sim::SimPort port_;
  ScriptedApp app_;
  std::unique_ptr<stack::Stack<sim::SimPort, ScriptedApp>> stack_;
  std::deque<Seg> sent_;
  SeqNum host_isn_;
  bool host_isn_known_ = false;
};

// ESTABLISHED to LAST-ACK: what Reach goes to and a connection block has.
inline constexpr tcp::State kSynchronizedStates[] = {
    tcp::State::kEstablished, tcp::State::kFinWait1, tcp::State::kFinWait2,
    tcp::State::kCloseWait,   tcp::State::kClosing,  tcp::State::kLastAck};

// Compares flags (PSH aside unless expected), seq, ack (with ACK), data, and what else is given.
::testing::Matcher<const Seg&> SegmentIs(const Seg& expected);
// The same for optional<Seg>, as Sent() returns.
::testing::Matcher<const std::optional<Seg>&> IsSegment(const Seg& expected);

}  // namespace millrace::testing

#endif  // MILLRACE_TESTING_TRACE_H_

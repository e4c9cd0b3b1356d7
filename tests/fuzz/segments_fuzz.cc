// fuzz/segments_fuzz.cc - any sequence of segments, frames, commands and time against one engine.
//
// Input: two octets choose the host, then steps, each an octet of what and its operands. Sequence
// and acknowledgment numbers are chosen relative to the connection's own variables, so that a few
// octets reach the edges that matter; checksums are right unless a step says otherwise.
#include <algorithm>
#include <vector>

#include "fuzz/fuzz_host.h"
#include "fuzz/fuzz_input.h"
#include "millrace/base/endian.h"
#include "millrace/wire/icmp.h"
#include "millrace/wire/icmpv6.h"
#include "millrace/wire/tcp_header.h"

namespace millrace::fuzz {
namespace {

// Ports of the connections that an input can talk about: two of the listener, two of our own. One
// has a peer whose neighbour entry comes and goes.
struct Ports {
  uint16_t local, remote;
  uint32_t peer = kPeerAddress;
};
constexpr Ports kFlows[] = {
    {kListenPort, 40'000}, {kListenPort, 40'001, kPeerAddress + 1}, {5000, 7000}, {5001, 7000}};

// Sequence variables of a flow, whatever record it is in.
struct Variables {
  SeqNum rcv_nxt, rcv_edge, snd_una, snd_nxt, iss, irs;
  uint32_t ts_recent = 0;
};

class Session {
 public:
  Session(FuzzHost& host, Input& input) : host_(host), in_(input) {}

  // Does the next step.
  void Step();

 private:
  Variables Look(const Ports& ports);
  SeqNum Near(SeqNum base);
  Bytes Segment();
  Bytes SegmentOf(const Ports& ports, wire::Flags flags, SeqNum seq, SeqNum ack, uint16_t window,
                  const Bytes& options, size_t length);
  Bytes Options(const Variables& v, wire::Flags flags);
  Bytes Icmp();
  // Goes the whole way of a handshake, so that inputs need not find it.
  void Open(const Ports& ports);

  FuzzHost& host_;
  Input& in_;
};

Variables Session::Look(const Ports& ports) {
  const stack::FlowKey key = KeyOf(host_.engine(), ports.local, ports.peer, ports.remote);
  const stack::FlowRef ref = host_.engine().FindFlowForTest(key);
  Variables v;
  v.irs = SeqNum(0xFFFF'FFF0u);  // of the peer, as long as there is nothing: the wrap is near
  switch (ref.kind()) {
    case stack::FlowKind::kConnection: {
      const tcp::Tcb& t = host_.engine().connections()[ref.index()].tcb;
      return {t.rcv_nxt,  t.rcv_adv, t.snd_una,
              t.snd_nxt,  t.iss,     t.state == tcp::State::kSynSent ? v.irs : t.irs,
              t.ts_recent};
    }
    case stack::FlowKind::kHalfOpen: {
      const tcp::HalfOpen& h = host_.engine().half_opens()[ref.index()].tcp;
      return {h.irs + 1, h.irs + 65536, h.iss, h.iss + 1, h.iss, h.irs, h.ts_recent};
    }
    case stack::FlowKind::kTimeWait: {
      const tcp::TimeWait& t = host_.engine().time_waits()[ref.index()].tcp;
      return {t.rcv_nxt,     t.rcv_nxt + 65535, t.snd_nxt,  t.snd_nxt,
              t.snd_nxt - 1, t.rcv_nxt - 2,     t.ts_recent};
    }
    case stack::FlowKind::kNone:
      break;
  }
  v.rcv_nxt = v.irs;
  return v;
}

SeqNum Session::Near(SeqNum base) {
  constexpr uint32_t kDistances[] = {0,     1,          0u - 1,      2,          0u - 2,    10,
                                     100,   0u - 100,   536,         1460,       0u - 1460, 4000,
                                     65535, 0u - 65535, 0x7FFF'FFFF, 0x8000'0000};
  return base + kDistances[in_.Octet() & 15];
}

Bytes Session::Options(const Variables& v, wire::Flags flags) {
  Bytes out(40);
  const uint8_t choice = in_.Octet();
  if (choice >= 0xF0) {
    const ExactBytes raw = in_.Take(choice & 15);
    out.assign(raw.data.get(), raw.data.get() + raw.length);
    out.resize((out.size() + 3) & ~size_t{3});
    return out;
  }
  wire::TcpOptionValues o;
  constexpr uint32_t kAges[] = {0, 1, 1000, 0u - 1, 0u - 1000, 0x8000'0000, 0x7FFF'FFFF, 5};
  if ((choice & 1) != 0) o.present |= wire::kTimestampsOption;
  o.tsval = v.ts_recent + kAges[choice >> 1 & 7];
  o.tsecr = choice;
  if ((flags & wire::kSyn) != 0) {
    constexpr uint16_t kSizes[] = {1460, 536, 1, 0, 65535, 216, 1461, 100};
    if ((choice & 0x10) != 0) o.present |= wire::kMssOption;
    if ((choice & 0x20) != 0) o.present |= wire::kWindowScaleOption;
    if ((choice & 0x40) != 0) o.present |= wire::kSackPermittedOption;
    const uint8_t more = in_.Octet();
    o.mss = kSizes[more & 7];
    o.window_scale = static_cast<uint8_t>(more >> 4);
  }
  out.resize(wire::EmitTcpOptions(out.data(), o));
  return out;
}

Bytes Session::SegmentOf(const Ports& ports, wire::Flags flags, SeqNum seq, SeqNum ack,
                         uint16_t window, const Bytes& options, size_t length) {
  Bytes tcp(20 + options.size() + length);
  wire::EmitTcp(tcp.data(), {.source_port = ports.remote,
                             .destination_port = ports.local,
                             .seq = seq,
                             .ack = ack,
                             .flags = flags,
                             .window = window});
  std::copy(options.begin(), options.end(), tcp.begin() + 20);
  StoreU8(&tcp[wire::kTcpDataOffsetAt], static_cast<uint8_t>((20 + options.size()) << 2));
  for (size_t i = 0; i < length; ++i) tcp[tcp.size() - length + i] = std::byte(i);
  Bytes frame = IpFrame(wire::kIpProtocolTcp, tcp, ports.peer);
  SetTcpChecksum(frame);
  return frame;
}

Bytes Session::Segment() {
  using wire::kAck, wire::kFin, wire::kPsh, wire::kRst, wire::kSyn;
  constexpr wire::Flags kUsual[] = {kAck,        kAck | kPsh, kAck | kFin, kSyn,
                                    kSyn | kAck, kRst,        kRst | kAck, kFin | kAck | kPsh};
  const uint8_t head = in_.Octet();
  const Ports& ports = kFlows[head & 3];
  const wire::Flags flags = (head & 0x80) != 0 ? in_.Octet() : kUsual[head >> 2 & 7];
  const Variables v = Look(ports);
  const uint8_t where = in_.Octet();
  const SeqNum left = v.rcv_nxt - 1;
  const SeqNum seq_bases[] = {v.rcv_nxt, v.rcv_edge, v.irs, left};
  const SeqNum ack_bases[] = {v.snd_nxt, v.snd_una, v.iss, v.iss + 1};
  // Most of the time a number is exactly its base.
  SeqNum seq = seq_bases[where & 3], ack = ack_bases[where >> 2 & 3];
  if ((where & 0x10) != 0) seq = Near(seq);
  if ((where & 0x20) != 0) ack = Near(ack);
  constexpr uint16_t kWindows[] = {65535, 0, 1, 100, 1460, 5000, 32768, 3};
  constexpr uint16_t kLengths[] = {0, 1, 2, 10, 100, 536, 1448, 1460};
  const uint8_t sizes = (where & 0x40) != 0 ? in_.Octet() : 0;
  const Bytes options = Options(v, flags);
  const size_t length =
      std::min<size_t>(kLengths[sizes >> 4 & 7], 1514 - kTcpAt - 20 - options.size());
  Bytes frame = SegmentOf(ports, flags, seq, ack, kWindows[sizes & 7], options, length);
  if ((where & 0x80) != 0) {
    // One octet of the frame becomes something else; the checksum follows, or not.
    const size_t at = 14 + in_.Octet() % (frame.size() - 14);
    frame[at] = static_cast<std::byte>(in_.Octet());
    if (at >= kTcpAt && (sizes & 0x08) == 0) SetTcpChecksum(frame);
  }
  return frame;
}

Bytes Session::Icmp() {
  const uint8_t type = in_.Octet(), code = in_.Octet();
  constexpr uint8_t kUnreachable = kV6 ? wire::kIcmpV6Unreachable : wire::kIcmpUnreachable;
  Bytes quoted = host_.last_sent();
  if ((code & 0x80) != 0) quoted.resize(in_.Octet());
  return IcmpFrame(type >= 0x80 ? kUnreachable : type & 0x0F, code & 15, quoted);
}

void Session::Open(const Ports& ports) {
  const uint8_t choice = in_.Octet();
  const wire::Flags first = ports.local == kListenPort ? wire::kSyn : wire::kSyn | wire::kAck;
  if (ports.local != kListenPort) host_.Connect(ports.local, ports.remote);
  Variables v = Look(ports);
  Bytes options(40);
  wire::TcpOptionValues o{.mss = 1460, .window_scale = 2, .tsval = 100};
  o.present = static_cast<wire::OptionBits>(wire::kMssOption |
                                            ((choice & 1) != 0 ? wire::kTimestampsOption : 0) |
                                            ((choice & 2) != 0 ? wire::kWindowScaleOption : 0) |
                                            ((choice & 4) != 0 ? wire::kSackPermittedOption : 0));
  options.resize(wire::EmitTcpOptions(options.data(), o));
  const uint16_t window = (choice & 8) != 0 ? 0 : 60'000;
  host_.Receive({SegmentOf(ports, first, v.irs, v.snd_nxt, window, options, 0)});
  if (ports.local != kListenPort) return;
  v = Look(ports);
  o.present &= wire::kTimestampsOption;
  options.resize(40);
  options.resize(wire::EmitTcpOptions(options.data(), o));
  const size_t length = (choice & 16) != 0 ? 100 : 0;
  host_.Receive({SegmentOf(ports, wire::kAck, v.rcv_nxt, v.snd_nxt, window, options, length)});
}

void Session::Step() {
  constexpr int64_t kMilliseconds[] = {0, 1, 5, 40, 200, 1000, 10'000, 100'000};
  const uint8_t what = in_.Octet();
  const int detail = what >> 4;
  switch (what & 15) {
    case 0:
    case 1:
    case 2:
    case 3:
      return host_.Receive({Segment()});
    case 4: {
      std::vector<Bytes> burst;
      for (int i = 0; i <= detail && !in_.empty(); ++i) burst.push_back(Segment());
      return host_.Receive(burst);
    }
    case 5:
    case 6:
      return host_.Command(static_cast<Deed>(detail), in_.Octet(), 1);
    case 7:
      return host_.Advance(Duration::Milliseconds(kMilliseconds[detail & 7]));
    case 8:
      host_.app().deeds[in_.Octet() % FuzzApp::kCallbacks] = static_cast<Deed>(detail);
      return;
    case 9:
      host_.app().read_max = detail == 15 ? SIZE_MAX : static_cast<size_t>(detail) * 100;
      return;
    case 10:
      return host_.Receive({detail < 8 ? NeighborFrame(in_.Octet()) : Icmp()});
    case 11: {
      const ExactBytes raw = in_.Take(in_.Octet());
      return host_.Receive({Bytes(raw.data.get(), raw.data.get() + raw.length)});
    }
    case 12:
      return host_.port().SetFaults({.allocate_fail_every = static_cast<uint32_t>(detail & 3),
                                     .transmit_packets_max = static_cast<uint32_t>(detail >> 2)});
    case 13:
      return host_.Connect(kFlows[2 + (detail & 1)].local, kFlows[2].remote);
    default:
      return Open(kFlows[detail & 3]);
  }
}

HostOptions Choose(uint8_t a, uint8_t b) {
  HostOptions options = SmallHost();
  tcp::Config& tcp = options.config.tcp;
  tcp.timestamps = (a & 1) == 0;
  tcp.window_scaling = (a & 2) == 0;
  tcp.sack_permitted = (a & 4) == 0;
  options.static_neighbor = (a & 8) == 0;
  options.isn_near_wrap = (a & 16) != 0;
  options.offloads = (a & 32) != 0;
  if ((a & 64) != 0) tcp.receive_buffer_bytes = 200'000;
  if ((a & 128) != 0) tcp.time_wait_honours_rst = true;
  if ((b & 1) != 0) options.config.limits.time_wait = 0;
  if ((b & 2) != 0) options.config.limits.connections = 1;
  if ((b & 4) != 0) options.config.limits.send_chunks = 1;
  if ((b & 8) != 0) options.config.limits.receive_nodes = 2;
  return options;
}

}  // namespace
}  // namespace millrace::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr int kStepsMax = 60;
  millrace::fuzz::Input input(data, size);
  const uint8_t a = input.Octet(), b = input.Octet();
  millrace::fuzz::FuzzHost host(millrace::fuzz::Choose(a, b));
  millrace::fuzz::Session session(host, input);
  for (int i = 0; i < kStepsMax && !input.empty(); ++i) session.Step();
  return 0;
}

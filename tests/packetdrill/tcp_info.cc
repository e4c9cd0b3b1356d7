// tcp_info.cc - TCP_INFO in Linux's layout, counted in packets where Linux counts packets.

#include <linux/tcp.h>

#include <algorithm>
#include <cstring>

#include "millrace/tcp/recovery.h"
#include "packetdrill/posix.h"

namespace millrace::packetdrill {
namespace {

// Linux grows the structure; who asks gets zeros for what these headers do not know.
constexpr size_t kInfoBytesMax = 512;
constexpr uint32_t kInfiniteThreshold = 0x7FFF'FFFF;

// Numbers of enum tcp_state in Linux's net/tcp_states.h.
uint8_t LinuxState(tcp::State state) {
  switch (state) {
    case tcp::State::kEstablished:
      return 1;
    case tcp::State::kSynSent:
      return 2;
    case tcp::State::kSynReceived:
      return 3;
    case tcp::State::kFinWait1:
      return 4;
    case tcp::State::kFinWait2:
      return 5;
    case tcp::State::kTimeWait:
      return 6;
    case tcp::State::kClosed:
      return 7;
    case tcp::State::kCloseWait:
      return 8;
    case tcp::State::kLastAck:
      return 9;
    case tcp::State::kListen:
      return 10;
    case tcp::State::kClosing:
      return 11;
  }
  return 7;
}

uint32_t Packets(uint32_t octets, uint32_t mss) { return mss == 0 ? 0 : (octets + mss - 1) / mss; }

uint8_t CongestionState(const tcp::Tcb& tcb) {
  constexpr uint8_t kOpen = 0, kDisorder = 1, kRecovery = 3, kLoss = 4;
  if (tcb.Has(tcp::kTimeoutRecovery)) return kLoss;
  if (tcb.Has(tcp::kFastRecovery)) return kRecovery;
  return tcb.duplicate_acks > 0 ? kDisorder : kOpen;
}

void FillSending(const TcpSocket& socket, const tcp::Tcb& tcb, const tcp::Env& env,
                 tcp_info& info) {
  const uint32_t mss = tcb.snd_mss;
  info.tcpi_ca_state = CongestionState(tcb);
  info.tcpi_snd_cwnd = Packets(tcb.congestion.cwnd, mss);
  info.tcpi_snd_ssthresh = tcb.congestion.ssthresh >= (1u << 30)
                               ? kInfiniteThreshold
                               : Packets(tcb.congestion.ssthresh, mss);
  info.tcpi_unacked = Packets(tcb.flight(), mss);
  info.tcpi_reordering = tcp::Rack::kDupThresh;
  if (tcb.Has(tcp::kRecord)) {
    const tcp::Recovery& recovery = env.recovery_pool.records[tcb.recovery];
    info.tcpi_sacked = Packets(recovery.board.sacked_bytes(), mss);
    info.tcpi_retrans = Packets(recovery.board.retransmitted_bytes(), mss);
    info.tcpi_lost = Packets(recovery.board.lost_bytes(), mss);
    info.tcpi_reordering =
        std::max(tcp::Rack::kDupThresh, Packets(recovery.rack.reordering_bytes(), mss));
    if (recovery.rack.min_rtt().valid()) info.tcpi_min_rtt = recovery.rack.min_rtt().us();
  }
  if (tcb.snd_una > tcb.iss) {
    const uint32_t later = tcb.snd_una.Since(tcb.iss + 1 + socket.syn_octets);
    info.tcpi_delivered = 1 + Packets(later, mss) + info.tcpi_sacked;  // the SYN is one
  }
  info.tcpi_retransmits = tcb.timeouts;
  info.tcpi_backoff = tcb.backoff;
  info.tcpi_rtt = tcb.rtt.srtt_us();
  info.tcpi_rttvar = tcb.rtt.rttvar_us();
}

}  // namespace

std::vector<std::byte> Posix::TcpInfo(TcpSocket& socket) {
  tcp_info info{};
  const tcp::Tcb* tcb = machine_.Find(socket.socket);
  tcp::State state = tcp::State::kClosed;
  if (tcb != nullptr) state = tcb->state;
  if (socket.kind == TcpSocket::Kind::kListener) state = tcp::State::kListen;
  info.tcpi_state = LinuxState(state);
  info.tcpi_advmss = socket.options.mss != 0 ? socket.options.mss : settings_.Mss();
  if (tcb != nullptr) {
    if (tcb->Has(tcp::kTimestampsOn)) info.tcpi_options |= TCPI_OPT_TIMESTAMPS;
    if (tcb->Has(tcp::kSackOn)) info.tcpi_options |= TCPI_OPT_SACK;
    if (tcb->Has(tcp::kWindowScalingOn)) {
      info.tcpi_options |= TCPI_OPT_WSCALE;
      info.tcpi_snd_wscale = static_cast<uint8_t>(tcb->snd_window_shift()) & 0xF;
      info.tcpi_rcv_wscale = static_cast<uint8_t>(tcb->rcv_window_shift()) & 0xF;
    }
    info.tcpi_snd_mss = info.tcpi_rcv_mss = tcb->snd_mss;
    info.tcpi_pmtu = settings_.mtu;
    FillSending(socket, *tcb, machine_.engine().env(), info);
  }
  if (socket.syn_data) info.tcpi_options |= TCPI_OPT_SYN_DATA;
  info.tcpi_notsent_bytes = NotSent(socket);
  info.tcpi_last_data_recv = static_cast<uint32_t>((machine_.now() - socket.last_data).ms());
  SendTimes times = socket.times;
  times.Close(machine_.now());
  info.tcpi_busy_time = static_cast<uint64_t>(times.busy.us());
  info.tcpi_rwnd_limited = static_cast<uint64_t>(times.window.us());
  info.tcpi_sndbuf_limited = static_cast<uint64_t>(times.send_buffer.us());
  std::vector<std::byte> octets(kInfoBytesMax);
  std::memcpy(octets.data(), &info, sizeof info);
  return octets;
}

}  // namespace millrace::packetdrill

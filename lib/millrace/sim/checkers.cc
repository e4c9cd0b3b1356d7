#include "millrace/sim/checkers.h"

#include "millrace/tcp/connection.h"
#include "millrace/tcp/window.h"

namespace millrace::sim {
namespace {

using stack::Connection;
using tcp::State;
using tcp::StateBit;
using tcp::Tcb;
using tcp::Timer;

uint32_t WindowUnit(const Tcb& tcb) { return 1u << tcb.rcv_window_shift(); }

// Of a connection that has just sent: the right edge that the wire has is the one that it remembers
// (FLW-02). But for a SYN's, which is not scaled, and when rounding has taken all that it may.
bool IsEdgeOnTheWire(const Tcb& tcb) {
  if (tcb.rcv_adv.Since(tcb.last_ack_sent) % WindowUnit(tcb) == 0) return true;
  const int64_t beyond = tcb.rcv_adv - tcp::RoomEdge(tcb);
  return tcb.rcv_adv.Since(tcb.irs) <= 0x1'0000 ||
         beyond + WindowUnit(tcb) > int64_t{tcp::RoundingRoom(tcb)};
}

std::optional<std::string> CheckSequences(const Tcb& tcb) {
  if (!(tcb.snd_una <= tcb.rtx_nxt && tcb.rtx_nxt <= tcb.snd_nxt)) {
    return "snd_una <= rtx_nxt <= snd_nxt does not hold";
  }
  if (!tcp::IsSynchronized(tcb.state)) return std::nullopt;
  if (tcb.rcv_nxt > tcb.rcv_adv && !tcb.Has(tcp::kFinReceived)) return "rcv_nxt beyond rcv_adv";
  const SeqNum end = tcb.data_end() + (tcb.Has(tcp::kFinQueued) && !tcb.Has(tcp::kFinAcked));
  if (tcb.snd_nxt > end) return "snd_nxt beyond what the application gave";
  if (tcb.congestion.cwnd < tcb.snd_mss) return "cwnd below one segment";
  const uint32_t held_max = tcb.receive_buffer_bytes + tcp::RoundingRoom(tcb) + WindowUnit(tcb);
  if (tcb.receive.ready_bytes() > held_max) return "receive buffer overrun";
  return std::nullopt;
}

// RFC 9293 gives no state but LISTEN, ESTABLISHED, CLOSE-WAIT and an application's FIN-WAIT-2
// leave to last for ever without a timer; and whatever is in flight is timed.
std::optional<std::string> CheckTimers(const Tcb& tcb) {
  constexpr unsigned kTimed = StateBit(State::kSynSent) | StateBit(State::kSynReceived) |
                              StateBit(State::kFinWait1) | StateBit(State::kClosing) |
                              StateBit(State::kLastAck);
  const bool retransmit = tcb.timers.IsArmed(Timer::kRetransmit);
  if (tcp::IsIn(tcb.state, kTimed) && !retransmit) {
    return std::string("no retransmission timer in ") + ToString(tcb.state);
  }
  if (tcp::IsSynchronized(tcb.state) && !retransmit &&
      (tcb.snd_una != tcb.snd_nxt || tcb.send.size_bytes() > 0)) {
    return "data waits without a timer";
  }
  if (tcb.state == State::kFinWait2 && tcb.Has(tcp::kReceiveClosed) &&
      !tcb.timers.IsArmed(Timer::kLifetime)) {
    return "an orphan in FIN-WAIT-2 without a timer";
  }
  return std::nullopt;
}

// The scoreboard covers exactly what is outstanding, and its sums are those of its runs.
std::optional<std::string> CheckScoreboard(const Tcb& tcb, tcp::Env& env) {
  if (!tcb.Has(tcp::kRecord)) return std::nullopt;
  const tcp::Scoreboard& board = env.recovery_pool.records[tcb.recovery].board;
  if (board.empty()) return std::nullopt;
  tcp::SentRunPool& pool = env.recovery_pool.runs;
  if (board.begin(pool) != tcb.snd_una || board.end(pool) != tcb.snd_nxt) {
    return "the scoreboard does not cover what is outstanding";
  }
  uint32_t sacked = 0, unrepaired = 0, pipe = 0, runs = 0, sacked_runs = 0;
  SeqNum at = tcb.snd_una;
  bool gapless = true;
  board.ForEach(pool, [&](const tcp::SentRun& run) {
    gapless = gapless && run.begin == at && run.begin < run.end;
    at = run.end;
    ++runs;
    const bool lost = run.Has(tcp::kRunLost), again = run.Has(tcp::kRunRetransmitted);
    if (run.Has(tcp::kRunSacked)) {
      sacked += run.length();
      ++sacked_runs;
      return true;
    }
    if (lost && !again) unrepaired += run.length();
    pipe += (lost ? 0 : run.length()) + (again ? run.length() : 0);
    return true;
  });
  if (!gapless || runs != board.runs()) return "the scoreboard's chain is broken";
  if (sacked != board.sacked_bytes() || sacked_runs != board.sacked_runs() ||
      unrepaired != board.unrepaired_bytes() || pipe != board.Pipe(tcb.flight())) {
    return "the scoreboard's sums are wrong";
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::string> EngineChecker::CheckHistory(uint32_t index,
                                                       const Connection& connection) {
  const Tcb& tcb = connection.tcb;
  const SeqNum edge = tcb.snd_una + tcb.snd_wnd;
  const Seen now{connection.generation(),
                 tcp::IsSynchronized(tcb.state),
                 tcb.snd_una,
                 tcb.snd_nxt,
                 tcb.rcv_nxt,
                 tcb.rcv_adv,
                 tcb.last_ack_sent,
                 edge};
  auto [it, fresh] = seen_.try_emplace(index, now);
  Seen& seen = it->second;
  if (fresh || seen.generation != connection.generation() || !seen.synchronized) {
    seen = now;
    // Data of a Fast Open went out before the window was known, or as the SYN had it.
    seen.snd_edge = Max(edge, tcb.snd_nxt);
    return std::nullopt;
  }
  if (now.snd_una < seen.snd_una) return "snd_una went back";
  if (now.snd_nxt < seen.snd_nxt) return "snd_nxt went back";
  if (now.rcv_nxt < seen.rcv_nxt) return "rcv_nxt went back";
  if (now.rcv_adv < seen.rcv_adv) return "the advertised right edge moved left (FLW-02)";
  if (now.last_ack_sent != seen.last_ack_sent && !IsEdgeOnTheWire(tcb)) {
    return "the right edge on the wire is not the one that was advertised (FLW-02)";
  }
  const SeqNum furthest = Max(seen.snd_edge, edge);
  seen = now;
  seen.snd_edge = furthest;
  // One octet more is a zero-window probe, one more a FIN behind it.
  if (tcb.snd_nxt > furthest + 2) return "sent beyond the peer's window (FLW-01)";
  return std::nullopt;
}

std::optional<std::string> EngineChecker::CheckConnection(stack::Engine& engine,
                                                          const Connection& connection) {
  const Tcb& tcb = connection.tcb;
  if (connection.detached() || connection.listed != 0) return std::nullopt;
  if (tcp::IsOver(tcb)) return "a finished connection was not given back";
  if (auto wrong = CheckSequences(tcb)) return wrong;
  if (auto wrong = CheckTimers(tcb)) return wrong;
  if (auto wrong = CheckScoreboard(tcb, engine.env())) return wrong;
  if (tcb.timers.armed != 0) {
    if (!stack::IsScheduled(connection.timer)) return "armed, but not in the wheel";
    if (static_cast<int32_t>(connection.timer.tick - tcb.timers.Next()) > 0) {
      return "the wheel would pop the connection too late";
    }
  }
  return CheckHistory(engine.connections().IndexOf(connection), connection);
}

std::optional<std::string> EngineChecker::Check(stack::Engine& engine, uint32_t packets_live,
                                                size_t packets_waiting) {
  std::optional<std::string> wrong;
  uint32_t held = 0;  // packets, and chunks of copied octets
  engine.ForEachConnection([&](Connection& connection) {
    held += connection.tcb.receive.packets();
    if (wrong.has_value()) return;
    wrong = CheckConnection(engine, connection);
    if (wrong.has_value()) {
      wrong = std::string(ToString(connection.tcb.state)) + ": " + *wrong;
    }
  });
  if (wrong.has_value()) return wrong;
  if (held != engine.env().receive_pool.held()) return "received packets lost";
  held -= engine.env().receive_pool.chunks.used();
  if (packets_live != held + packets_waiting + engine.neighbors().held()) {
    return "packets lost: " + std::to_string(packets_live) + " out, " + std::to_string(held) +
           " held, " + std::to_string(packets_waiting) + " waiting";
  }
  const uint64_t records = uint64_t{engine.half_opens().used()} + engine.time_waits().used() +
                           engine.connections().used();
  if (engine.table().size() > records) return "flow table entries without a record";
  return std::nullopt;
}

std::optional<std::string> EngineChecker::CheckEmpty(stack::Engine& engine, uint32_t packets_live) {
  if (engine.connections().used() != 0) return "connections are left";
  if (engine.half_opens().used() != 0) return "half-open connections are left";
  if (engine.time_waits().used() != 0) return "TIME-WAITs are left";
  if (engine.table().size() != 0) return "flow table entries are left";
  if (engine.env().send_pool.extents.used() != 0) return "send extents are left";
  if (engine.env().send_pool.chunks.used() != 0) return "send chunks are left";
  if (engine.env().receive_pool.nodes.used() != 0) return "receive nodes are left";
  if (engine.env().receive_pool.held() != 0) return "received packets are left";
  if (engine.env().receive_pool.chunks.used() != 0) return "receive chunks are left";
  if (engine.env().extras.used() != 0) return "extra records are left";
  if (engine.env().fast_open_pending != 0) return "pending Fast Opens are left";
  if (engine.env().receive_tuned_bytes != 0) return "receive tuning is not balanced";
  if (engine.env().recovery_pool.records.used() != 0) return "recovery records are left";
  if (engine.env().recovery_pool.runs.used() != 0) return "runs of scoreboards are left";
  if (engine.neighbors().held() != 0) return "packets wait for a neighbour for ever";
  const stack::AddressPairs& pairs = engine.address_pairs();
  if (pairs.size() != pairs.idle()) return "address pairs are held";
  if (packets_live != 0) return "packets are left";
  return std::nullopt;
}

}  // namespace millrace::sim

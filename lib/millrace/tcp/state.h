// tcp/state.h - the eleven states of RFC 9293 section 3.3.2 and the transitions between them.
//
// A connection changes state only through Transition (tcp/tcb.h), which checks this table.
// tests/golden/tcp_states.dot is the drawing of it.
#ifndef MILLRACE_TCP_STATE_H_
#define MILLRACE_TCP_STATE_H_

#include <cstdint>
#include <string>

namespace millrace::tcp {

enum class State : uint8_t {
  kClosed,
  kListen,
  kSynSent,
  kSynReceived,
  kEstablished,
  kFinWait1,
  kFinWait2,
  kCloseWait,
  kClosing,
  kLastAck,
  kTimeWait,
};
inline constexpr int kStateCount = 11;

const char* ToString(State state);  // the RFC's spelling: "SYN-RECEIVED"

constexpr uint16_t StateBit(State s) { return static_cast<uint16_t>(1u << static_cast<int>(s)); }

// True when `state` is one of those in `bits` (StateBit(a) | StateBit(b)).
constexpr bool IsIn(State state, unsigned bits) {
  return (bits >> static_cast<int>(state) & 1) != 0;
}

// CLOSED or TIME-WAIT, the first and the last: by one comparison.
constexpr bool IsAtEnd(State s) {
  return static_cast<unsigned>(s) - 1 >= static_cast<unsigned>(State::kTimeWait) - 1;
}
static_assert(static_cast<int>(State::kClosed) == 0 &&
              static_cast<int>(State::kTimeWait) == kStateCount - 1);

// ESTABLISHED and after: both sides know both initial sequence numbers.
constexpr bool IsSynchronized(State s) { return s >= State::kEstablished; }

// States in which the peer's data is taken (RFC 9293 3.10.7.4, seventh).
inline constexpr unsigned kReceivingStates =
    StateBit(State::kEstablished) | StateBit(State::kFinWait1) | StateBit(State::kFinWait2);
// States in which our data may still be sent or retransmitted.
inline constexpr unsigned kSendingStates =
    StateBit(State::kEstablished) | StateBit(State::kCloseWait) | StateBit(State::kFinWait1) |
    StateBit(State::kClosing) | StateBit(State::kLastAck);

// The legal edges: kLegalTransitions[from] holds a bit for each state that may follow.
inline constexpr uint16_t kLegalTransitions[kStateCount] = {
    // CLOSED: passive OPEN, active OPEN.
    StateBit(State::kListen) | StateBit(State::kSynSent),
    // LISTEN: SYN received, CLOSE.
    StateBit(State::kSynReceived) | StateBit(State::kClosed),
    // SYN-SENT: SYN (simultaneous open), SYN-ACK, CLOSE or RST or time-out.
    StateBit(State::kSynReceived) | StateBit(State::kEstablished) | StateBit(State::kClosed),
    // SYN-RECEIVED: ACK of SYN, CLOSE, RST of a passive open, RST of an active one or time-out.
    StateBit(State::kEstablished) | StateBit(State::kFinWait1) | StateBit(State::kListen) |
        StateBit(State::kClosed),
    // ESTABLISHED: CLOSE, FIN, RST or abort.
    StateBit(State::kFinWait1) | StateBit(State::kCloseWait) | StateBit(State::kClosed),
    // FIN-WAIT-1: ACK of FIN, FIN, FIN with ACK of FIN, RST.
    StateBit(State::kFinWait2) | StateBit(State::kClosing) | StateBit(State::kTimeWait) |
        StateBit(State::kClosed),
    // FIN-WAIT-2: FIN, RST or time-out of an orphan.
    StateBit(State::kTimeWait) | StateBit(State::kClosed),
    // CLOSE-WAIT: CLOSE, RST.
    StateBit(State::kLastAck) | StateBit(State::kClosed),
    // CLOSING: ACK of FIN, RST.
    StateBit(State::kTimeWait) | StateBit(State::kClosed),
    // LAST-ACK: ACK of FIN, RST.
    StateBit(State::kClosed),
    // TIME-WAIT: 2MSL, or a new SYN that RFC 6191 accepts (RFC 9293 3.6.1, MAY-2).
    StateBit(State::kClosed) | StateBit(State::kSynReceived),
};

constexpr bool IsLegalTransition(State from, State to) {
  return (kLegalTransitions[static_cast<int>(from)] & StateBit(to)) != 0;
}

// The table as a Graphviz graph.
std::string TransitionsToDot();

}  // namespace millrace::tcp

#endif  // MILLRACE_TCP_STATE_H_

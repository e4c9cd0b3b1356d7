// stack/stack.h - one worker's engine over its port, with its application.
//
// Poll is the life of a packet: receive a burst, parse, look up, process, give the application its
// events, send, run the timers. The simulator and the workers call the same Poll.
// Threading: one owner; several stacks in a process share nothing.
#ifndef MILLRACE_STACK_STACK_H_
#define MILLRACE_STACK_STACK_H_

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "millrace/stack/engine.h"
#include "millrace/stack/port.h"
#include "millrace/stack/socket.h"
#include "millrace/tcp/connection.h"
#include "millrace/tcp/output_plain.h"

namespace millrace::stack {

template <Port P, App A>
class Stack {
 public:
  // `port` and `app` outlive the stack. Check engine().ok() before the first Poll.
  Stack(P& port, A& app, const EngineConfig& config, const EngineSecrets& secrets, Instant now)
      : port_(port), app_(app), engine_(config, port.capabilities(), secrets, now) {}
  ~Stack() { ReleaseAll(); }
  Stack(const Stack&) = delete;
  Stack& operator=(const Stack&) = delete;

  // One round. Returns how much was done: frames received and sent, connections visited; 0 when
  // idle. Bounded: a burst of frames, kVisitsMax connections, Engine::kTimerWorkMax timers.
  size_t Poll(Instant now);

  Engine& engine() { return engine_; }
  const Engine& engine() const { return engine_; }
  P& port() { return port_; }
  A& app() { return app_; }
  // When Poll has something to do without a new frame; now or earlier when there is work waiting.
  Instant NextDeadline() const;
  // Frames that the port had no room for; they go first in the next Poll.
  size_t tx_backlog() const { return tx_count_; }

 private:
  static constexpr size_t kTxMax = 512;
  static constexpr size_t kVisitsMax = VisitList::kPopsMax;
  static constexpr Duration kHousekeeping = Duration::Milliseconds(1);
  static constexpr Duration kHoldBackMax = Duration::Milliseconds(10);

  bool TxHasRoom() const { return tx_count_ + tcp::Outbox::kCapacity <= kTxMax; }
  void Visit(Connection& connection);
  void DeliverReadable(Connection& connection, Socket socket);
  bool SendAll(Connection& connection);
  void SendSegment(const FlowKey& key, uint16_t neighbor, const tcp::TxSegment& segment);
  template <wire::OptionBits kOptions>
  void SendPlain(Connection& connection, tcp::PlainDue due);
  [[gnu::noinline]] void SendPlainFields(Connection& connection);
  bool SendFirstSyn(Connection& connection);
  bool SendSyn(const FlowKey& key, uint16_t neighbor, const tcp::TxFields& segment);
  template <class Build>
  void SendFrame(const TxOffload& offload, uint16_t neighbor, Build&& build);
  void SendControl(const ControlFrame& frame);
  void SendReplies();
  void Push(wire::PacketHandle packet);
  [[gnu::noinline]] bool MakeRoom(wire::PacketHandle packet);
  void FlushTx();
  bool HoldBack(Instant now);
  void FreeReleased();
  void Housekeep();
  void ReleaseAll();

  P& port_;
  A& app_;
  Engine engine_;
  Instant next_housekeeping_;
  size_t work_ = 0;
  size_t tx_count_ = 0;
  bool earns_answers_ = false;                  // what was received last was answered at once
  Instant hold_back_until_ = Instant::Never();  // Never: nothing is held back
  std::array<wire::PacketHandle, kTxMax> tx_;
  std::array<RxFrame, kBurst> rx_;
  tcp::TxSegment segment_;
  tcp::Outbox outbox_;
};

// Inline definitions

template <Port P, App A>
size_t Stack<P, A>::Poll(Instant now) {
  work_ = 0;
  engine_.BeginPoll(now);
  if (tx_count_ > 0) FlushTx();
  engine_.set_port_full(tx_count_ > 0);
  const size_t received = HoldBack(now) ? 0 : port_.RxBurst(now, rx_);
  if (received > 0) {
    engine_.Input({rx_.data(), received});
    earns_answers_ = !engine_.bounces().empty() || !engine_.replies().empty();
    work_ += received;
  }
  engine_.RunTimers();
  SendReplies();
  app_.OnPoll(engine_, now);
  size_t visits = 0;
  for (; visits < kVisitsMax && engine_.HasDirty() && TxHasRoom(); ++visits) {
    Visit(engine_.PopDirty());
  }
  work_ += visits;
  if (now >= next_housekeeping_) Housekeep();
  FlushTx();
  FreeReleased();
  return work_;
}

template <Port P, App A>
void Stack<P, A>::DeliverReadable(Connection& connection, Socket socket) {
  tcp::Tcb& tcb = connection.tcb;
  while (tcb.receive.ready_bytes() > 0 && !tcb.Has(tcp::kReceiveClosed | tcp::kResetNow)) {
    const std::span<const std::byte> data = tcb.receive.Front(engine_.env().receive_pool);
    engine_.BeginDelivery(connection);
    const size_t consumed = std::min(app_.OnReceive(socket, data), data.size());
    engine_.EndDelivery(connection, consumed);
    if (consumed < data.size()) break;
  }
}

template <Port P, App A>
void Stack<P, A>::Visit(Connection& connection) {
  tcp::Tcb& tcb = connection.tcb;
  const Socket socket = engine_.SocketOfVisited();
  const uint8_t events = tcb.events;
  tcb.events = 0;
  if (events != 0) {
    if ((events & tcp::kEventOpened) != 0) app_.OnOpen(socket);
    if constexpr (requires { app_.OnUrgent(socket); }) {
      if ((events & tcp::kEventUrgent) != 0 && !tcb.Has(tcp::kReceiveClosed | tcp::kResetNow)) {
        app_.OnUrgent(socket);
      }
    }
    if ((events & tcp::kEventReadable) != 0) DeliverReadable(connection, socket);
    if ((events & tcp::kEventPeerClosed) != 0) {
      if (tcb.receive.ready_bytes() == 0) {
        if (!tcb.Has(tcp::kReceiveClosed | tcp::kResetNow)) app_.OnPeerClosed(socket);
      } else {
        tcb.events |= tcp::kEventPeerClosed;  // after the data before it
      }
    }
    if ((events & tcp::kEventWritable) != 0) {
      if (!tcp::IsSynchronized(tcb.state)) {
        tcb.events |= tcp::kEventWritable;  // after OnOpen
      } else if (!tcb.Has(tcp::kFinQueued | tcp::kResetNow)) {
        app_.OnWritable(socket);
      }
    }
  }
  bool more = false;
  tcp::PlainDue due;
  switch (tcp::FindPlainDue(tcb, engine_.env(), due)) {
    case tcp::PlainSend::kSegment:
      if (tcb.Has(tcp::kTimestampsOn)) [[likely]] {
        SendPlain<wire::kTimestampsOption>(connection, due);
      } else {
        SendPlain<0>(connection, due);
      }
      break;
    case tcp::PlainSend::kNothing:
      break;
    case tcp::PlainSend::kNotPlain:
      more = !SendFirstSyn(connection) && SendAll(connection);
      break;
  }
  // A Resume that came from a call of this visit found it off the list.
  const bool again = more || (tcb.events & tcp::kEventReadable) != 0;
  engine_.FinishVisit(connection, again,
                      [this](Socket s, tcp::CloseReason reason) { app_.OnClose(s, reason); });
}

template <Port P, App A>
void Stack<P, A>::FreeReleased() {
  tcp::ReleasedPackets& released = engine_.released();
  if (released.size() == 0) return;
  port_.Free(released.packets());
  released.Clear();
}

template <Port P, App A>
void Stack<P, A>::Housekeep() {
  const Instant now = engine_.env().now;
  next_housekeeping_ = now + kHousekeeping;
  engine_.RelievePressure();
  std::array<NeighborProbe, 16> probes;
  const size_t count = engine_.neighbors().PollProbes(now, probes);
  ControlFrame frame;
  for (size_t i = 0; i < count; ++i) {
    engine_.BuildProbe(probes[i], &frame);
    SendControl(frame);
  }
  while (engine_.NextDiscovery(&frame)) SendControl(frame);
  std::array<wire::PacketHandle, 16> dropped;
  const size_t dropped_count = engine_.neighbors().TakeReleased(dropped);
  engine_.counters().tx_park_dropped += dropped_count;
  for (size_t i = 0; i < dropped_count; ++i) engine_.released().Push(dropped[i]);
}

template <Port P, App A>
Instant Stack<P, A>::NextDeadline() const {
  if (tx_count_ > 0 || engine_.HasDirty()) return Instant();
  return engine_.NextDeadline();
}

// Connections that still live end with the stack; every packet goes back to the port.
template <Port P, App A>
void Stack<P, A>::ReleaseAll() {
  engine_.ForEachConnection([this](Connection& c) { tcp::Release(c.tcb, engine_.env()); });
  engine_.neighbors().ReleaseAll();
  std::array<wire::PacketHandle, 16> parked;
  while (const size_t count = engine_.neighbors().TakeReleased(parked)) {
    port_.Free({parked.data(), count});
  }
  port_.Free({tx_.data(), tx_count_});
  FreeReleased();
}

}  // namespace millrace::stack

#include "millrace/stack/stack_send.h"

#endif  // MILLRACE_STACK_STACK_H_

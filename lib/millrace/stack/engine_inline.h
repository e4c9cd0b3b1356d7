// stack/engine_inline.h - what of the engine is inlined into Stack: a connection put on the
// list of those that need a visit, the end of a visit, and a connection's record taken and given
// back (117 instructions a connection less than by calls). Included by stack/engine.h.
#ifndef MILLRACE_STACK_ENGINE_INLINE_H_
#define MILLRACE_STACK_ENGINE_INLINE_H_

#include "millrace/stack/engine.h"

namespace millrace::stack {

inline Connection* Engine::Find(ConnectionId id) {
  // Nearly always the one whose events are being told.
  if (id == visiting_id_) [[likely]]
    return visiting_;
  if (id.generation == 0 || id.index >= connections_.touched()) return nullptr;
  Connection& connection = connections_[id.index];
  return connection.generation() == id.generation ? &connection : nullptr;
}

inline Socket Engine::SocketOf(const Connection& connection) {
  return Socket(this, ConnectionId::Of(connections_.IndexOf(connection), connection.generation()));
}

inline Socket Engine::SocketOfVisited() { return Socket(this, visiting_id_); }

inline void Engine::MarkDirty(Connection& connection) {
  if (connection.listed != 0) return;
  connection.listed = 1;
  visits_.Push(connection);
}

inline Connection& Engine::PopDirty() {
  Connection& connection = visits_.Pop();
  visiting_ = &connection;
  visiting_id_ = ConnectionId::Of(connections_.IndexOf(connection), connection.generation());
  return connection;
}

inline uint32_t Engine::TakeConnection(const FlowKey& key, uint16_t neighbor, uint64_t user_data) {
  const uint32_t index = AdoptConnection(key, neighbor, user_data);
  if (index == kNoIndex) return kNoIndex;
  neighbors_.Ref(neighbor);
  pairs_.Ref(key);
  return index;
}

inline uint32_t Engine::AdoptConnection(const FlowKey& key, uint16_t neighbor, uint64_t user_data) {
  const uint32_t index = connections_.Take();
  if (index == kNoIndex) return kNoIndex;
  Connection& c = connections_[index];
  c.key.Become(key);
  c.user_data = user_data;
  c.listed = 0;
  c.BeginUse();
  c.neighbor = neighbor;
  c.listener = ListenerTable::kNone;
  return index;
}

inline void Engine::FreeConnection(Connection& connection) {
  MR_DCHECK(connection.in_use());
  MR_DCHECK(connection.listed == 0);
  neighbors_.Unref(connection.neighbor);
  pairs_.Unref(connection.key);
  connection.use &= ~Connection::kInUse;
  connections_.Give(connections_.IndexOf(connection));
}

// REQUIRES: it has left the queue.
inline void Engine::FreeTimeWait(uint32_t index) {
  const TimeWait& time_wait = time_waits_[index];
  const FlowRef ref(FlowKind::kTimeWait, index);
  // Where it was when it began it nearly always still is.
  if (const FlowRef* const place = table_.StillAt(time_wait.place(), ref)) [[likely]] {
    table_.EraseAt(place);
  } else {
    table_.Erase(table_.Hash(time_wait.key), ref);
  }
  pairs_.Unref(time_wait.key);
  time_waits_.Give(index);
}

inline void Engine::PrefetchTimeWait(const TimeWait& time_wait) const {
  if (const uint32_t place = time_wait.place(); place != 0) [[likely]] {
    table_.PrefetchPlace(place);
  } else {
    table_.PrefetchBucket(table_.Hash(time_wait.key));
  }
}

inline void Engine::LeaveTable(Connection& connection) {
  if (connection.tcb.state == tcp::State::kTimeWait) {
    EnterTimeWait(connection);
  } else {
    EraseFlow(connection);
  }
}

inline void Engine::EndVisit(Connection& connection) {
  connection.listed = 0;
  visiting_id_ = kNobodysId;
}

// The number of octets of one is read from memory: multiplied by a constant, an index takes four
// instructions more.
inline Connection& Engine::ConnectionOf(FlowRef ref) {
  return *reinterpret_cast<Connection*>(connection_place_.first +
                                        ref.bits() * connection_place_.stride);
}

inline const FlowKey& Engine::KeyOf(FlowRef ref) const {
  const KeyPlace& place = key_places_[static_cast<size_t>(ref.kind())];
  return *reinterpret_cast<const FlowKey*>(place.first + ref.index() * place.stride);
}

inline void Engine::ReleasePacket(Parsed& parsed) {
  env_.released.Push(parsed.frame.tcp.handle);
  parsed.frame.tcp.handle = wire::PacketHandle::kNone;
}

MR_ALWAYS_INLINE void Engine::EndDelivery(Connection& connection, size_t consumed) {
  delivering_ = nullptr;
  tcp::Consume(connection.tcb, static_cast<uint32_t>(consumed), env_);
  if (!close_deferred_) return;
  close_deferred_ = false;
  DoClose(connection);
}

template <class OnClose>
void Engine::FinishVisit(Connection& connection, bool again, OnClose&& on_close) {
  tcp::Tcb& tcb = connection.tcb;
  const bool over = tcp::IsOver(tcb);
  if (over && !connection.detached()) {
    LeaveTable(connection);
    connection.use |= Connection::kDetached;
  }
  // What came in order before a normal end still belongs to the application.
  if (over && (tcb.receive.ready_bytes() == 0 || tcb.Has(tcp::kReceiveClosed))) {
    // Still the one that is visited: no command in there may put it on the list again.
    on_close(SocketOf(connection), tcb.close_reason);
    EndVisit(connection);
    tcp::Release(tcb, env_);
    FreeConnection(connection);
    return;
  }
  EndVisit(connection);
  if (!over && tcb.timers.armed != 0) {
    connection_wheel_.Schedule(connections_, connection, tcb.timers.Next());
  }
  if (again) MarkDirty(connection);
}

template <class Visit>
void Engine::ForEachConnection(Visit&& visit) {
  for (uint32_t i = 0; i < connections_.touched(); ++i) {
    if (connections_[i].in_use()) visit(connections_[i]);
  }
}

}  // namespace millrace::stack

#endif  // MILLRACE_STACK_ENGINE_INLINE_H_

#include "millrace/stack/control.h"

#include <algorithm>

#include "millrace/stack/socket.h"

namespace millrace::stack {
namespace {

EngineSnapshot SnapshotOf(const Engine& engine, Instant now) {
  return {.at = now,
          .counters = engine.counters(),
          .tcp_counters = engine.tcp_counters(),
          .connections = engine.connections().used(),
          .half_open = engine.half_opens().used(),
          .time_wait = engine.time_waits().used()};
}

// Calls visit(connection) for each connection in the next slots of the pool and moves `cursor` on.
// True: that was the last slot, or the visitor wants no more.
template <class Visit>
bool VisitSlice(Engine& engine, uint32_t* cursor, Visit&& visit) {
  const Slab<Connection>& pool = engine.connections();
  const uint32_t end = std::min(*cursor + Control::kSliceSlots, pool.touched());
  for (; *cursor < end; ++*cursor) {
    if (pool[*cursor].in_use() && !visit(pool[*cursor])) return true;
  }
  return *cursor == pool.touched();
}

void CloseListeners(Engine& engine) {
  const ListenerTable& listeners = engine.listeners();
  for (uint16_t i = 0; i < listeners.size(); ++i) {
    if (listeners[i].open) engine.CloseListener({listeners[i].address, listeners[i].port});
  }
}

}  // namespace

bool Control::Poll(Engine& engine, Instant now) {
  if (stage_ == Stage::kIdle) [[likely]] {
    if (requests_.Pop({&request_, 1}) == 0) [[likely]]
      return false;
    Begin(engine, now);
    return true;
  }
  switch (stage_) {
    case Stage::kIdle:
      break;
    case Stage::kListing:
      ListSlice(engine);
      break;
    case Stage::kClosing:
      CloseSlice(engine, now);
      break;
    case Stage::kResetting:
      ResetSlice(engine);
      break;
  }
  return true;
}

void Control::Begin(Engine& engine, Instant now) {
  cursor_ = count_ = 0;
  switch (request_.kind) {
    case ControlKind::kCount:
      *request_.snapshot = SnapshotOf(engine, now);
      return Answer({.kind = ControlKind::kCount});
    case ControlKind::kList:
      stage_ = Stage::kListing;
      return;
    case ControlKind::kListen:
      return Answer({.kind = ControlKind::kListen, .listen = Listen(engine)});
    case ControlKind::kCloseListener:
      engine.CloseListener(request_.endpoint);
      return Answer({.kind = ControlKind::kCloseListener});
    case ControlKind::kDrain:
      CloseListeners(engine);
      deadline_ = now + request_.grace;
      stage_ = Stage::kClosing;
      return;
  }
}

// There are never more answers than requests, and the asker has room for as many.
void Control::Answer(const ControlAnswer& answer) {
  stage_ = Stage::kIdle;
  answers_.Push({&answer, 1});
}

// A new backlog is a new listener in place of the old: the old one's half-open connections go on.
ListenResult Control::Listen(Engine& engine) const {
  const auto listen = [&] {
    return engine.Listen(request_.endpoint, request_.backlog, request_.user_data);
  };
  const ListenResult result = listen();
  if (result != ListenResult::kInUse) return result;
  engine.CloseListener(request_.endpoint);
  return listen();
}

void Control::ListSlice(Engine& engine) {
  const bool done = VisitSlice(engine, &cursor_, [&](const Connection& connection) {
    if (count_ == request_.rows.size()) return false;
    const Socket socket = engine.SocketOf(connection);
    request_.rows[count_++] = {.local = socket.local(),
                               .remote = socket.remote(),
                               .state = socket.state(),
                               .unread_bytes = socket.ready_bytes(),
                               .unsent_bytes = socket.unsent_bytes()};
    return true;
  });
  if (done) Answer({.kind = ControlKind::kList, .count = count_});
}

// Round and round, because a handshake that was under way may still end in a connection.
void Control::CloseSlice(Engine& engine, Instant now) {
  const bool lap = VisitSlice(engine, &cursor_, [&engine](const Connection& connection) {
    if (!connection.tcb.Has(tcp::kReceiveClosed)) engine.SocketOf(connection).Close();
    return true;
  });
  if (lap) cursor_ = 0;
  if (engine.connections().used() == 0 && engine.half_opens().used() == 0) {
    return Answer({.kind = ControlKind::kDrain, .count = 0});
  }
  if (now < deadline_) return;
  cursor_ = 0;
  stage_ = Stage::kResetting;
}

void Control::ResetSlice(Engine& engine) {
  const bool done = VisitSlice(engine, &cursor_, [&](const Connection& connection) {
    engine.SocketOf(connection).Abort();
    ++count_;
    return true;
  });
  if (done) Answer({.kind = ControlKind::kDrain, .count = count_});
}

}  // namespace millrace::stack

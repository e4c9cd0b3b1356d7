#include "millrace/stack/control.h"

#include <algorithm>

#include "millrace/stack/socket.h"

namespace millrace::stack {
namespace {

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
  const bool draining = drain_.stage != DrainStage::kNone;
  if (draining) [[unlikely]]
    DrainSlice(engine, now);
  if (walking_) [[unlikely]] {
    request_.kind == ControlKind::kCount ? CountSlice(engine, now) : ListSlice(engine);
    return true;
  }
  if (requests_.Pop({&request_, 1}) == 0) [[likely]]
    return draining;
  Begin(engine, now);
  return true;
}

void Control::Begin(Engine& engine, Instant now) {
  switch (request_.kind) {
    case ControlKind::kCount:
      *request_.snapshot = EngineSnapshot();
      [[fallthrough]];
    case ControlKind::kList:
      cursor_ = count_ = 0;
      walking_ = true;
      return;
    case ControlKind::kListen:
      return Answer({.kind = ControlKind::kListen, .listen = Listen(engine)});
    case ControlKind::kCloseListener:
      engine.CloseListener(request_.endpoint);
      return Answer({.kind = ControlKind::kCloseListener});
    case ControlKind::kDrain:
      if (drain_.stage != DrainStage::kNone) EndDrain();
      CloseListeners(engine);
      drain_ = {
          .stage = DrainStage::kClosing, .tag = request_.tag, .deadline = now + request_.grace};
      return;
  }
}

// There is room: the asker waits for no more answers than there are places.
void Control::Answer(ControlAnswer answer) {
  answer.tag = request_.tag;
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

void Control::CountSlice(Engine& engine, Instant now) {
  EngineSnapshot& snapshot = *request_.snapshot;
  const bool done = VisitSlice(engine, &cursor_, [&](const Connection& connection) {
    if (connection.tcb.state == tcp::State::kCloseWait) {
      ++snapshot.close_wait;
      snapshot.oldest_close_wait =
          std::max(snapshot.oldest_close_wait, engine.CloseWaitAge(connection));
    }
    return true;
  });
  if (!done) return;
  walking_ = false;
  snapshot.at = now;
  snapshot.counters = engine.counters();
  snapshot.tcp_counters = engine.tcp_counters();
  snapshot.connections = engine.connections().used();
  snapshot.half_open = engine.half_opens().used();
  snapshot.time_wait = engine.time_waits().used();
  Answer({.kind = ControlKind::kCount});
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
  if (!done) return;
  walking_ = false;
  Answer({.kind = ControlKind::kList, .count = count_});
}

// Closes round and round, because a handshake that was under way may still end in a connection;
// after the grace one round resets.
void Control::DrainSlice(Engine& engine, Instant now) {
  const bool resets = drain_.stage == DrainStage::kResetting;
  const bool lap = VisitSlice(engine, &drain_.cursor, [&](const Connection& connection) {
    if (resets) {
      engine.SocketOf(connection).Abort();
      ++drain_.reset;
    } else if (!connection.tcb.Has(tcp::kReceiveClosed)) {
      engine.SocketOf(connection).Close();
    }
    return true;
  });
  if (lap) drain_.cursor = 0;
  const bool empty = engine.connections().used() == 0 && engine.half_opens().used() == 0;
  if ((resets && lap) || (!resets && empty)) return EndDrain();
  if (resets || now < drain_.deadline) return;
  drain_.cursor = 0;
  drain_.stage = DrainStage::kResetting;
}

void Control::EndDrain() {
  const ControlAnswer answer{.kind = ControlKind::kDrain, .tag = drain_.tag, .count = drain_.reset};
  answers_.Push({&answer, 1});
  drain_.stage = DrainStage::kNone;
}

}  // namespace millrace::stack

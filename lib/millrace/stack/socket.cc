// stack/socket.cc - the application's calls: find the connection, do it, see that it is visited.

#include "millrace/stack/socket.h"

#include <algorithm>
#include <utility>

#include "millrace/stack/engine.h"
#include "millrace/tcp/connection.h"
#include "millrace/tcp/liveness.h"

namespace millrace::stack {
namespace {

// The connection, or null when the handle is stale or the connection is over.
Connection* FindLive(Engine* engine, ConnectionId id) {
  Connection* c = engine == nullptr ? nullptr : engine->Find(id);
  return c == nullptr || tcp::IsOver(c->tcb) ? nullptr : c;
}

}  // namespace

bool Socket::IsOpen() const { return engine_ != nullptr && engine_->Find(id_) != nullptr; }

size_t Socket::Send(Engine* engine, ConnectionId id, std::span<const std::byte> data) {
  Connection* c = FindLive(engine, id);
  if (c == nullptr) return 0;
  const size_t sent = tcp::Send(c->tcb, data, engine->env());
  engine->MarkDirty(*c);
  return sent;
}

bool Socket::SendStatic(Engine* engine, ConnectionId id, std::span<const std::byte> data) {
  Connection* c = engine == nullptr ? nullptr : engine->Find(id);
  if (c == nullptr) return false;
  engine->MarkDirty(*c);  // before the call: nothing has to be saved for it then
  return tcp::SendStatic(c->tcb, data, engine->env());
}

void Socket::Shutdown(Engine* engine, ConnectionId id) {
  Connection* c = FindLive(engine, id);
  if (c == nullptr) return;
  tcp::CloseSend(c->tcb, engine->env());
  engine->MarkDirty(*c);
}

void Socket::Close(Engine* engine, ConnectionId id) {
  Connection* c = engine == nullptr ? nullptr : engine->Find(id);
  if (c != nullptr) engine->DoClose(*c);
}

void Engine::DoClose(Connection& connection) {
  if (delivering_ == &connection) {
    close_deferred_ = true;  // what OnReceive is about to consume does not count as unread
    return;
  }
  MarkDirty(connection);
  if (tcp::IsOver(connection.tcb)) {
    // The network's part is over; what was not read is dropped.
    connection.tcb.Set(tcp::kReceiveClosed);
  } else {
    tcp::Close(connection.tcb, env_);
  }
}

void Socket::Abort(Engine* engine, ConnectionId id) {
  Connection* c = FindLive(engine, id);
  if (c == nullptr) return Close(engine, id);  // nobody left to reset, but maybe unread data
  if (c->tcb.Has(tcp::kResetNow)) return;
  ++engine->env().counters.abort_by_user;
  tcp::Abort(c->tcb, tcp::CloseReason::kAborted, engine->env());
  engine->MarkDirty(*c);
}

void Socket::Resume() const {
  Connection* c = engine_ == nullptr ? nullptr : engine_->Find(id_);
  if (c == nullptr || c->tcb.receive.ready_bytes() == 0) return;
  c->tcb.events |= tcp::kEventReadable;
  engine_->MarkDirty(*c);
}

size_t Socket::Receive(std::span<std::byte> out) const {
  Connection* c = engine_ == nullptr ? nullptr : engine_->Find(id_);
  if (c == nullptr) return 0;
  const size_t copied = Peek(out);
  tcp::Consume(c->tcb, static_cast<uint32_t>(copied), engine_->env());
  engine_->MarkDirty(*c);
  return copied;
}

size_t Socket::Peek(std::span<std::byte> out) const {
  const Connection* c = engine_ == nullptr ? nullptr : engine_->Find(id_);
  return c == nullptr ? 0 : c->tcb.receive.CopyReady(out, engine_->env().receive_pool);
}

uint32_t Socket::ready_bytes() const {
  const Connection* c = engine_ == nullptr ? nullptr : engine_->Find(id_);
  return c == nullptr ? 0 : c->tcb.receive.ready_bytes();
}

void Socket::SetNoDelay(bool no_delay) const {
  Connection* c = FindLive(engine_, id_);
  if (c == nullptr) return;
  if (no_delay) {
    c->tcb.Set(tcp::kNoDelay);
    engine_->MarkDirty(*c);
  } else {
    c->tcb.Clear(tcp::kNoDelay);
  }
}

void Socket::SetCork(bool cork) const {
  Connection* c = FindLive(engine_, id_);
  if (c == nullptr) return;
  if (cork) {
    c->tcb.Set(tcp::kCork);
  } else {
    c->tcb.Clear(tcp::kCork);
    engine_->MarkDirty(*c);
  }
}

bool Socket::SetLiveness(const tcp::Liveness& wanted) const {
  Connection* c = FindLive(engine_, id_);
  if (c == nullptr || !tcp::SetLiveness(c->tcb, wanted, engine_->env())) return false;
  engine_->MarkDirty(*c);
  return true;
}

void Socket::SetPush(bool push) const {
  Connection* c = FindLive(engine_, id_);
  if (c == nullptr) return;
  if (push) {
    c->tcb.Clear(tcp::kNoPush);
  } else {
    c->tcb.Set(tcp::kNoPush);
  }
}

bool Socket::SetDiffserv(uint8_t dscp) const {
  Connection* c = FindLive(engine_, id_);
  return c != nullptr && tcp::SetDiffserv(c->tcb, dscp, engine_->env());
}

tcp::SoftError Socket::TakeSoftError() const {
  Connection* c = engine_ == nullptr ? nullptr : engine_->Find(id_);
  if (c == nullptr || c->tcb.extra == 0) return tcp::SoftError::kNone;
  return std::exchange(engine_->env().extras[c->tcb.extra - 1].soft_error, tcp::SoftError::kNone);
}

uint32_t Socket::urgent_bytes() const {
  const Connection* c = engine_ == nullptr ? nullptr : engine_->Find(id_);
  return c == nullptr ? 0 : tcp::UrgentBytes(c->tcb, engine_->env());
}

uint64_t Socket::user_data() const {
  const Connection* c = engine_ == nullptr ? nullptr : engine_->Find(id_);
  return c == nullptr ? 0 : c->user_data;
}

void Socket::set_user_data(uint64_t value) const {
  Connection* c = engine_ == nullptr ? nullptr : engine_->Find(id_);
  if (c != nullptr) c->user_data = value;
}

bool Socket::passive() const {
  const Connection* c = engine_ == nullptr ? nullptr : engine_->Find(id_);
  return c != nullptr && c->tcb.Has(tcp::kPassiveOpen);
}

Endpoint Socket::local() const {
  const Connection* c = engine_ == nullptr ? nullptr : engine_->Find(id_);
  if (c == nullptr) return {};
  return {engine_->LocalOf(c->key), c->key.local_port};
}

Endpoint Socket::remote() const {
  const Connection* c = engine_ == nullptr ? nullptr : engine_->Find(id_);
  if (c == nullptr) return {};
  return {engine_->RemoteOf(c->key), c->key.remote_port};
}

tcp::State Socket::state() const {
  const Connection* c = engine_ == nullptr ? nullptr : engine_->Find(id_);
  return c == nullptr ? tcp::State::kClosed : c->tcb.state;
}

uint32_t Socket::unsent_bytes() const {
  const Connection* c = engine_ == nullptr ? nullptr : engine_->Find(id_);
  return c == nullptr ? 0 : c->tcb.send.size_bytes();
}

}  // namespace millrace::stack

#include "apps/serve/exchange_service.h"

#include <algorithm>
#include <string_view>
#include <utility>

namespace millrace::apps {
namespace {

constexpr std::string_view kGarbage = "\x7F\x01\xFE\r\n\r\n no answer that anybody expects \r\n";

}  // namespace

void ExchangeService::OnOpen(stack::Socket socket) {
  if (socket.id().index >= connections_.size()) connections_.resize(socket.id().index + 1);
  Connection& c = Of(socket);
  c = Connection();
  c.id = socket.id();
  if (options_.request_bytes == 0) OnRequest(socket, c);
}

size_t ExchangeService::OnReceive(stack::Socket socket, std::span<const std::byte> data) {
  Connection& c = Of(socket);
  if (options_.request_bytes == 0 || NeedsNoMore(c)) return data.size();
  uint64_t left = data.size();
  while (left > 0 && !c.waiting && !c.ending && c.body.done()) {
    const uint64_t taken = std::min(left, options_.request_bytes - c.received);
    c.received += taken;
    left -= taken;
    if (c.received < options_.request_bytes) break;
    c.received = 0;
    OnRequest(socket, c);
  }
  return NeedsNoMore(c) ? data.size() : data.size() - static_cast<size_t>(left);
}

bool ExchangeService::NeedsNoMore(const Connection& c) const {
  return c.ending || (c.waiting && c.answered + 1 == options_.close_after);
}

void ExchangeService::OnRequest(const stack::Socket& socket, Connection& c) {
  if (!disturbance_.any()) return Answer(socket, c, Fate::kAnswer);
  const Duration delay = disturbance_.DrawDelay();
  if (delay == Duration()) return Answer(socket, c, disturbance_.DrawFate());
  c.waiting = true;
  delayed_.Push(now_ + delay, socket.id());
}

void ExchangeService::Answer(const stack::Socket& socket, Connection& c, Fate fate) {
  ++(fate == Fate::kAnswer ? answered_ : errors_);
  ++c.answered;
  c.ending = c.answered == options_.close_after || c.peer_closed;
  c.body = {.position = 0, .length = options_.response_bytes};
  switch (fate) {
    case Fate::kAnswer:
      break;
    case Fate::kStatus:
    case Fate::kReset:
      c.ending = true;
      return socket.Abort();
    case Fate::kSilent:
      // For as long as the peer waits.
      c.body = BodySender();
      c.ending = c.peer_closed;
      if (c.ending) socket.Close();
      return;
    case Fate::kGarbage:
      c.body = BodySender();
      c.ending = true;
      socket.Send(std::as_bytes(std::span(kGarbage)));
      break;
    case Fate::kEarly:
      c.body.length /= 2;
      c.ending = true;
      break;
    case Fate::kForever:
      c.body.length = ExchangeOptions::kForever;
      break;
  }
  Continue(socket, c);
}

void ExchangeService::Continue(const stack::Socket& socket, Connection& c) {
  if (!c.body.Pump(pattern_, socket)) {
    if (BodySender::Starved(socket)) starved_.push_back(socket.id());
    return;
  }
  if (c.ending) socket.Close();
}

void ExchangeService::OnPeerClosed(stack::Socket socket) {
  Connection& c = Of(socket);
  c.peer_closed = c.ending = true;
  // The peer sends no more, but still wants the answers that are under way.
  const bool endless = c.body.length >= ExchangeOptions::kForever;
  if (!c.waiting && (c.body.done() || endless)) socket.Close();
}

void ExchangeService::OnWritable(stack::Socket socket) {
  Connection& c = Of(socket);
  Continue(socket, c);
  if (c.body.done() && !c.ending) socket.Resume();
}

void ExchangeService::OnClose(stack::Socket socket) {
  // A connection that was reset before it was visited has had no OnOpen.
  if (socket.id().index >= connections_.size() || Of(socket).id != socket.id()) return;
  const bool waited = Of(socket).waiting;
  Of(socket) = Connection();
  if (waited) delayed_.OnGone([this](stack::ConnectionId id) { return Waits(id); });
}

void ExchangeService::OnPoll(stack::Engine& engine, Instant now) {
  now_ = now;
  const auto waits = [this](stack::ConnectionId id) { return Waits(id); };
  for (stack::ConnectionId id; delayed_.Pop(now, waits, &id);) {
    Connection& c = connections_[id.index];
    const stack::Socket socket(&engine, id);
    c.waiting = false;
    Answer(socket, c, disturbance_.DrawFate());
    if (c.body.done() && !c.ending) socket.Resume();
  }
  if (starved_.empty() || now < next_retry_) return;
  next_retry_ = now + Duration::Milliseconds(1);
  for (const stack::ConnectionId id : std::exchange(starved_, {})) {
    if (connections_[id.index].id == id) OnWritable(stack::Socket(&engine, id));
  }
}

}  // namespace millrace::apps

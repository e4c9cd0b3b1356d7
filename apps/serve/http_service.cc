#include "apps/serve/http_service.h"

#include <algorithm>
#include <utility>

#include "apps/common/units.h"
#include "millrace/stack/engine.h"

namespace millrace::apps {
namespace {

constexpr std::string_view kIndexPage =
    "Millrace. Paths are sizes; octet i of a body is (i * 7 + 13) mod 251.\n"
    "/0 /1 /100 /1k /10k /100k /1m /10m /100m /1g (k, m, g: powers of 1024)\n";

std::span<const std::byte> Octets(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

}  // namespace

std::optional<uint64_t> BodySizeOf(std::string_view path) {
  constexpr uint64_t kHighest = uint64_t{1} << 40;
  if (path.size() < 2 || path.front() != '/') return std::nullopt;
  const std::optional<uint64_t> size = ParseSize(path.substr(1));
  return size && *size <= kHighest ? size : std::nullopt;
}

void HttpService::OnOpen(stack::Socket socket) {
  if (socket.id().index >= connections_.size()) connections_.resize(socket.id().index + 1);
  Connection& c = Of(socket);
  c = Connection();
  c.id = socket.id();
  c.last_life = now_;
}

size_t HttpService::OnReceive(stack::Socket socket, std::span<const std::byte> data) {
  Connection& c = Of(socket);
  std::string_view rest(reinterpret_cast<const char*>(data.data()), data.size());
  while (!rest.empty() && !c.Busy()) {
    if (c.draining) return data.size();
    if (c.skip > 0) {
      const auto skipped = static_cast<size_t>(std::min<uint64_t>(c.skip, rest.size()));
      c.skip -= skipped;
      c.last_life = now_;
      rest.remove_prefix(skipped);
      continue;
    }
    rest.remove_prefix(TakeRequest(socket, c, rest));
  }
  return data.size() - rest.size();
}

// Takes octets of a request head, from `data` as it is when the head is whole there.
size_t HttpService::TakeRequest(const stack::Socket& socket, Connection& c, std::string_view data) {
  const size_t before = c.head.size();
  if (before > 0) c.head.append(data.substr(0, kHeadBytesMax - before));
  const std::string_view text = before > 0 ? std::string_view(c.head) : data;
  const ParsedHead parsed = ParseRequestHead(text, before);
  switch (parsed.result) {
    case HeadResult::kIncomplete:
      if (before == 0) c.head = data;
      return data.size();
    case HeadResult::kError:
      ++counters_.requests;
      Respond(socket, c, {.status = parsed.status, .close = true});
      return data.size();
    case HeadResult::kDone:
      break;
  }
  c.last_life = now_;  // not for parts of a head: who trickles one has idle_timeout for all
  c.skip = parsed.request.content_length;
  Handle(socket, c, parsed.request);
  c.head.clear();
  return parsed.length - before;
}

void HttpService::Handle(const stack::Socket& socket, Connection& c, const HttpRequest& request) {
  ++counters_.requests;
  Answer answer{.close = !request.keep_alive || ++c.requests == options_.close_after};
  answer.head_only = request.method == "HEAD";
  if (request.method != "GET" && !answer.head_only) {
    answer.status = 405;
    answer.close = true;
  } else if (request.path == "/") {
    answer.text = kIndexPage;
  } else if (const std::optional<uint64_t> size = BodySizeOf(request.path)) {
    answer.generated = *size;
  } else {
    answer.status = 404;
  }
  disturbance_.any() ? AnswerOrDelay(socket, c, answer) : Respond(socket, c, answer);
}

void HttpService::AnswerOrDelay(const stack::Socket& socket, Connection& c, const Answer& answer) {
  const Duration delay = disturbance_.DrawDelay();
  if (delay == Duration()) {
    if (!Spoil(socket, c, answer, disturbance_.DrawFate())) Respond(socket, c, answer);
    return;
  }
  c.waiting = true;
  c.delayed = answer;
  delayed_.Push(now_ + delay, socket.id());
}

void HttpService::AnswerDelayed(stack::Engine& engine) {
  const auto waits = [this](stack::ConnectionId id) { return Waits(id); };
  for (stack::ConnectionId id; delayed_.Pop(now_, waits, &id);) {
    Connection& c = connections_[id.index];
    const stack::Socket socket(&engine, id);
    c.waiting = false;
    c.last_life = now_;
    const Answer answer = c.delayed;
    if (!Spoil(socket, c, answer, disturbance_.DrawFate())) Respond(socket, c, answer);
    if (!c.Busy()) socket.Resume();
  }
}

bool HttpService::Spoil(const stack::Socket& socket, Connection& c, const Answer& answer,
                        Fate fate) {
  if (fate == Fate::kAnswer) return false;
  ++counters_.errors;
  switch (fate) {
    case Fate::kAnswer:
      break;
    case Fate::kStatus:
      Respond(socket, c, {.status = 503, .head_only = answer.head_only, .close = answer.close});
      break;
    case Fate::kReset:
      c.draining = true;
      socket.Abort();
      break;
    case Fate::kSilent:
      // For as long as the peer waits; one that has sent its FIN gets ours, or nobody ends it.
      c.draining = c.close_after;
      if (c.draining) socket.Close();
      break;
    case Fate::kGarbage:
      c.pending = "\x7F\x01 this is no response\r\n\r\n";
      c.close_after = true;
      Continue(socket, c);
      break;
    case Fate::kEarly:
      c.pending = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n1";
      c.close_after = true;
      Continue(socket, c);
      break;
    case Fate::kForever:
      c.pending = "HTTP/1.1 200 OK\r\n\r\n";
      c.body = {.position = 0, .length = uint64_t{1} << 50};
      Continue(socket, c);
      break;
  }
  return true;
}

void HttpService::Respond(const stack::Socket& socket, Connection& c, const Answer& answer) {
  ++(answer.status < 300   ? counters_.responses_2xx
     : answer.status < 500 ? counters_.responses_4xx
                           : counters_.responses_5xx);
  std::string error_text;
  std::string_view text = answer.text;
  if (answer.status >= 400) {
    error_text = std::to_string(answer.status) + " " + ReasonOf(answer.status) + "\n";
    text = error_text;
  }
  std::string head =
      "HTTP/1.1 " + std::to_string(answer.status) + " " + ReasonOf(answer.status) +
      "\r\nServer: millrace\r\nContent-Length: " + std::to_string(answer.generated + text.size());
  head +=
      text.empty() ? "\r\nContent-Type: application/octet-stream" : "\r\nContent-Type: text/plain";
  if (answer.status == 405) head += "\r\nAllow: GET, HEAD";
  // HTTP/1.0 peers want to be told either way (RFC 9112 appendix C.2.2).
  head += answer.close ? "\r\nConnection: close\r\n\r\n" : "\r\nConnection: keep-alive\r\n\r\n";
  if (!answer.head_only) head += text;
  c.close_after = answer.close;
  c.body = {.position = 0, .length = answer.head_only ? 0 : answer.generated};
  c.pending = std::move(head);
  Continue(socket, c);
}

// Sends on what is left of the response, as far as there is room, and ends the exchange.
void HttpService::Continue(const stack::Socket& socket, Connection& c) {
  c.sending = true;
  if (!c.pending.empty()) {
    c.pending.erase(0, socket.Send(Octets(c.pending)));
  }
  if (!c.pending.empty() || !c.body.Pump(pattern_, socket)) {
    if (BodySender::Starved(socket) && !c.starved) {
      c.starved = true;
      starved_.push_back(socket.id());
    }
    return;
  }
  if (!c.close_after || c.draining) return;
  // Not Close: input that was not read would make a reset of it, which can overtake the response
  // (RFC 9112 9.6). The peer's FIN, or idle_timeout, ends the connection.
  c.draining = true;
  socket.Shutdown();
}

void HttpService::OnPeerClosed(stack::Socket socket) {
  Connection& c = Of(socket);
  if (c.draining) {
    socket.Close();
    return;
  }
  // The peer sends no more, but still wants the answers that are under way.
  c.close_after = c.delayed.close = true;
  c.draining = !c.Busy();
  if (c.draining) socket.Close();
}

void HttpService::OnWritable(stack::Socket socket) {
  Connection& c = Of(socket);
  c.last_life = now_;
  Continue(socket, c);
  if (!c.Busy()) socket.Resume();
}

void HttpService::OnClose(stack::Socket socket) {
  // A connection that was reset before it was visited has had no OnOpen.
  if (socket.id().index >= connections_.size() || Of(socket).id != socket.id()) return;
  const bool waited = Of(socket).waiting;
  Of(socket) = Connection();
  if (waited) delayed_.OnGone([this](stack::ConnectionId id) { return Waits(id); });
}

void HttpService::OnPoll(stack::Engine& engine, Instant now) {
  now_ = now;
  AnswerDelayed(engine);
  if (!starved_.empty() && now >= next_retry_) {
    next_retry_ = now + Duration::Milliseconds(1);
    for (const stack::ConnectionId id : std::exchange(starved_, {})) {
      if (connections_[id.index].id != id) continue;
      connections_[id.index].starved = false;
      OnWritable(stack::Socket(&engine, id));
    }
  }
  if (options_.idle_timeout != Duration()) EndIdle(engine);
}

// Once a second, in portions: what a poll looks at does not grow with the connections. Of those
// that send nothing the engine's record is not looked at.
void HttpService::EndIdle(stack::Engine& engine) {
  if (!sweeping_) {
    if (now_ < next_sweep_) return;
    next_sweep_ = now_ + Duration::Seconds(1);
    swept_ = 0;
  }
  const size_t end = std::min(swept_ + kSweptPerPoll, connections_.size());
  for (; swept_ < end; ++swept_) {
    Connection& c = connections_[swept_];
    if (c.id.generation == 0 || c.waiting) continue;  // a delay of the answer is our own doing
    const stack::Socket socket(&engine, c.id);
    if (c.sending) {
      // What was added since counts as life too: it was asked for.
      const uint32_t unacknowledged = socket.unsent_bytes();
      if (unacknowledged != c.unacknowledged) c.last_life = now_;
      c.unacknowledged = unacknowledged;
      c.sending = unacknowledged > 0;
    }
    if (now_ - c.last_life < options_.idle_timeout) continue;
    ++counters_.idle_aborted;
    socket.Abort();
  }
  sweeping_ = swept_ < connections_.size();
}

Instant HttpService::NextDeadline() const {
  const bool sweeps = options_.idle_timeout != Duration() && !connections_.empty();
  const Instant sweep = !sweeps ? Instant::Never() : sweeping_ ? now_ : next_sweep_;
  return std::min(delayed_.NextDue(), sweep);
}

}  // namespace millrace::apps

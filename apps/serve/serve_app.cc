#include "apps/serve/serve_app.h"

namespace millrace::apps {

ServeApp::ServeApp(const ServeOptions& options, const Pattern& pattern)
    : http_(pattern, options.disturbance, options.http),
      exchange_(options.exchange, options.disturbance, pattern),
      capped_(options.rate_cap_per_s != 0),
      cap_(options.rate_cap_per_s, kCapBurst) {}

void ServeApp::OnOpen(stack::Socket socket) {
  ++counters_.accepted;
  if (capped_ && !cap_.Take(now_)) {
    ++counters_.over_rate_cap;
    return socket.Abort();
  }
  switch (Of(socket)) {
    case Service::kExchange:
      return exchange_.OnOpen(socket);
    case Service::kHttp:
      return http_.OnOpen(socket);
    case Service::kEcho:
    case Service::kDiscard:
      return;
  }
}

size_t ServeApp::OnReceive(stack::Socket socket, std::span<const std::byte> data) {
  switch (Of(socket)) {
    case Service::kExchange:
      return exchange_.OnReceive(socket, data);
    case Service::kHttp:
      return http_.OnReceive(socket, data);
    case Service::kEcho:
      return echo_.OnReceive(socket, data);
    case Service::kDiscard:
      break;
  }
  return discard_.OnReceive(socket, data);
}

void ServeApp::OnPeerClosed(stack::Socket socket) {
  switch (Of(socket)) {
    case Service::kExchange:
      return exchange_.OnPeerClosed(socket);
    case Service::kHttp:
      return http_.OnPeerClosed(socket);
    case Service::kEcho:
      return echo_.OnPeerClosed(socket);
    case Service::kDiscard:
      return discard_.OnPeerClosed(socket);
  }
}

void ServeApp::OnWritable(stack::Socket socket) {
  switch (Of(socket)) {
    case Service::kExchange:
      return exchange_.OnWritable(socket);
    case Service::kHttp:
      return http_.OnWritable(socket);
    case Service::kEcho:
      return echo_.OnWritable(socket);
    case Service::kDiscard:
      return;
  }
}

void ServeApp::OnClose(stack::Socket socket, tcp::CloseReason reason) {
  if (Of(socket) == Service::kExchange) exchange_.OnClose(socket);
  if (Of(socket) == Service::kHttp) http_.OnClose(socket);
  if (reason != tcp::CloseReason::kNormal) ++counters_.ended_not_normally;
}

void ServeApp::TakeChange() {
  ServeOptions options;
  if (changes_.Pop({&options, 1}) == 0) return;
  capped_ = options.rate_cap_per_s != 0;
  cap_ = TokenBucket(options.rate_cap_per_s, kCapBurst);
  http_.Disturb(options.disturbance);
  exchange_.Disturb(options.disturbance);
}

void ServeApp::OnPoll(stack::Engine& engine, Instant now) {
  now_ = now;
  if (changes_.size() > 0) [[unlikely]]
    TakeChange();
  http_.OnPoll(engine, now);
  echo_.OnPoll(engine, now);
  exchange_.OnPoll(engine, now);
}

absl::Status ListenOn(stack::Engine& engine, const std::vector<Listening>& services) {
  const auto backlog = static_cast<uint32_t>(engine.half_opens().capacity());
  const stack::EngineConfig& config = engine.config();
  for (const Listening& l : services) {
    for (const bool v6 : {false, true}) {
      const IpPrefix& prefix = v6 ? config.host_v6.address : config.address;
      if (prefix.length_bits == 0) continue;
      const Endpoint any{v6 ? IpAddress() : IpAddress::V4(0), l.port};
      const auto result = engine.Listen(any, backlog, static_cast<uint64_t>(l.service));
      if (result != stack::ListenResult::kOk) {
        return absl::InvalidArgumentError("port " + std::to_string(l.port) + ": " +
                                          stack::ToString(result));
      }
    }
  }
  return absl::OkStatus();
}

}  // namespace millrace::apps

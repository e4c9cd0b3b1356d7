#include "bench/scale/crowd.h"

#include <algorithm>

namespace millrace::bench {
namespace {

constexpr uint32_t kConcurrency = 64;
constexpr Duration kTurn = Duration::Nanoseconds(100);  // of engine time, besides what closes cost
constexpr uint64_t kFewTimeWaits = 65'536;  // when it is the idle connections that are counted

uint64_t TimeWaits(const CrowdPlan& plan) {
  return plan.time_waits == 0 ? kFewTimeWaits : plan.time_waits;
}

// A minute for many; for few a second, lest a round trip take seconds of engine time.
Duration TimeWaitOf(const CrowdPlan& plan) {
  return Duration::Seconds(TimeWaits(plan) >= 1'000'000 ? 60 : 1);
}

// Both ends have room for the idle ones; the server's TIME-WAITs overshoot by those that are
// due.
void Limit(const CrowdPlan& plan, stack::EngineConfig* config) {
  config->limits.connections = static_cast<uint32_t>(plan.established) + 4 * kConcurrency;
  config->limits.half_open = 4 * kConcurrency;
  config->limits.send_chunks = config->limits.receive_chunks = 1024;
  config->pages = plan.pages;
}

}  // namespace

CrowdClient::CrowdClient(const CrowdPlan& plan, uint32_t concurrency)
    : idle_wanted_(plan.established),
      load_plan_{.target = LoopbackTarget(), .concurrency = concurrency, .count = kPerPort} {
  load_ = std::make_unique<LoadClient>(load_plan_, pattern_);
}

void CrowdClient::OnOpen(stack::Socket socket) {
  if ((socket.user_data() & kIdle) == 0) return load_->OnOpen(socket);
  ++idle_open_;
}

void CrowdClient::OnClose(stack::Socket socket, tcp::CloseReason reason) {
  if (reason != tcp::CloseReason::kNormal) ++failed_;
  if ((socket.user_data() & kIdle) == 0) load_->OnClose(socket, reason);
}

void CrowdClient::OnPoll(stack::Engine& engine, Instant now) {
  if (!idle_stand()) return OpenIdle(engine);
  load_->OnPoll(engine, now);
  if (load_->done()) NextRun();
}

void CrowdClient::OpenIdle(stack::Engine& engine) {
  // As many at a time as the exchange has under way; one, until ARP is through.
  const uint64_t room = idle_open_ == 0 ? 1 : load_plan_.concurrency;
  while (idle_opened_ < idle_wanted_ && idle_opened_ - idle_open_ < room) {
    const stack::ConnectResult opened = engine.Connect(load_plan_.target, kIdle, nullptr);
    if (opened != stack::ConnectResult::kOk) return;
    ++idle_opened_;
  }
}

void CrowdClient::NextRun() {
  closed_before_ += load_->counts().ok;
  run_ = static_cast<uint16_t>((run_ + 1) % kPorts);
  load_plan_.target.port = static_cast<uint16_t>(LoopbackTarget().port + run_);
  load_ = std::make_unique<LoadClient>(load_plan_, pattern_);
}

Crowd::Crowd(const CrowdPlan& plan)
    : plan_(plan),
      load_plan_{.target = LoopbackTarget(), .concurrency = kConcurrency},
      per_close_(
          Duration::Nanoseconds(TimeWaitOf(plan).ns() / static_cast<int64_t>(TimeWaits(plan)))),
      client_app_(plan, kConcurrency),
      server_app_(load_plan_, pattern_) {}

absl::StatusOr<std::unique_ptr<Crowd>> Crowd::Create(const CrowdPlan& plan) {
  std::unique_ptr<Crowd> crowd(new Crowd(plan));
  dpdk::RingPairOptions options;
  options.port.packets = kLoopbackPacketsPerPort;
  auto rings = dpdk::RingPair::Create(options);
  if (!rings.ok()) return rings.status();
  crowd->rings_ = *std::move(rings);
  dpdk::DpdkPort& first = crowd->rings_->first();

  LoopbackOptions exchange{.plan = crowd->load_plan_, .tcp = plan.tcp, .pages = plan.pages};
  exchange.tcp.time_wait = TimeWaitOf(plan);
  const uint64_t time_waits = TimeWaits(plan);
  exchange.time_waits = static_cast<uint32_t>(time_waits + time_waits / 8 + 4096);
  stack::EngineConfig client = LoopbackClientConfig(exchange);
  stack::EngineConfig server = LoopbackServerConfig(exchange);
  Limit(plan, &client);
  Limit(plan, &server);
  client.limits.time_wait = 1024;
  const auto secrets = stack::EngineSecrets::FromOperatingSystem;
  crowd->client_ =
      std::make_unique<ClientStack>(first, crowd->client_app_, client, secrets(), crowd->now_);
  crowd->server_ = std::make_unique<ServerStack>(crowd->rings_->second(), crowd->server_app_,
                                                 server, secrets(), crowd->now_);
  if (!crowd->client().ok() || !crowd->server().ok()) {
    return absl::ResourceExhaustedError("no memory for the tables");
  }
  const absl::Status prepared =
      PrepareLoopbackServer(crowd->server(), exchange.network, first.capabilities().mac);
  if (!prepared.ok()) return prepared;
  for (uint16_t i = 1; i < CrowdClient::kPorts; ++i) {
    Endpoint another = LoopbackTarget();
    another.port = static_cast<uint16_t>(another.port + i);
    if (crowd->server().Listen(another, 4 * kConcurrency) != stack::ListenResult::kOk) {
      return absl::InternalError("listening on " + another.ToString());
    }
  }
  return crowd;
}

void Crowd::Turn() {
  client_->Poll(now_);
  server_->Poll(now_);
  const uint64_t closed = client_app_.closed();
  now_ = now_ + kTurn + per_close_ * static_cast<int64_t>(closed - closed_seen_);
  closed_seen_ = closed;
}

void Crowd::Settle() {
  const Instant end = now_ + Duration::Seconds(5);
  while (now_ < end) {
    client_->Poll(now_);
    server_->Poll(now_);
    // A poll does a bounded part of what is due.
    if (client().NextDeadline() > now_ && server().NextDeadline() > now_) {
      now_ = now_ + Duration::Milliseconds(1);
    }
  }
}

}  // namespace millrace::bench

#include "apps/common/load_client.h"

#include <algorithm>
#include <cmath>

namespace millrace::apps {
namespace {

uint64_t NsSince(Instant start, Instant now) {
  return static_cast<uint64_t>(std::max<int64_t>(0, (now - start).ns()));
}

}  // namespace

void LoadResult::Add(const LoadResult& other) {
  opened += other.opened;
  ok += other.ok;
  for (size_t i = 0; i < failed.size(); ++i) failed[i] += other.failed[i];
  not_opened += other.not_opened;
  if (other.last_refusal != stack::ConnectResult::kOk) last_refusal = other.last_refusal;
  ok_in_window += other.ok_in_window;
  window = std::max(window, other.window);
  connect_ns.Add(other.connect_ns);
  first_byte_ns.Add(other.first_byte_ns);
  close_ns.Add(other.close_ns);
  total_ns.Add(other.total_ns);
}

LoadClient::LoadClient(const LoadPlan& plan, const Pattern& pattern, LiveLoad& live)
    : plan_(plan), pattern_(pattern), live_(live), flows_(plan.concurrency) {
  free_.reserve(plan.concurrency);
  for (uint32_t i = plan.concurrency; i > 0; --i) free_.push_back(i - 1);
  if (plan.rate_per_s > 0) {
    interval_ = Duration::Nanoseconds(std::max<int64_t>(1, std::llround(1e9 / plan.rate_per_s)));
  }
}

void LoadClient::OnOpen(stack::Socket socket) {
  Flow& flow = Of(socket);
  flow.opened = now_;
  if (!reached_) {
    // From here on it counts: the neighbours know each other, and the target answers.
    reached_ = true;
    start_ = next_open_ = now_;
  }
  result_.connect_ns.Record(NsSince(flow.intended, now_));
  if (!socket.SendStatic(pattern_.Piece(0, plan_.request_bytes))) socket.Abort();
}

size_t LoadClient::OnReceive(stack::Socket socket, std::span<const std::byte> data) {
  Flow& flow = Of(socket);
  if (flow.received == 0) result_.first_byte_ns.Record(NsSince(flow.opened, now_));
  flow.received += static_cast<uint32_t>(data.size());
  if (plan_.client_closes && flow.received >= plan_.response_bytes) {
    flow.closing = now_;
    socket.Close();
  }
  return data.size();
}

void LoadClient::OnPeerClosed(stack::Socket socket) {
  Of(socket).closing = now_;
  socket.Close();
}

void LoadClient::OnClose(stack::Socket socket, tcp::CloseReason reason) {
  const auto index = static_cast<uint32_t>(socket.user_data());
  const Flow& flow = flows_[index];
  if (reason == tcp::CloseReason::kNormal && flow.received == plan_.response_bytes) {
    ++result_.ok;
    result_.close_ns.Record(NsSince(flow.closing, now_));
    result_.total_ns.Record(NsSince(flow.intended, now_));
  } else {
    ++result_.failed[static_cast<size_t>(reason)];
  }
  free_.push_back(index);
}

void LoadClient::OpenSome(stack::Engine& engine) {
  for (int i = 0; i < kOpensPerPollMax && !free_.empty(); ++i) {
    if (plan_.count != 0 && result_.opened == plan_.count) return;
    if (plan_.rate_per_s > 0 && next_open_ > now_) return;
    // One alone until the first is open: behind an address that ARP is still asking for, all but
    // a few SYNs would be dropped and come again a second later.
    if (!reached_ && open() > 0) return;
    const uint32_t index = free_.back();
    stack::Socket socket;
    const stack::ConnectResult connected = engine.Connect(plan_.target, index, &socket);
    if (connected != stack::ConnectResult::kOk) {
      ++result_.not_opened;
      result_.last_refusal = connected;
      return;
    }
    free_.pop_back();
    flows_[index] = {.intended = plan_.rate_per_s > 0 ? next_open_ : now_};
    ++result_.opened;
    next_open_ = next_open_ + interval_;
  }
}

void LoadClient::EndWindow() {
  window_over_ = true;
  result_.window = now_ - start_;
  result_.ok_in_window = result_.ok;
}

void LoadClient::OnPoll(stack::Engine& engine, Instant now) {
  now_ = now;
  if (!started_) {
    started_ = true;
    start_ = next_open_ = now;
  }
  if (!window_over_) {
    const bool all_opened = plan_.count != 0 && result_.opened == plan_.count;
    const bool time_over = plan_.duration.ns() != 0 && now - start_ >= plan_.duration;
    // With a count the window lasts until the last of them is over.
    if (time_over || (all_opened && open() == 0) || live_.stop.load(std::memory_order_relaxed)) {
      EndWindow();
    } else {
      OpenSome(engine);
    }
  }
  if (now >= next_publish_ || (window_over_ && open() == 0)) Publish(engine);
}

void LoadClient::Publish(const stack::Engine& engine) {
  next_publish_ = now_ + Duration::Milliseconds(1);
  live_.ok.store(result_.ok, std::memory_order_relaxed);
  live_.failed.store(result_.failed_total(), std::memory_order_relaxed);
  live_.open.store(open(), std::memory_order_relaxed);
  live_.retransmits.store(engine.tcp_counters().retrans_segs, std::memory_order_relaxed);
  live_.done.store(window_over_ && open() == 0, std::memory_order_relaxed);
}

}  // namespace millrace::apps

#include "apps/kernel/kernel_engine.h"

#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <utility>

namespace millrace::apps {
namespace {

constexpr int kCloseState = 7;  // CLOSED by the kernel's numbers, also of what went to TIME-WAIT

tcp::CloseReason ReasonOf(int error) {
  switch (error) {
    case ECONNREFUSED:
      return tcp::CloseReason::kRefused;
    case ECONNRESET:
    case EPIPE:
    case ECONNABORTED:
      return tcp::CloseReason::kReset;
    case ETIMEDOUT:
      return tcp::CloseReason::kTimedOut;
    default:  // EHOSTUNREACH, ENETUNREACH, EACCES, ENOPROTOOPT: what ICMP or a filter said
      return tcp::CloseReason::kUnreachable;
  }
}

}  // namespace

KernelEngine::KernelEngine(const Options& options)
    : socket_options_(options.sockets),
      sources_(options.sources),
      clock_(options.clock),
      connections_(options.connections),
      read_(kReadBytes) {
  free_.reserve(connections_.size());
  for (auto i = static_cast<uint32_t>(connections_.size()); i > 0; --i) free_.push_back(i - 1);
}

absl::StatusOr<std::unique_ptr<KernelEngine>> KernelEngine::Create(const Options& options) {
  std::unique_ptr<KernelEngine> engine(new KernelEngine(options));
  engine->epoll_ = epoll_create1(EPOLL_CLOEXEC);
  if (engine->epoll_ >= 0) return engine;
  return absl::ResourceExhaustedError(std::string("no epoll of the kernel: ") +
                                      std::strerror(errno));
}

KernelEngine::~KernelEngine() {
  for (Connection& c : connections_) {
    if (c.fd >= 0) close(c.fd);
  }
  if (epoll_ >= 0) close(epoll_);
}

const KernelEngine::Connection* KernelEngine::Find(stack::ConnectionId id) const {
  if (id.index >= connections_.size()) return nullptr;
  const Connection& c = connections_[id.index];
  return c.used && !c.over && c.generation == id.generation ? &c : nullptr;
}

bool KernelEngine::IsEnding(stack::ConnectionId id) const {
  if (id.index >= connections_.size()) return false;
  const Connection& c = connections_[id.index];
  return c.over && c.generation == id.generation && c.reason != tcp::CloseReason::kAborted;
}

std::span<const epoll_event> KernelEngine::Events() {
  size_t count = std::exchange(waited_for_, 0);
  if (count == 0) {
    const int n = epoll_wait(epoll_, events_.data(), static_cast<int>(events_.size()), 0);
    count = static_cast<size_t>(std::max(n, 0));  // EINTR: none
  }
  work_ += count;
  return {events_.data(), count};
}

void KernelEngine::Wait(Duration most) {
  if (waited_for_ > 0 || !again_.empty()) return;
  const timespec limit = {.tv_sec = most.ns() / 1'000'000'000,
                          .tv_nsec = most.ns() % 1'000'000'000};
  const int n =
      epoll_pwait2(epoll_, events_.data(), static_cast<int>(events_.size()), &limit, nullptr);
  waited_for_ = static_cast<size_t>(std::max(n, 0));
}

void KernelEngine::LookAgain(stack::ConnectionId id, uint32_t events) {
  Connection* const c = Find(id);
  if (c == nullptr) return;
  c->again_events |= events;
  if (!std::exchange(c->queued, true)) again_.push_back(id);
}

std::vector<stack::ConnectionId> KernelEngine::TakeAgain() {
  for (const stack::ConnectionId& id : again_) {
    if (Connection* const c = Find(id)) c->queued = false;
  }
  work_ += again_.size();
  return std::exchange(again_, {});
}

uint32_t KernelEngine::TakeAgainEvents(stack::ConnectionId id) {
  Connection* const c = Find(id);
  return c == nullptr || c->queued ? 0 : std::exchange(c->again_events, 0);
}

stack::ConnectionId KernelEngine::IdOf(const epoll_event& event) {
  return {static_cast<uint32_t>(event.data.u64), static_cast<uint32_t>(event.data.u64 >> 32)};
}

bool KernelEngine::FinishConnect(stack::ConnectionId id, uint32_t events) {
  Connection* const c = Find(id);
  if (c == nullptr || c->connected || (events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) == 0) {
    return false;
  }
  int error = 0;
  socklen_t length = sizeof error;
  getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &length);
  if (error != 0) {
    EndBy(*c, error);
    return false;
  }
  c->connected = true;
  return true;
}

bool KernelEngine::IsConnected(stack::ConnectionId id) const {
  const Connection* const c = Find(id);
  return c != nullptr && c->connected;
}

// Sends from the front of *data. False when the kernel has no memory.
bool KernelEngine::SendPiece(Connection& c, std::span<const std::byte>* data) {
  while (!data->empty()) {
    const ssize_t n = send(c.fd, data->data(), data->size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n >= 0) {
      *data = data->subspan(static_cast<size_t>(n));
    } else if (errno == EAGAIN) {
      ++counters_.sends_cut_short;
      return true;
    } else if (errno == ENOBUFS || errno == ENOMEM) {
      ++counters_.memory_exhausted;
      return false;
    } else if (errno != EINTR) {
      *data = {};
      EndBy(c, errno);
    }
  }
  return true;
}

void KernelEngine::Flush(stack::ConnectionId id) {
  Connection* const c = Find(id);
  if (c == nullptr || c->unsent == nullptr) return;
  Unsent& unsent = *c->unsent;
  while (unsent.at < unsent.pieces.size()) {
    std::span<const std::byte>& piece = unsent.pieces[unsent.at];
    if (!SendPiece(*c, &piece)) return LookAgain(id, EPOLLOUT);
    if (c->over || !piece.empty()) return;
    ++unsent.at;
  }
  c->unsent.reset();
  if (c->fin_wanted) SendFin(*c);
}

KernelEngine::ReadResult KernelEngine::Receive(stack::ConnectionId id) {
  Connection* const c = Find(id);
  if (c == nullptr || c->peer_closed) return {};
  ssize_t n;
  do {
    n = recv(c->fd, read_.data(), read_.size(), MSG_DONTWAIT);
  } while (n < 0 && errno == EINTR);
  if (n > 0) {
    const auto count = static_cast<size_t>(n);
    return {ReadKind::kData, std::span(read_).first(count), count == read_.size()};
  }
  if (n == 0) {
    c->peer_closed = true;
    return {.kind = ReadKind::kEnd};
  }
  if (errno != EAGAIN) EndBy(*c, errno);
  return {};
}

void KernelEngine::SendFin(Connection& c) {
  if (c.fin_sent) return;
  c.fin_sent = true;
  shutdown(c.fd, SHUT_WR);  // where it is reset already, the kernel says so by an event
}

void KernelEngine::Settle(stack::ConnectionId id, uint32_t events) {
  Connection* const c = Find(id);
  if (c == nullptr || !c->connected) return;
  const bool both = c->fin_sent && c->peer_closed;
  if (!(both && c->closing) && (events & (EPOLLERR | EPOLLHUP)) == 0) return;
  if (ReadInfo(*c, /*count=*/false) != kCloseState) return;
  int error = 0;
  socklen_t length = sizeof error;
  getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &length);
  if (error != 0) return EndBy(*c, error);
  if (!both) return EndBy(*c, ECONNRESET);
  if (c->closing) End(*c, tcp::CloseReason::kNormal);
}

int KernelEngine::ReadInfo(Connection& c, bool count) {
  tcp_info info{};
  socklen_t length = sizeof info;
  if (getsockopt(c.fd, IPPROTO_TCP, TCP_INFO, &info, &length) != 0) {
    ++counters_.not_counted;
    return -1;
  }
  if (count) {
    // Counters of the kernel wrap as these do.
    counters_.in_segs += info.tcpi_segs_in - std::exchange(c.in_segs, info.tcpi_segs_in);
    counters_.out_segs += info.tcpi_segs_out - std::exchange(c.out_segs, info.tcpi_segs_out);
    counters_.retrans_segs +=
        info.tcpi_total_retrans - std::exchange(c.retrans_segs, info.tcpi_total_retrans);
  }
  return info.tcpi_state;
}

void KernelEngine::CountSome(Instant now) {
  if (now < next_count_) return;
  next_count_ = now + Duration::Milliseconds(1);
  size_t counted = 0;
  const size_t visits = std::min(kVisitedMax, connections_.size());
  for (size_t i = 0; i < visits && counted < kCountedMax; ++i) {
    Connection& c = connections_[next_counted_];
    next_counted_ = next_counted_ + 1 == connections_.size() ? 0 : next_counted_ + 1;
    if (!c.used || c.over) continue;
    ReadInfo(c, /*count=*/true);
    ++counted;
  }
}

void KernelEngine::CountAll() {
  for (Connection& c : connections_) {
    if (c.used && !c.over) ReadInfo(c, /*count=*/true);
  }
}

void KernelEngine::EndBy(Connection& c, int error) {
  const tcp::CloseReason reason = ReasonOf(error);
  if (reason == tcp::CloseReason::kRefused || reason == tcp::CloseReason::kReset) {
    ++counters_.rst_received;
  }
  if (reason == tcp::CloseReason::kTimedOut) ++counters_.abort_on_timeout;
  if (reason == tcp::CloseReason::kUnreachable) ++counters_.unreachable;
  End(c, reason);
}

// Nothing of one that did not end well stays in the kernel.
void KernelEngine::End(Connection& c, tcp::CloseReason reason) {
  if (c.over) return;
  ReadInfo(c, /*count=*/true);
  if (reason != tcp::CloseReason::kNormal) {
    const linger now{.l_onoff = 1, .l_linger = 0};
    setsockopt(c.fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  }
  close(std::exchange(c.fd, -1));
  c.over = true;
  c.reason = reason;
  over_.push_back({IdOf(c), reason});
}

bool KernelEngine::TakeOver(Over* over) {
  if (over_.empty()) return false;
  *over = over_.back();
  over_.pop_back();
  ++work_;
  return true;
}

void KernelEngine::Release(stack::ConnectionId id) {
  Connection& c = connections_[id.index];
  const uint32_t generation = c.generation + 1 == 0 ? 1 : c.generation + 1;
  c = Connection();
  c.generation = generation;
  free_.push_back(id.index);
}

}  // namespace millrace::apps

// kernel/kernel_socket.cc - the calls of an application on one connection.

#include <netinet/in.h>
#include <sys/socket.h>

#include "apps/kernel/kernel_engine.h"

namespace millrace::apps {

uint64_t KernelSocket::user_data() const { return engine_->connections_[id_.index].user_data; }

bool KernelSocket::SendStatic(std::span<const std::byte> data) const {
  KernelEngine::Connection* const c = engine_->Find(id_);
  if (c == nullptr) return engine_->IsEnding(id_);
  if (c->fin_wanted) return false;
  ++engine_->work_;
  if (c->unsent == nullptr && !engine_->SendPiece(*c, &data)) return false;
  if (data.empty() || c->over) return true;
  if (c->unsent == nullptr) c->unsent = std::make_unique<KernelEngine::Unsent>();
  c->unsent->pieces.push_back(data);
  return true;
}

size_t KernelSocket::Send(std::span<const std::byte> data) const {
  KernelEngine::Connection* const c = engine_->Find(id_);
  if (c == nullptr) return engine_->IsEnding(id_) ? data.size() : 0;
  if (c->fin_wanted) return 0;
  ++engine_->work_;
  std::span<const std::byte> left = data;
  if (c->unsent == nullptr && !engine_->SendPiece(*c, &left)) return 0;
  if (left.empty() || c->over) return data.size();
  if (c->unsent == nullptr) c->unsent = std::make_unique<KernelEngine::Unsent>();
  c->unsent->copies.emplace_back(left.begin(), left.end());
  c->unsent->pieces.emplace_back(c->unsent->copies.back());
  return data.size();
}

void KernelSocket::Shutdown() const {
  KernelEngine::Connection* const c = engine_->Find(id_);
  if (c == nullptr || c->fin_wanted) return;
  ++engine_->work_;
  c->fin_wanted = true;
  if (c->unsent == nullptr) engine_->SendFin(*c);
}

void KernelSocket::Close() const {
  KernelEngine::Connection* const c = engine_->Find(id_);
  if (c == nullptr || c->closing) return;
  Shutdown();
  c->closing = true;
  // The kernel may have said all that it has to say.
  if (c->peer_closed) engine_->LookAgain(id_, EPOLLRDHUP);
}

void KernelSocket::Abort() const {
  KernelEngine::Connection* const c = engine_->Find(id_);
  if (c == nullptr) return;
  ++engine_->work_;
  ++engine_->counters_.abort_by_user;
  engine_->End(*c, tcp::CloseReason::kAborted);
}

bool KernelSocket::SetDiffserv(uint8_t dscp) const {
  if (dscp == engine_->socket_options_.dscp) return true;  // all begin with it
  const KernelEngine::Connection* const c = engine_->Find(id_);
  if (c == nullptr) return false;
  const int field = dscp << 2;
  return (c->v4 ? setsockopt(c->fd, IPPROTO_IP, IP_TOS, &field, sizeof field)
                : setsockopt(c->fd, IPPROTO_IPV6, IPV6_TCLASS, &field, sizeof field)) == 0;
}

}  // namespace millrace::apps

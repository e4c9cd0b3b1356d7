// stack/engine_fast_open.cc - SYNs with data or a Fast Open option, and what servers answer to ours
// (RFC 7413; the protocol is in tcp/fast_open.h).

#include <algorithm>
#include <optional>
#include <span>

#include "millrace/base/check.h"
#include "millrace/stack/engine.h"
#include "millrace/tcp/fast_open.h"
#include "millrace/tcp/isn.h"

namespace millrace::stack {

void Engine::SetFastOpenKeys(std::span<const SipKey> keys) {
  MR_CHECK(keys.size() <= kFastOpenKeysMax);
  std::copy(keys.begin(), keys.end(), fast_open_keys_.begin());
  fast_open_key_count_ = keys.size();
}

tcp::FastOpenCookie Engine::MakeFastOpenCookie(const FlowKey& key) const {
  if (fast_open_key_count_ == 0) {
    return tcp::MakeFastOpenCookie(secrets_.fast_open, key.addresses(), env_.now);
  }
  return tcp::MakeSharedFastOpenCookie(fast_open_keys_[0], RemoteOf(key), LocalOf(key));
}

bool Engine::CheckFastOpenCookie(const FlowKey& key, std::span<const std::byte> cookie) const {
  if (fast_open_key_count_ == 0) {
    return tcp::CheckFastOpenCookie(secrets_.fast_open, key.addresses(), env_.now, cookie);
  }
  const std::span keys = std::span(fast_open_keys_).first(fast_open_key_count_);
  return std::any_of(keys.begin(), keys.end(), [&](const SipKey& shared) {
    const auto right = tcp::MakeSharedFastOpenCookie(shared, RemoteOf(key), LocalOf(key));
    return std::equal(right.begin(), right.end(), cookie.begin(), cookie.end());
  });
}

void Engine::OnSynWithMore(Parsed& p, uint16_t listener) {
  const wire::Segment& syn = p.frame.tcp;
  const tcp::Config& config = env_.config;
  const bool trusted =
      config.fast_open_server && config.fast_open_server_cookieless && syn.payload_length > 0;
  const bool wanted = config.fast_open_server && syn.HasOption(wire::kFastOpenOption) && !trusted;
  bool good = trusted;
  if (wanted && syn.fast_open_length > 0) {
    good = CheckFastOpenCookie(p.key, {syn.fast_open, syn.fast_open_length});
    if (!good) ++env_.counters.fast_open_passive_fail;
  }
  if (good && AcceptFastOpen(p, listener)) return;
  if (syn.payload_length > 0) ++env_.counters.syn_data_ignored;
  const size_t before = reply_count_;
  OnListenerSyn(p, listener, SeqNum(), false);
  if (wanted && reply_count_ > before) {
    // RFC 7413 4.1.2: a cookie for who asks, and for who has an old one, in the form asked for.
    ++env_.counters.fast_open_cookies_given;
    constexpr wire::OptionBits kForm = wire::kFastOpenOption | wire::kFastOpenExperiment;
    replies_[before].segment.SetCookie(MakeFastOpenCookie(p.key), syn.options & kForm);
  }
}

bool Engine::AcceptFastOpen(Parsed& p, uint16_t listener) {
  const uint16_t neighbor = NextHop(p.key);
  if (neighbor == Neighbors::kNone || !tcp::HasRoomForFastOpen(env_)) return false;
  // One too many is dropped where all are, in OnListenerFull.
  if (listeners_[listener].guarded && !source_limit_.Take(RemoteOf(p.key), env_.now)) return false;
  const uint32_t index = TakeConnection(p.key, neighbor, listeners_[listener].user_data);
  if (index == kNoIndex) return false;
  Connection& connection = connections_[index];
  connection.listener = listener;
  const tcp::TupleSecrets secrets =
      tcp::DeriveTupleSecrets(secrets_.isn, p.key.addresses(), p.key.ports(), env_.now);
  tcp::PayloadFate fate = tcp::PayloadFate::kNotKept;
  const FlowRef ref(FlowKind::kConnection, index);
  if (!table_.Insert(p.hash, ref)) {
    FreeConnection(connection);
    return false;
  }
  tcp::AcceptFastOpen(connection.tcb, tcp::MakeHalfOpen(p.frame.tcp, secrets, env_), p.frame.tcp,
                      env_, &fate);
  (void)tcp::OnPathMtu(connection.tcb, PathMss(p.key, env_.config.mss), env_);
  if (fate == tcp::PayloadFate::kNotKept) env_.released.Push(p.frame.tcp.handle);
  p.frame.tcp.handle = wire::PacketHandle::kNone;
  MarkDirty(connection);
  return true;
}

// Before the SYN of an active open goes out.
void Engine::BeginFastOpen(Connection& connection) {
  const FastOpenCache::Entry* const known = fast_open_cache_.Find(connection.key.addresses());
  if (known != nullptr && env_.now < known->blocked_until) return;
  if (env_.config.fast_open_client_cookieless) {
    const uint16_t mss = known == nullptr || known->mss == 0 ? UINT16_MAX : known->mss;
    tcp::UseFastOpen(connection.tcb, std::nullopt, mss, env_);
  } else if (known == nullptr) {
    tcp::UseFastOpen(connection.tcb, std::span<const std::byte>(), 0, env_);
  } else {
    tcp::UseFastOpen(connection.tcb, known->bytes(), known->mss, env_);
  }
}

uint32_t Engine::FastOpenRoom(const IpAddress& local, const IpAddress& remote) const {
  if (!env_.config.fast_open_client) return 0;
  FlowKey key;
  if (local.IsV4()) {
    key = FlowKey::V4(local.v4(), 0, remote.v4(), 0);
  } else {
    (void)pairs_.FindKey(local, 0, remote, 0, &key);  // the digest does not need a record
  }
  const FastOpenCache::Entry* const known = fast_open_cache_.Find(key.addresses());
  if (known != nullptr && env_.now < known->blocked_until) return 0;
  const bool cookieless = env_.config.fast_open_client_cookieless;
  if (!cookieless && (known == nullptr || known->length == 0)) return 0;
  const uint16_t mss = local.IsV4() ? env_.config.mss : MssV6();
  if (known == nullptr || known->mss == 0) return tcp::FastOpenRoom(mss);
  return tcp::FastOpenRoom(std::min(known->mss, mss));
}

// The SYN-ACK of a server that our SYN asked.
void Engine::LearnFastOpen(const Parsed& p, const Connection& connection) {
  const wire::Segment& syn_ack = p.frame.tcp;
  const uint64_t addresses = connection.key.addresses();
  const uint16_t mss = syn_ack.HasOption(wire::kMssOption) ? syn_ack.mss : env_.config.mss_default;
  const bool given = syn_ack.HasOption(wire::kFastOpenOption) && syn_ack.fast_open_length > 0;
  if (given && !env_.config.fast_open_client_cookieless) {
    fast_open_cache_.Learn(addresses, {syn_ack.fast_open, syn_ack.fast_open_length}, mss);
    return;
  }
  // RFC 7413 4.1.3: the MSS is cached beside the cookie, which stays as it was.
  const bool known = fast_open_cache_.Find(addresses) != nullptr;
  if (known || env_.config.fast_open_client_cookieless) fast_open_cache_.LearnMss(addresses, mss);
  const Duration blocked = env_.config.fast_open_blocked;
  if (connection.tcb.Has(tcp::kSynRetransmitted) && !given && blocked > Duration()) {
    // RFC 7413 7.1: something on the way does not like the option or the data.
    ++env_.counters.fast_open_blackhole;
    fast_open_cache_.Block(addresses, env_.now + blocked);
  }
}

}  // namespace millrace::stack

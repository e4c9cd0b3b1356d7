// stack/engine_fast_open.cc - SYNs with data or a Fast Open option, and what servers answer to ours
// (RFC 7413; the protocol is in tcp/fast_open.h).

#include <algorithm>
#include <span>

#include "millrace/stack/engine.h"
#include "millrace/tcp/fast_open.h"
#include "millrace/tcp/isn.h"

namespace millrace::stack {

// True: the packet is taken care of.
bool Engine::OnSynWithMore(Parsed& p, uint16_t listener) {
  const wire::Segment& syn = p.frame.tcp;
  const bool wanted = env_.config.fast_open_server && syn.HasOption(wire::kFastOpenOption);
  if (wanted && syn.fast_open_length > 0) {
    const std::span<const std::byte> cookie(syn.fast_open, syn.fast_open_length);
    if (!tcp::CheckFastOpenCookie(secrets_.fast_open, p.key.addresses(), env_.now, cookie)) {
      ++env_.counters.fast_open_passive_fail;
    } else if (AcceptFastOpen(p, listener)) {
      return true;
    }
  }
  if (syn.payload_length > 0) ++env_.counters.syn_data_ignored;
  const size_t before = reply_count_;
  OnListenerSyn(p, listener, SeqNum(), false);
  if (wanted && reply_count_ > before) {
    // RFC 7413 4.1.2: a cookie for who asks, and for who has an old one.
    ++env_.counters.fast_open_cookies_given;
    replies_[before].segment.SetCookie(
        tcp::MakeFastOpenCookie(secrets_.fast_open, p.key.addresses(), env_.now));
  }
  return false;
}

bool Engine::AcceptFastOpen(Parsed& p, uint16_t listener) {
  // One too many is dropped where all are, in OnListenerFull.
  if (listeners_[listener].guarded && !source_limit_.Take(RemoteOf(p.key), env_.now)) return false;
  const uint16_t neighbor = NextHop(p.key);
  if (neighbor == Neighbors::kNone) return false;
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
  if (!tcp::AcceptFastOpen(connection.tcb, tcp::MakeHalfOpen(p.frame.tcp, secrets, env_),
                           p.frame.tcp, env_, &fate)) {
    table_.Erase(p.hash, ref);
    FreeConnection(connection);
    return false;
  }
  (void)tcp::OnPathMtu(connection.tcb, PathMss(p.key, env_.config.mss), env_);
  if (fate == tcp::PayloadFate::kNotKept) env_.released.push_back(p.frame.tcp.handle);
  MarkDirty(connection);
  return true;
}

// Before the SYN of an active open goes out.
void Engine::BeginFastOpen(Connection& connection) {
  const FastOpenCache::Entry* const known = fast_open_cache_.Find(connection.key.addresses());
  if (known == nullptr) {
    tcp::UseFastOpen(connection.tcb, {}, 0, env_);
  } else if (env_.now >= known->blocked_until) {
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
  if (known == nullptr || known->length == 0 || env_.now < known->blocked_until) return 0;
  const uint16_t mss = key.IsV4() ? env_.config.mss : MssV6();
  return tcp::FastOpenRoom(std::min(known->mss, mss));
}

// The SYN-ACK of a server that our SYN asked.
void Engine::LearnFastOpen(const Parsed& p, const Connection& connection) {
  const wire::Segment& syn_ack = p.frame.tcp;
  const uint64_t addresses = connection.key.addresses();
  if (syn_ack.HasOption(wire::kFastOpenOption) && syn_ack.fast_open_length > 0) {
    const uint16_t mss =
        syn_ack.HasOption(wire::kMssOption) ? syn_ack.mss : env_.config.mss_default;
    fast_open_cache_.Learn(addresses, {syn_ack.fast_open, syn_ack.fast_open_length}, mss);
  } else if (connection.tcb.Has(tcp::kSynRetransmitted)) {
    // RFC 7413 7.1: something on the way does not like the option or the data.
    ++env_.counters.fast_open_blackhole;
    fast_open_cache_.Block(addresses, env_.now);
  }
}

}  // namespace millrace::stack

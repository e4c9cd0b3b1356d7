// stack/engine_cookie.cc - opening without memory: SYNs that a listener has no room for.

#include "millrace/stack/engine.h"
#include "millrace/tcp/half_open.h"
#include "millrace/tcp/isn.h"
#include "millrace/tcp/syn_cookie.h"

namespace millrace::stack {

void Engine::CountSynDrop(const Listener& listener) {
  ++(listener.half_open < listener.backlog_wanted() ? env_.counters.half_open_full
                                                    : env_.counters.listen_overflows);
  ++env_.counters.listen_drops;
}

bool Engine::MayTakeSyn(const FlowKey& key, const Listener& listener) {
  if (listener.HasRoomForSyn(half_opens_.free())) return true;
  return listener.guarded && listener.HasRoomBehindGuard(half_opens_.free()) &&
         source_limit_.Take(RemoteOf(key), env_.now);
}

void Engine::OnListenerFull(const Parsed& p, uint16_t index, SeqNum iss_floor, bool has_floor) {
  Listener& listener = listeners_[index];
  if (listener.guarded) {
    // A cookie would be a SYN-ACK too (SFL-10).
    if (!source_limit_.Take(RemoteOf(p.key), env_.now)) {
      ++env_.counters.syn_source_limited;
      ++env_.counters.listen_drops;
      return;
    }
    if (listener.HasRoomBehindGuard(half_opens_.free())) {
      return TakeSyn(p, index, iss_floor, has_floor);
    }
  }
  if (env_.config.syn_cookies == tcp::SynCookies::kNever) {
    CountSynDrop(listener);
    return;
  }
  const tcp::TupleSecrets secrets = tcp::SecretsOf(TupleHashOf(p), env_.now);
  const tcp::HalfOpen half_open = tcp::MakeHalfOpen(p.frame.tcp, secrets, env_);
  listener.cookies_until = env_.now + tcp::kSynCookieLife;
  ++env_.counters.syncookies_sent;
  const tcp::SynCookieTuple tuple{p.key.addresses(), p.key.ports()};
  Reply(p.key, Neighbors::kNone, tcp::SynAckWithCookie(syn_cookie_keys_, tuple, half_open, env_));
}

// Null, and the packet is still the caller's: it is an ACK like any other.
Connection* Engine::OnCookieAck(Parsed& p, uint16_t listener) {
  const wire::Segment& segment = p.frame.tcp;
  if (segment.Has(wire::kSyn)) return nullptr;
  const tcp::TupleSecrets secrets =
      tcp::DeriveTupleSecrets(secrets_.isn, p.key.addresses(), p.key.ports(), env_.now);
  const tcp::SynCookieTuple tuple{p.key.addresses(), p.key.ports()};
  tcp::HalfOpen half_open;
  if (!tcp::CheckSynCookie(syn_cookie_keys_, tuple, segment, secrets.ts_offset, env_, &half_open)) {
    ++env_.counters.syncookies_failed;
    return nullptr;
  }
  ++env_.counters.syncookies_received;
  const uint16_t neighbor = NextHop(p.key);
  const uint32_t index = neighbor == Neighbors::kNone
                             ? kNoIndex
                             : TakeConnection(p.key, neighbor, listeners_[listener].user_data);
  if (index == kNoIndex) {
    // The peer is ESTABLISHED: its data brings the cookie again, for as long as it lives.
    ++env_.counters.connections_full;
    ++env_.counters.listen_overflows;
    ReleasePacket(p);
    return nullptr;
  }
  Connection& connection = connections_[index];
  if (!table_.Insert(p.hash, FlowRef(FlowKind::kConnection, index))) {
    ++env_.counters.table_full;
    FreeConnection(connection);
    ReleasePacket(p);
    return nullptr;
  }
  connection.listener = listener;
  tcp::Establish(connection.tcb, half_open, env_);
  (void)tcp::OnPathMtu(connection.tcb, PathMss(p.key, env_.config.mss), env_);
  return &connection;
}

}  // namespace millrace::stack

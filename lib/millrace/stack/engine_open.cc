// stack/engine_open.cc - listening, and connections that the application opens.

#include <algorithm>
#include <span>

#include "millrace/base/inline.h"
#include "millrace/stack/engine.h"
#include "millrace/tcp/connection.h"
#include "millrace/tcp/isn.h"

namespace millrace::stack {

const char* ToString(ConnectResult result) {
  switch (result) {
    case ConnectResult::kOk:
      return "ok";
    case ConnectResult::kNoPorts:
      return "every source port for this destination is in use or in TIME-WAIT";
    case ConnectResult::kNoMemory:
      return "connection pool full";
    case ConnectResult::kNoRoute:
      return "no route";
    case ConnectResult::kBadAddress:
      return "bad address";
    case ConnectResult::kUnsupported:
      return "address family not supported";
  }
  return "?";
}

const char* ToString(ListenResult result) {
  switch (result) {
    case ListenResult::kOk:
      return "ok";
    case ListenResult::kInUse:
      return "address in use";
    case ListenResult::kNotOurs:
      return "not an address of this interface";
    case ListenResult::kUnsupported:
      return "address family not supported";
  }
  return "?";
}

uint16_t Engine::NextHop(const FlowKey& key) {
  // Nearly always that of an earlier flow: a gateway, the one server of a load test, its clients.
  const LastHop& hop = last_hops_[key.remote_v4() % kLastHops];
  if (key.IsV4() && key.remote_v4() == hop.destination_v4 && hop.era == neighbors_.era() &&
      neighbors_.IsHeld(hop.neighbor)) [[likely]] {
    return hop.neighbor;
  }
  return FindNextHop(key);
}

uint16_t Engine::FindNextHop(const FlowKey& key) {
  const IpAddress hop = NextHopAddress(key);
  if (hop == IpAddress() || hop == IpAddress::V4(0)) return Neighbors::kNone;
  const uint16_t neighbor = neighbors_.Lookup(hop, env_.now);
  if (key.IsV4() && neighbor != Neighbors::kNone) {
    last_hops_[key.remote_v4() % kLastHops] = {key.remote_v4(), neighbors_.era(), neighbor};
  }
  return neighbor;
}

ListenResult Engine::Listen(const Endpoint& local, uint32_t backlog, uint64_t user_data) {
  const IpAddress& address = local.address;
  if (!Carries(address)) return ListenResult::kUnsupported;
  // An IPv6 address may be listened on while its detection goes on.
  const bool ours = address.IsV4() ? address.v4() == 0 || net_.Owns(address.v4())
                                   : address == IpAddress() || net_.v6.Names(address);
  if (!ours) return ListenResult::kNotOurs;
  const bool always = env_.config.syn_cookies == tcp::SynCookies::kAlways;
  const uint16_t index = listeners_.Add(address, local.port, always ? 0 : backlog, user_data);
  if (index == ListenerTable::kNone) return ListenResult::kInUse;
  if (source_limit_.enabled()) listeners_.Guard(index);
  return ListenResult::kOk;
}

void Engine::CloseListener(const Endpoint& local) {
  const uint16_t index = listeners_.Find(local.address, local.port);
  // Find also gives the listener on all addresses, which is another one.
  if (index != ListenerTable::kNone && listeners_[index].address == local.address) {
    listeners_.Close(index);
  }
}

bool Engine::Check(const Endpoint& remote, ConnectResult* why) const {
  if (!Carries(remote.address)) {
    *why = ConnectResult::kUnsupported;
    return false;
  }
  if (!remote.address.IsV4()) return CheckV6(remote, why);
  // RFC 9293 3.9.2.3 (MUST-46): "A TCP implementation MUST reject as an error a local OPEN call
  // for an invalid remote IP address (e.g., a broadcast or multicast address)."
  // What the parser refuses too: of the frames of a flow it is not asked again.
  const bool bad = !plain_.IsPeer(remote.address.v4()) || remote.port == 0;
  if (bad) *why = ConnectResult::kBadAddress;
  return !bad;
}

// Inlined, also where connections rarely are opened: a call took Connect 24 instructions.
MR_ALWAYS_INLINE ConnectResult Engine::OpenWith(const FlowKey& key, uint64_t hash,
                                                tcp::TupleSecrets secrets, uint64_t user_data,
                                                Socket* socket) {
  const uint16_t neighbor = NextHop(key);
  if (neighbor == Neighbors::kNone) {
    ++counters_.tx_no_route;
    return ConnectResult::kNoRoute;
  }
  const uint32_t index = TakeConnection(key, neighbor, user_data);
  if (index == kNoIndex) {
    ++env_.counters.connections_full;
    return ConnectResult::kNoMemory;
  }
  Connection& connection = connections_[index];
  if (!table_.Insert(hash, FlowRef(FlowKind::kConnection, index))) {
    ++env_.counters.table_full;
    FreeConnection(connection);
    return ConnectResult::kNoMemory;
  }
  uint16_t mss = key.IsV4() ? env_.config.mss : MssV6();
  if (!path_mtus_.empty()) [[unlikely]]
    mss = PathMss(key, mss);
  tcp::OpenActive(connection.tcb, {.iss = secrets.iss, .ts_offset = secrets.ts_offset, .mss = mss},
                  env_);
  if (env_.config.fast_open_client) [[unlikely]]
    BeginFastOpen(connection);
  MarkDirty(connection);
  if (socket != nullptr) *socket = SocketOf(connection);
  return ConnectResult::kOk;
}

namespace {

FlowKey KeyFrom(SourcePorts::Candidate c, const Endpoint& remote) {
  return FlowKey::V4(c.address_low, c.port, remote.address.v4(), remote.port);
}

}  // namespace

ConnectResult Engine::Connect(const Endpoint& remote, uint64_t user_data, Socket* socket) {
  ConnectResult why = ConnectResult::kOk;
  if (!Check(remote, &why)) return why;
  if (connections_.free() == 0) {
    ++env_.counters.connections_full;
    return ConnectResult::kNoMemory;
  }
  if (!remote.address.IsV4()) return ConnectV6(remote, user_data, socket);
  const SourcePorts::Choice* const next = source_ports_.PeekNext(remote);
  if (next != nullptr) [[likely]] {
    const FlowKey key = KeyFrom(next->candidate, remote);
    // FindFlow itself is inlined where segments come.
    const auto is_flow = [this, &key](FlowRef ref) { return KeyOf(ref) == key; };
    if (!table_.Find(next->prepared, is_flow)) [[likely]] {
      source_ports_.TakeNext();
      return OpenWith(key, next->prepared, tcp::SecretsOf(next->secret, env_.now), user_data,
                      socket);
    }
  }
  return ConnectByChoice(remote, user_data, socket);
}

// Draws source ports when none is left that was, and passes over those in use. A function of its
// own, whose lambdas keep what they capture out of the memory of the other one (14 instructions).
[[gnu::noinline]] ConnectResult Engine::ConnectByChoice(const Endpoint& remote, uint64_t user_data,
                                                        Socket* socket) {
  const auto key_of = [&remote](SourcePorts::Candidate c) { return KeyFrom(c, remote); };
  FlowRef reused;
  const SourcePorts::Choice* const choice = source_ports_.Choose(
      remote, [this, key_of](SourcePorts::Candidate c) { return table_.Hash(key_of(c)); },
      [&](SourcePorts::Candidate c, uint64_t hash) {
        reused = FindFlow(hash, key_of(c));
        return !reused || MayReuse(reused);
      },
      [this, key_of](std::span<SourcePorts::Choice> drawn) {
        for (const auto& c : drawn) table_.PrefetchBucket(c.prepared);
        for (; !drawn.empty(); drawn = drawn.subspan(std::min(drawn.size(), kSipLanes))) {
          tcp::HashTuples(
              secrets_.isn, std::min(drawn.size(), kSipLanes),
              [&](size_t i) { return TupleOf(key_of(drawn[i].candidate)); },
              [&](size_t i, uint64_t secret) { drawn[i].secret = secret; });
        }
      });
  if (choice == nullptr) {
    ++env_.counters.ports_exhausted;
    return ConnectResult::kNoPorts;
  }
  const FlowKey key = key_of(choice->candidate);
  if (reused) return Reopen(key, choice->prepared, reused, user_data, socket);
  return OpenWith(key, choice->prepared, tcp::SecretsOf(choice->secret, env_.now), user_data,
                  socket);
}

// An opening of ours may take a tuple out of its TIME-WAIT when what protects a listener's (RFC
// 6191 2) protects the peer: both had timestamps, which have advanced since, so that the peer,
// should it still know the old incarnation, sees the SYN as new, and old duplicates fail PAWS. As
// Linux, a second must have passed. The ISS is put above the old one's last sequence number.
bool Engine::MayReuse(FlowRef ref) const {
  if (ref.kind() != FlowKind::kTimeWait || !env_.config.time_wait_reuse) return false;
  const TimeWait& old = time_waits_[ref.index()];
  if (!old.tcp.timestamps || !env_.config.timestamps) return false;
  constexpr auto kTicksOf = [](Duration d) {
    return static_cast<uint32_t>(d.ns() >> kTimeWaitShift);
  };
  const uint32_t left = old.timer.tick - time_wait_tick();
  return left + kTicksOf(Duration::Seconds(1)) + 1 <= kTicksOf(env_.config.time_wait);
}

ConnectResult Engine::Reopen(const FlowKey& key, uint64_t hash, FlowRef old, uint64_t user_data,
                             Socket* socket) {
  if (NextHop(key) == Neighbors::kNone) {  // then the old incarnation stays
    ++counters_.tx_no_route;
    return ConnectResult::kNoRoute;
  }
  const tcp::TimeWait last = time_waits_[old.index()].tcp;
  RemoveTimeWait(old.index());
  ++env_.counters.time_wait_recycled;
  tcp::TupleSecrets secrets =
      tcp::DeriveTupleSecrets(secrets_.isn, key.addresses(), key.ports(), env_.now);
  secrets.iss = tcp::IssAbove(last, secrets.iss);
  return OpenWith(key, hash, secrets, user_data, socket);
}

uint32_t Engine::SourcePortFill(const Endpoint& remote) {
  constexpr uint32_t kSamples = 256;
  const bool v4 = remote.address.IsV4();
  uint32_t used = 0, samples = 0;
  SourcePorts& ports = v4 ? source_ports_ : SourcePortsFor(remote.address);
  ports.Sample(remote, kSamples, [&](SourcePorts::Candidate c) {
    ++samples;
    FlowKey key;
    if (v4) {
      key = FlowKey::V4(c.address_low, c.port, remote.address.v4(), remote.port);
    } else if (!pairs_.FindKey(ports.AddressOf(c), c.port, remote.address, remote.port, &key)) {
      return;
    }
    const FlowRef ref = FindFlow(table_.Hash(key), key);
    used += ref && !MayReuse(ref) ? 1 : 0;
  });
  return samples == 0 ? 1000 : used * 1000 / samples;
}

ConnectResult Engine::ConnectFrom(const Endpoint& local, const Endpoint& remote, uint64_t user_data,
                                  Socket* socket) {
  ConnectResult why = ConnectResult::kOk;
  if (!Check(remote, &why)) return why;
  const IpAddress& from = local.address;
  const bool ours = from.IsV4() ? plain_.IsLocal(from.v4()) : net_.v6.Owns(from);
  if (!ours || from.IsV4() != remote.address.IsV4() || local.port == 0) {
    return ConnectResult::kBadAddress;
  }
  FlowKey key;
  if (!MakeKey(local, remote, &key)) return ConnectResult::kNoMemory;
  const uint64_t hash = table_.Hash(key);
  if (FindFlow(hash, key)) return ConnectResult::kNoPorts;
  return Open(key, hash, user_data, socket);
}

ConnectResult Engine::Open(const FlowKey& key, uint64_t hash, uint64_t user_data, Socket* socket) {
  return OpenWith(key, hash,
                  tcp::DeriveTupleSecrets(secrets_.isn, key.addresses(), key.ports(), env_.now),
                  user_data, socket);
}

}  // namespace millrace::stack

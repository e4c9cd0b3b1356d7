#include "millrace/stack/engine.h"

#include <algorithm>

#include "millrace/tcp/connection.h"
#include "millrace/tcp/isn.h"
#include "millrace/tcp/time_wait.h"

namespace millrace::stack {
namespace {

uint32_t MaskOf(int bits) { return bits <= 0 ? 0 : 0xFFFF'FFFFu << (32 - bits); }

wire::LocalNet NetOf(const EngineConfig& config, const PortCapabilities& port) {
  wire::LocalNet net;
  net.mac = port.mac;
  net.address_v4 = config.address.address.v4();
  net.owned_mask = MaskOf(config.owned_bits);
  net.network_mask = MaskOf(config.address.length_bits);
  return net;
}

tcp::Config TcpConfigOf(const EngineConfig& config, const PortCapabilities& port) {
  tcp::Config tcp = config.tcp;
  // RFC 9293 3.7.1 (MUST-67): what the link carries, less both headers without options.
  tcp.mss = std::min<uint16_t>(tcp.mss, static_cast<uint16_t>(port.mtu - 40));
  return tcp;
}

uint32_t FlowCapacity(const Limits& limits) {
  const uint64_t sum = uint64_t{limits.connections} + limits.half_open + limits.time_wait;
  return static_cast<uint32_t>(std::min<uint64_t>(sum, FlowRef::kIndexMax));
}

}  // namespace

const char* ToString(ConnectResult result) {
  switch (result) {
    case ConnectResult::kOk:
      return "ok";
    case ConnectResult::kNoPorts:
      return "no free source port";
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

Engine::Engine(const EngineConfig& config, const PortCapabilities& port,
               const EngineSecrets& secrets, Instant now)
    : config_(config),
      secrets_(secrets),
      env_(TcpConfigOf(config, port), config.limits.send_extents, config.limits.send_chunks,
           config.limits.receive_nodes, config.limits.receive_chunks, config.limits.extras,
           config.limits.recoveries, config.limits.sent_runs),
      net_(NetOf(config, port)),
      builder_(port, config.ttl),
      table_(FlowCapacity(config.limits), secrets.table, config.pages),
      connections_(config.limits.connections, config.pages),
      half_opens_(config.limits.half_open, config.pages),
      time_waits_(config.limits.time_wait, config.pages),
      connection_wheel_(tcp::TickFloor(now)),
      half_open_wheel_(tcp::TickFloor(now)),
      time_wait_wheel_(static_cast<uint32_t>(now.ns() >> kTimeWaitShift)),
      neighbors_(net_, {.hash_secret = secrets.neighbor}),
      route_{net_.address_v4, net_.network_mask, config.gateway_v4},
      source_ports_({.addresses = {config.address.address, config.owned_bits},
                     .first_port = config.source_port_min,
                     .last_port = config.source_port_max,
                     .secret = secrets.ports}),
      stateless_limit_(config.stateless_replies_per_s, config.stateless_replies_burst) {
  const auto keys_of = [](const auto& slab) {
    const auto* first = slab.objects();
    if (first == nullptr) return KeyPlace{};  // no memory: ok_ will say so
    return KeyPlace{reinterpret_cast<const std::byte*>(&first->key), sizeof *first};
  };
  key_places_[static_cast<size_t>(FlowKind::kHalfOpen)] = keys_of(half_opens_);
  key_places_[static_cast<size_t>(FlowKind::kConnection)] = keys_of(connections_);
  key_places_[static_cast<size_t>(FlowKind::kTimeWait)] = keys_of(time_waits_);
  env_.SetNow(now);
  // Every packet that is held can be released in one poll, besides those of the burst itself.
  env_.released.reserve(config.limits.receive_nodes + 4 * kBurst + Neighbors::kParkedMax);
  const Limits& l = config.limits;
  ok_ = table_.capacity() > 0 && connections_.capacity() == l.connections &&
        half_opens_.capacity() == l.half_open && time_waits_.capacity() == l.time_wait &&
        env_.send_pool.extents.capacity() == l.send_extents &&
        env_.send_pool.chunks.capacity() == l.send_chunks &&
        env_.receive_pool.nodes.capacity() == l.receive_nodes &&
        env_.receive_pool.chunks.capacity() == l.receive_chunks &&
        env_.extras.capacity() == l.extras &&
        env_.recovery_pool.records.capacity() == l.recoveries &&
        env_.recovery_pool.runs.capacity() == l.sent_runs;
}

uint16_t Engine::NextHop(uint32_t remote_v4) {
  const uint32_t hop = route_.NextHop(remote_v4);
  if (hop == 0) return Neighbors::kNone;
  return neighbors_.Lookup(hop, env_.now);
}

ListenResult Engine::Listen(const Endpoint& local, uint32_t backlog, uint64_t user_data) {
  if (!local.address.IsV4()) return ListenResult::kUnsupported;
  const uint32_t v4 = local.address.v4();
  if (v4 != 0 && !net_.Owns(v4)) return ListenResult::kNotOurs;
  const bool always = env_.config.syn_cookies == tcp::SynCookies::kAlways;
  const uint16_t index = listeners_.Add(v4, local.port, always ? 0 : backlog, user_data);
  return index == ListenerTable::kNone ? ListenResult::kInUse : ListenResult::kOk;
}

void Engine::CloseListener(const Endpoint& local) {
  const uint16_t index = listeners_.Find(local.address.v4(), local.port);
  if (index != ListenerTable::kNone) listeners_.Close(index);
}

bool Engine::Check(const Endpoint& remote, ConnectResult* why) const {
  if (!remote.address.IsV4()) {
    *why = ConnectResult::kUnsupported;
    return false;
  }
  const uint32_t v4 = remote.address.v4();
  const uint32_t host_part = v4 & ~net_.network_mask;
  const bool on_link = route_.OnLink(v4);
  // RFC 9293 3.9.2.3 (MUST-46): "A TCP implementation MUST reject as an error a local OPEN call
  // for an invalid remote IP address (e.g., a broadcast or multicast address)."
  const bool broadcast = v4 == 0xFFFF'FFFF || (on_link && net_.network_mask < 0xFFFF'FFFE &&
                                               host_part == ~net_.network_mask);
  const bool bad = v4 == 0 || (v4 >> 28) >= 0xE || (v4 >> 24) == 127 || broadcast ||
                   net_.Owns(v4) || remote.port == 0;
  if (bad) *why = ConnectResult::kBadAddress;
  return !bad;
}


ConnectResult Engine::Connect(const Endpoint& remote, uint64_t user_data, Socket* socket) {
  ConnectResult why = ConnectResult::kOk;
  if (!Check(remote, &why)) return why;
  if (connections_.free() == 0) {
    ++env_.counters.connections_full;
    return ConnectResult::kNoMemory;
  }
  const uint32_t remote_v4 = remote.address.v4();
  const auto key_of = [&](SourcePorts::Candidate c) {
    return FlowKey::V4(c.address_v4, c.port, remote_v4, remote.port);
  };
  const auto choice = source_ports_.Choose(
      remote,
      [&](SourcePorts::Candidate c) {
        const uint64_t hash = table_.Hash(key_of(c));
        table_.PrefetchBucket(hash);
        return hash;
      },
      [&](SourcePorts::Candidate c, uint64_t hash) { return !FindFlow(hash, key_of(c)); });
  if (!choice.has_value()) {
    ++env_.counters.ports_exhausted;
    return ConnectResult::kNoPorts;
  }
  return Open(key_of(choice->candidate), choice->prepared, user_data, socket);
}

ConnectResult Engine::ConnectFrom(const Endpoint& local, const Endpoint& remote,
                                  uint64_t user_data, Socket* socket) {
  ConnectResult why = ConnectResult::kOk;
  if (!Check(remote, &why)) return why;
  if (!local.address.IsV4() || !net_.Owns(local.address.v4()) || local.port == 0) {
    return ConnectResult::kBadAddress;
  }
  const FlowKey key =
      FlowKey::V4(local.address.v4(), local.port, remote.address.v4(), remote.port);
  const uint64_t hash = table_.Hash(key);
  if (FindFlow(hash, key)) return ConnectResult::kNoPorts;
  return Open(key, hash, user_data, socket);
}

ConnectResult Engine::Open(const FlowKey& key, uint64_t hash, uint64_t user_data,
                           Socket* socket) {
  const uint16_t neighbor = NextHop(key.remote_v4());
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
  const tcp::TupleSecrets secrets = tcp::DeriveTupleSecrets(
      secrets_.isn, key.addresses, key.ports_and_pair(), env_.now);
  tcp::OpenActive(connection.tcb,
                  {.iss = secrets.iss, .ts_offset = secrets.ts_offset, .mss = env_.config.mss},
                  env_);
  MarkDirty(connection);
  if (socket != nullptr) *socket = SocketOf(connection);
  return ConnectResult::kOk;
}

uint32_t Engine::TakeConnection(const FlowKey& key, uint16_t neighbor, uint64_t user_data) {
  const uint32_t index = connections_.Take();
  if (index == kNoIndex) return kNoIndex;
  Connection& c = connections_[index];
  c.key = key;
  c.user_data = user_data;
  c.dirty_next = Connection::kNotListed;
  if (++c.generation == 0) ++c.generation;
  c.neighbor = neighbor;
  c.listener = ListenerTable::kNone;
  c.in_use = true;
  c.detached = false;
  neighbors_.Ref(neighbor);
  return index;
}

void Engine::FreeConnection(Connection& connection) {
  MR_DCHECK(connection.in_use);
  MR_DCHECK(connection.dirty_next == Connection::kNotListed);
  neighbors_.Unref(connection.neighbor);
  connection.in_use = false;
  connections_.Give(connections_.IndexOf(connection));
}

// The connection's place in the table goes to a TIME-WAIT, or becomes free.
void Engine::LeaveTable(Connection& connection) {
  if (connection.tcb.state == tcp::State::kTimeWait) {
    EnterTimeWait(connection);
  } else {
    const FlowRef ref(FlowKind::kConnection, connections_.IndexOf(connection));
    table_.Erase(table_.Hash(connection.key), ref);
  }
}

void Engine::EnterTimeWait(Connection& connection) {
  uint32_t index = time_waits_.Take();
  if (index == kNoIndex) {
    // Full: the one nearest to its end goes early, so that closing never fails.
    const uint32_t oldest = time_wait_wheel_.Earliest();
    ++env_.counters.time_wait_evicted;
    if (oldest != kNoIndex) {
      RemoveTimeWait(oldest, true);
      index = time_waits_.Take();
    }
  }
  const uint64_t hash = table_.Hash(connection.key);
  const FlowRef from(FlowKind::kConnection, connections_.IndexOf(connection));
  if (index == kNoIndex) {  // limits.time_wait is 0
    table_.Erase(hash, from);
    return;
  }
  TimeWait& time_wait = time_waits_[index];
  time_wait.key = connection.key;
  time_wait.tcp = tcp::MakeTimeWait(connection.tcb);
  table_.Replace(hash, from, FlowRef(FlowKind::kTimeWait, index));
  ScheduleTimeWait(index);
  ++env_.counters.time_waits;
}

void Engine::ScheduleTimeWait(uint32_t index) {
  const int64_t end_ns = (env_.now + env_.config.time_wait).ns();
  const int64_t tick_ns = int64_t{1} << kTimeWaitShift;
  time_wait_wheel_.Schedule(time_waits_, index,
                            static_cast<uint32_t>((end_ns + tick_ns - 1) >> kTimeWaitShift));
}

void Engine::RemoveTimeWait(uint32_t index, bool erase_flow) {
  TimeWait& time_wait = time_waits_[index];
  time_wait_wheel_.Cancel(time_waits_, index);
  if (erase_flow) {
    table_.Erase(table_.Hash(time_wait.key), FlowRef(FlowKind::kTimeWait, index));
  }
  time_waits_.Give(index);
}

void Engine::RemoveHalfOpen(uint32_t index, bool erase_flow) {
  HalfOpen& half_open = half_opens_[index];
  if (erase_flow) {
    table_.Erase(table_.Hash(half_open.key), FlowRef(FlowKind::kHalfOpen, index));
  }
  --listeners_[half_open.listener].half_open;
  half_open.listener = HalfOpen::kFree;
  neighbors_.Unref(half_open.neighbor);
  half_opens_.Give(index);
}

}  // namespace millrace::stack

#include "millrace/stack/engine.h"

#include <algorithm>
#include <utility>

#include "millrace/base/secret.h"
#include "millrace/stack/own_addresses.h"
#include "millrace/tcp/connection.h"
#include "millrace/tcp/isn.h"
#include "millrace/tcp/time_wait.h"

namespace millrace::stack {
namespace {

wire::LocalNet NetOf(const EngineConfig& config, const PortCapabilities& port) {
  wire::LocalNet net;
  net.mac = port.mac;
  // Without IPv4: an address that no packet gets through with.
  net.address_v4 = 0xFFFF'FFFF;
  if (config.address.length_bits == 0) return net;
  net.address_v4 = config.address.address.v4();
  net.owned_mask = MaskOf(config.owned_bits);
  net.network_mask = MaskOf(config.address.length_bits);
  return net;
}

SourcePortConfig PortsOf(const EngineConfig& config, const IpPrefix& addresses,
                         const EngineSecrets& secrets) {
  return {.addresses = addresses,
          .first_port = config.source_port_min,
          .last_port = config.source_port_max,
          .secret = secrets.ports,
          .sequential = config.source_ports_sequential,
          .all_addresses = IsInside(config, addresses),
          .steering = config.steering,
          .worker = config.worker};
}

tcp::Config TcpConfigOf(const tcp::Config& config, const PortCapabilities& port) {
  tcp::Config tcp = config;
  // RFC 9293 3.7.1 (MUST-67): what the link carries, less both headers without options.
  tcp.mss = std::min<uint16_t>(tcp.mss, static_cast<uint16_t>(port.mtu - 40));
  return tcp;
}

// The share of a worker that owns connections; one that owns none needs next to nothing.
template <class T>
T Part(T limit, const Steering& of, uint32_t index) {
  constexpr T kOfDispatcher = 64;
  if (index < of.first_owner()) return std::min(limit, kOfDispatcher);
  return ShareOf(limit, index - of.first_owner(), of.workers() - of.first_owner());
}

uint32_t FlowCapacity(const Limits& limits) {
  const uint64_t sum = uint64_t{limits.connections} + limits.half_open + limits.time_wait;
  return static_cast<uint32_t>(std::min<uint64_t>(sum, FlowRef::kIndexMax));
}

template <class Record>
RecordPlace RecordPlaceOf(const Slab<Record>& slab, FlowKind kind) {
  return {reinterpret_cast<uintptr_t>(slab.objects()) - FlowRef(kind, 0).bits() * sizeof(Record),
          sizeof(Record)};
}

}  // namespace

EngineConfig EngineConfig::ForWorker(const Steering& of, uint32_t index) const {
  EngineConfig part = *this;
  part.steering = &of;
  part.worker = index;
  Limits& l = part.limits;
  for (uint32_t* limit :
       {&l.connections, &l.half_open, &l.time_wait, &l.send_extents, &l.send_chunks,
        &l.receive_nodes, &l.receive_chunks, &l.extras, &l.recoveries, &l.sent_runs,
        &l.address_pairs, &part.stateless_replies_per_s, &part.stateless_replies_burst}) {
    *limit = Part(*limit, of, index);
  }
  tcp::Config& t = part.tcp;
  t.fast_open_pending_max = Part(t.fast_open_pending_max, of, index);
  t.receive_tuning_bytes_max = Part(t.receive_tuning_bytes_max, of, index);
  return part;
}

Engine::Engine(const EngineConfig& config, const PortCapabilities& port,
               const EngineSecrets& secrets, Instant now)
    : config_(config),
      secrets_(secrets),
      env_(TcpConfigOf(config.tcp, port), config.limits.send_extents, config.limits.send_chunks,
           config.limits.receive_nodes, config.limits.receive_chunks, config.limits.extras,
           config.limits.recoveries, config.limits.sent_runs),
      net_(NetOf(config, port)),
      plain_(net_),
      pairs_(config.host_v6.address.length_bits == 0 ? 0 : config.limits.address_pairs,
             secrets.address_pairs, config.pages),
      host_v6_(config.host_v6, port.mac, now),
      builder_(port, config.ttl, pairs_),
      table_(FlowCapacity(config.limits), secrets.table, config.pages),
      connections_(config.limits.connections, config.pages),
      half_opens_(config.limits.half_open, config.pages),
      time_waits_(config.limits.time_wait, config.pages),
      connection_wheel_(tcp::TickFloor(now)),
      neighbors_(net_, {.hash_secret = secrets.neighbor}),
      route_{net_.address_v4, net_.network_mask, config.gateway_v4},
      source_ports_(PortsOf(config, {IpAddress::V4(net_.address_v4), config.owned_bits}, secrets)),
      source_ports_v6_(
          PortsOf(config, {config.host_v6.address.address, config.host_v6.owned_bits}, secrets)),
      source_ports_link_local_(PortsOf(config, {host_v6_.net().link_local, 128}, secrets)),
      path_mtus_(secrets.neighbor),
      source_limit_(config.syns_per_source_per_s, config.syns_per_source_burst,
                    secrets.source_limit),
      fast_open_cache_(config.tcp.fast_open_client),
      syn_cookie_keys_(secrets.syn_cookie, now),
      stateless_limit_(config.stateless_replies_per_s, config.stateless_replies_burst),
      visits_(config.limits.connections) {
  const auto keys_of = [](const auto& slab) {
    const auto* first = slab.objects();
    if (first == nullptr) return KeyPlace{};  // no memory: ok_ will say so
    return KeyPlace{reinterpret_cast<const std::byte*>(&first->key), sizeof *first};
  };
  ExcludeFromCoreDump(this, sizeof *this);
  secrets_.syn_cookie = {};  // the seed would tell the keys that have been dropped
  key_places_[static_cast<size_t>(FlowKind::kHalfOpen)] = keys_of(half_opens_);
  key_places_[static_cast<size_t>(FlowKind::kConnection)] = keys_of(connections_);
  key_places_[static_cast<size_t>(FlowKind::kTimeWait)] = keys_of(time_waits_);
  connection_place_ = RecordPlaceOf(connections_, FlowKind::kConnection);
  nobody_.key = FlowKey::Nobodys();
  env_.SetNow(now);
  net_.v6 = host_v6_.net();
  // Every packet that is held can be released in one poll, besides those of the burst itself.
  env_.released.Reserve(config.limits.receive_nodes + 4 * kBurst + Neighbors::kParkedMax);
  const Limits& l = config.limits;
  ok_ = l.connections <= kConnectionsMax && table_.capacity() > 0 && pairs_.ok() && visits_.ok() &&
        connections_.capacity() == l.connections && half_opens_.capacity() == l.half_open &&
        time_waits_.capacity() == l.time_wait &&
        env_.send_pool.extents.capacity() == l.send_extents &&
        env_.send_pool.chunks.capacity() == l.send_chunks &&
        env_.receive_pool.nodes.capacity() == l.receive_nodes &&
        env_.receive_pool.chunks.capacity() == l.receive_chunks &&
        env_.extras.capacity() == l.extras &&
        env_.recovery_pool.IsComplete(l.recoveries, l.sent_runs,
                                      config.tcp.congestion == tcp::CongestionKind::kBbr);
}

bool Engine::SetTcpConfig(const tcp::Config& config) {
  const auto windows = [](const tcp::Config& c) {
    return std::pair(std::pair(c.receive_buffer_bytes, c.receive_buffer_max_bytes),
                     c.window_scaling);
  };
  if (table_.size() > 0 && windows(config) != windows(env_.config)) return false;
  if (config.fast_open_client && !fast_open_cache_.used()) return false;
  env_.SetConfig(TcpConfigOf(config, builder_.port()));
  return true;
}

void Engine::EraseFlow(const Connection& connection) {
  const FlowRef ref(FlowKind::kConnection, connections_.IndexOf(connection));
  table_.Erase(table_.Hash(connection.key), ref);
}

void Engine::EnterTimeWait(Connection& connection) {
  uint32_t index = time_waits_.Take();
  if (index == kNoIndex) [[unlikely]] {
    EvictTimeWaits();
    index = time_waits_.Take();
  }
  const FlowRef from(FlowKind::kConnection, connections_.IndexOf(connection));
  if (index == kNoIndex) {  // limits.time_wait is 0
    table_.Erase(table_.Hash(connection.key), from);
    return;
  }
  TimeWait& time_wait = time_waits_[index];
  time_wait.key = connection.key;
  pairs_.Ref(connection.key);
  tcp::FillTimeWait(connection.tcb, time_wait.tcp);
  const FlowRef to(FlowKind::kTimeWait, index);
  if (const FlowRef* const place = table_.StillAt(connection.listed, from)) [[likely]] {
    FlowTable::ReplaceAt(place, to);
    time_wait.set_place(connection.listed);
  } else {
    table_.Replace(table_.Hash(connection.key), from, to);
    time_wait.set_place(0);
  }
  ScheduleTimeWait(index);
  ++env_.counters.time_waits;
}

void Engine::ScheduleTimeWait(uint32_t index) {
  const int64_t end_ns = (env_.now + env_.config.time_wait).ns();
  const int64_t tick_ns = int64_t{1} << kTimeWaitShift;
  time_wait_queue_.Append(time_waits_, index,
                          static_cast<uint32_t>((end_ns + tick_ns - 1) >> kTimeWaitShift));
}

void Engine::RemoveTimeWait(uint32_t index) {
  time_wait_queue_.Remove(time_waits_, index);
  FreeTimeWait(index);
}

void Engine::RemoveHalfOpen(uint32_t index) {
  half_open_queue_.Remove(half_opens_, index);
  FreeHalfOpen(index);
}

// REQUIRES: it has left the queue.
void Engine::FreeHalfOpen(uint32_t index) {
  const HalfOpen& half_open = half_opens_[index];
  table_.Erase(table_.Hash(half_open.key), FlowRef(FlowKind::kHalfOpen, index));
  --listeners_[half_open.listener].half_open;
  neighbors_.Unref(half_open.neighbor);
  pairs_.Unref(half_open.key);
  half_opens_.Give(index);
}

}  // namespace millrace::stack

// stack/engine.h - one worker's TCP: demultiplexing, pools, timers, listeners, neighbours, and the
// application's calls. Everything of Stack that needs neither the port nor the application's type.
//
// Stack::Poll (stack/stack.h) drives it, in this order:
//   BeginPoll(now); Input(frames); RunTimers(); then for each PopDirty(): the application's events,
//   PollSend, FinishVisit; replies() and released() are taken and cleared along the way.
// Threading: one owner. Nothing allocates after construction.
#ifndef MILLRACE_STACK_ENGINE_H_
#define MILLRACE_STACK_ENGINE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "millrace/base/slab.h"
#include "millrace/base/token_bucket.h"
#include "millrace/stack/address_pairs.h"
#include "millrace/stack/counters.h"
#include "millrace/stack/engine_config.h"
#include "millrace/stack/engine_types.h"
#include "millrace/stack/fast_open_cache.h"
#include "millrace/stack/flow_table.h"
#include "millrace/stack/frame_builder.h"
#include "millrace/stack/half_open_queue.h"
#include "millrace/stack/host_v6.h"
#include "millrace/stack/listener.h"
#include "millrace/stack/neighbor.h"
#include "millrace/stack/path_mtu.h"
#include "millrace/stack/port.h"
#include "millrace/stack/records.h"
#include "millrace/stack/socket.h"
#include "millrace/stack/source_limit.h"
#include "millrace/stack/source_port.h"
#include "millrace/stack/time_wait_queue.h"
#include "millrace/stack/timer_wheel.h"
#include "millrace/stack/visit_list.h"
#include "millrace/tcp/connection.h"
#include "millrace/tcp/env.h"
#include "millrace/tcp/fast_open.h"
#include "millrace/tcp/isn.h"
#include "millrace/tcp/syn_cookie_keys.h"
#include "millrace/wire/plain_frame.h"

namespace millrace::stack {

class Engine {
 public:
  Engine(const EngineConfig& config, const PortCapabilities& port, const EngineSecrets& secrets,
         Instant now);
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // False when memory for the limits could not be had; the engine must not be used then.
  bool ok() const { return ok_; }

  // The application's side; see Socket for the calls on a connection.
  // Passive OPEN on an address of ours, or on all of a family (0.0.0.0 or ::). `backlog` bounds
  // half-open connections. Accepted sockets start with `user_data`.
  ListenResult Listen(const Endpoint& local, uint32_t backlog, uint64_t user_data = 0);
  // The listener on exactly this; half-open connections of it go on. Nothing when there is none.
  void CloseListener(const Endpoint& local);
  // Active OPEN from an address and port of the engine's choice. On kOk *socket is the connection,
  // in SYN-SENT; OnOpen or OnClose follows.
  ConnectResult Connect(const Endpoint& remote, uint64_t user_data, Socket* socket);
  ConnectResult ConnectFrom(const Endpoint& local, const Endpoint& remote, uint64_t user_data,
                            Socket* socket);
  // Fast Open (Config::fast_open_client): octets that a SYN to `remote` could carry now, when they
  // are sent before the next poll; 0 without a cookie.
  uint32_t FastOpenRoom(const IpAddress& local, const IpAddress& remote) const;
  // Fast Open cookies under keys that other servers have too, so that they take each other's
  // (RFC 7413 6.3.4): made under the first, believed under each. Until the next call; with none,
  // under a key of this engine's own, which expire. REQUIRES: at most kFastOpenKeysMax.
  void SetFastOpenKeys(std::span<const SipKey> keys);
  static constexpr size_t kFastOpenKeysMax = 2;
  // Share of the tuples (source address and port of this worker) for a destination that are not to
  // be had, in thousandths, from 256 samples: a gauge, exact to about 4. Cost: 20 us.
  uint32_t SourcePortFill(const Endpoint& remote);

  // Changes the protocol's constants while connections live: for what happens from now on. False,
  // and nothing is changed, when there are flows and it would change the receive window (its
  // sizes, scaling), which they have promised to their peers; and when it would make a Fast Open
  // client of an engine that was not made as one and has no memory for cookies.
  [[nodiscard]] bool SetTcpConfig(const tcp::Config& config);

  // Stages of a poll.
  void BeginPoll(Instant now) {
    env_.SetNow(now);
    poll_era_ = neighbors_.era();
    visits_.MakeRoom();
  }
  void Input(std::span<const RxFrame> frames);
  void RunTimers();
  // Once a millisecond: room for new connections and their data, if there is hardly any
  // (stack/engine_pressure.cc).
  void RelievePressure();
  // Next connection that needs a visit. REQUIRES: HasDirty(); at most VisitList::kPopsMax a poll.
  Connection& PopDirty();
  // After events and PollSend: gives back what is over, arms the timer of what is not. Calls
  // on_close(socket, reason) for a connection that ends here; one that does not is visited `again`.
  template <class OnClose>
  void FinishVisit(Connection& connection, bool again, OnClose&& on_close);

  std::span<const StatelessReply> replies() const { return {replies_.data(), reply_count_}; }
  std::span<const ControlFrame> control_frames() const { return {control_.data(), control_count_}; }
  std::span<const Bounce> bounces() const { return {bounces_.data(), bounce_count_}; }
  std::span<const Unparked> unparked() const { return {unparked_.data(), unparked_count_}; }
  void ClearReplies() {
    reply_count_ = control_count_ = bounce_count_ = unparked_count_ = 0;
    pairs_.Sweep();
  }
  tcp::ReleasedPackets& released() { return env_.released; }

  // Everything the shell and tests look at.
  tcp::Env& env() { return env_; }
  const tcp::Counters& tcp_counters() const { return env_.counters; }
  // Whether the port refused what was sent last: more would only wait. Set by Stack.
  bool port_full() const { return port_full_; }
  void set_port_full(bool full) { port_full_ = full; }
  Counters& counters() { return counters_; }
  const Counters& counters() const { return counters_; }
  Neighbors& neighbors() { return neighbors_; }
  const FrameBuilder& builder() const { return builder_; }
  const EngineConfig& config() const { return config_; }
  const Slab<Connection>& connections() const { return connections_; }
  const Slab<HalfOpen>& half_opens() const { return half_opens_; }
  const Slab<TimeWait>& time_waits() const { return time_waits_; }
  const FlowTable& table() const { return table_; }
  const ListenerTable& listeners() const { return listeners_; }
  SourcePorts& source_ports() { return source_ports_; }
  // No deadline is before this; Instant::Never() when no timer runs. For sleeping and simulation.
  Instant NextDeadline() const;
  bool HasDirty() const { return !visits_.empty(); }
  // Next hop of a flow, found or made; Neighbors::kNone without route or room.
  uint16_t NextHop(const FlowKey& key);
  // Whether an index that was that when a reply was made, earlier in this poll, still is.
  bool IsNextHop(uint16_t neighbor, const FlowKey& key) const {
    if (key.IsV4() && neighbors_.era() == poll_era_) [[likely]]
      return true;
    return neighbors_.AddressOf(neighbor) == NextHopAddress(key);
  }
  IpAddress LocalOf(const FlowKey& key) const {
    return key.IsV4() ? IpAddress::V4(key.local_v4()) : pairs_.local(key);
  }
  IpAddress RemoteOf(const FlowKey& key) const {
    return key.IsV4() ? IpAddress::V4(key.remote_v4()) : pairs_.remote(key);
  }
  const HostV6& host_v6() const { return host_v6_; }
  const AddressPairs& address_pairs() const { return pairs_; }
  // Housekeeping of IPv6: the next frame of address detection or router discovery that is due.
  bool NextDiscovery(ControlFrame* frame);
  // The ARP request or neighbour solicitation for a probe that is due.
  void BuildProbe(const NeighborProbe& probe, ControlFrame* frame);
  Connection* Find(ConnectionId id);  // null when stale
  Socket SocketOf(const Connection& connection);
  Socket SocketOfVisited();  // REQUIRES: a visit
  void MarkDirty(Connection& connection);
  // Calls visit(connection) for each connection in use. Cost: the whole pool.
  template <class Visit>
  void ForEachConnection(Visit&& visit);

  // How long the application has kept it waiting for its close (O11). Exact up to 13 days.
  // REQUIRES: it is in CLOSE-WAIT.
  Duration CloseWaitAge(const Connection& connection) const;

  FlowRef FindFlowForTest(const FlowKey& key) const { return FindFlow(table_.Hash(key), key); }

  // Set by Stack while OnReceive runs: Close then counts the delivered octets as consumed.
  void BeginDelivery(const Connection& c) { delivering_ = &c; }
  // Applies what OnReceive consumed, and a Close that was called meanwhile.
  void EndDelivery(Connection& connection, size_t consumed);

 private:
  friend class Socket;
  static constexpr uint32_t kConnectionsMax = 1u << 28;
  static constexpr size_t kTimerWorkMax = 256;  // entries touched per poll, wheel and queue
  static constexpr size_t kExpiryBatch = 32;    // TIME-WAITs that leave the table together
  static constexpr size_t kRepliesMax = kBurst + kTimerWorkMax;
  static constexpr size_t kLastHops = 512;       // 6 KiB, of which a gateway alone takes 12 octets
  static constexpr size_t kControlMax = kBurst;  // a frame earns one at most
  static constexpr int kTimeWaitShift = 20;      // 2MSL is counted in ticks of 1 ms

  FlowRef FindFlow(uint64_t hash, const FlowKey& key) const;
  Connection& ConnectionOf(FlowRef ref);  // REQUIRES: it is one to a connection
  const FlowKey& KeyOf(FlowRef ref) const;
  [[gnu::noinline]] uint16_t FindNextHop(const FlowKey& key);
  void ParseAll(std::span<const RxFrame> frames);
  [[gnu::noinline]] bool ParseInLayers(const RxFrame& rx, Parsed& parsed);
  void FindCandidates(std::span<Parsed> burst);
  void OnNotTcp(const wire::ParsedFrame& frame, const RxFrame& rx);
  // The connection that it is for, or null: that was all. Who keeps the packet takes its handle.
  [[gnu::noinline]] Connection* OnOther(Parsed& parsed, const RxFrame& rx);
  Connection* OnUnmatched(Parsed& parsed);
  MR_ALWAYS_INLINE Connection* OnHalfOpen(Parsed& parsed, FlowRef ref);
  [[gnu::noinline]] void DropPair(const FlowKey& key);
  void OnListenerSyn(const Parsed& parsed, uint16_t listener, SeqNum iss_floor, bool has_floor);
  void TakeSyn(const Parsed& parsed, uint16_t listener, SeqNum iss_floor, bool has_floor);
  void CountNoRoute();
  void ReleasePacket(Parsed& parsed);
  void OnTimeWait(Parsed& parsed, FlowRef ref);
  void OnConnection(Parsed& parsed, Connection& connection);
  [[gnu::noinline]] void LeaveTableAt(const FlowRef* place, Connection& connection);
  void OnArp(const wire::ParsedFrame& frame);
  void OnIcmp(const wire::ParsedFrame& frame, RxFrame packet);
  void OnIcmpError(const wire::ParsedFrame& frame);
  void OnTcpError(const FlowKey& key, SeqNum seq, tcp::SoftError error);
  void OnPacketTooBig(const FlowKey& key, SeqNum seq, uint32_t mtu);
  uint16_t PathMss(const FlowKey& key, uint16_t mss) const;
  void OnUnwantedDatagram(const wire::ParsedFrame& frame);
  void SendUnparked(const NeighborResult& result);
  void Reply(const FlowKey& key, uint16_t neighbor, const tcp::TxSegment& segment);
  tcp::TxSegment& AddReply(const FlowKey& key, uint16_t neighbor);  // which the caller fills
  // Inlined, this and OnListenerFull cost the loop over a burst registers: 31 instructions.
  [[gnu::noinline]] void HashSyns(std::span<Parsed* const> syns);
  // REQUIRES: the segment came in the burst that is processed.
  uint64_t TupleHashOf(const Parsed& parsed) const {
    if (parsed.MayOpen()) [[likely]]
      return parsed.tuple_hash;
    return SipHash24Of12(secrets_.isn, parsed.key.addresses(), parsed.key.ports());
  }
  void ReplyReset(const Parsed& parsed);

  // engine_cookie.cc
  [[gnu::noinline]] void OnListenerFull(const Parsed& parsed, uint16_t listener, SeqNum iss_floor,
                                        bool has_floor);
  bool MayTakeSyn(const FlowKey& key, const Listener& listener);
  void CountSynDrop(const Listener& listener);
  Connection* OnCookieAck(Parsed& parsed, uint16_t listener);

  // engine_ipv6.cc
  bool TakeTcpV6(Parsed& parsed);
  void OnIcmpV6(const wire::ParsedFrame& frame, RxFrame packet);
  bool TurnEchoV6(const wire::ParsedFrame& frame, RxFrame packet);
  void OnIcmpErrorV6(const wire::ParsedFrame& frame);
  void OnProblemV6(const wire::ParsedFrame& frame);
  void OnSolicitation(const wire::ParsedFrame& frame);
  void OnAdvertisement(const wire::ParsedFrame& frame);
  void OnRouterAdvertisement(const wire::ParsedFrame& frame);
  void OnAddressConflict(const IpAddress& address);
  void OnGroupQuery(const wire::ParsedFrame& frame);
  void BuildGroupReport(wire::GroupRecord type, ControlFrame* frame);
  void BuildSolicitation(const IpAddress& target, const IpAddress& source, const IpAddress& to,
                         const MacAddress& mac, ControlFrame* frame);
  bool CheckV6(const Endpoint& remote, ConnectResult* why) const;
  SourcePorts& SourcePortsFor(const IpAddress& remote_v6);
  ConnectResult ConnectV6(const Endpoint& remote, uint64_t user_data, Socket* socket);
  bool MakeKey(const Endpoint& local, const Endpoint& remote, FlowKey* key);
  uint16_t MssV6() const;
  IpAddress NextHopAddress(const FlowKey& key) const {
    if (key.IsV4()) [[likely]]
      return IpAddress::V4(route_.NextHop(key.remote_v4()));
    return host_v6_.NextHop(pairs_.remote(key), env_.now);
  }
  bool Carries(const IpAddress& address) const {
    return address.IsV4() ? config_.address.length_bits != 0 : host_v6_.enabled();
  }

  // engine_fast_open.cc
  void OnSynWithMore(Parsed& parsed, uint16_t listener);
  bool AcceptFastOpen(Parsed& parsed, uint16_t listener);
  tcp::FastOpenCookie MakeFastOpenCookie(const FlowKey& key) const;
  bool CheckFastOpenCookie(const FlowKey& key, std::span<const std::byte> cookie) const;
  void BeginFastOpen(Connection& connection);
  void LearnFastOpen(const Parsed& parsed, const Connection& connection);

  // engine.cc
  uint32_t TakeConnection(const FlowKey& key, uint16_t neighbor, uint64_t user_data);
  // The same for who holds `neighbor` and the addresses of `key` already: what it holds passes on.
  uint32_t AdoptConnection(const FlowKey& key, uint16_t neighbor, uint64_t user_data);
  void FreeConnection(Connection& connection);
  void RemoveHalfOpen(uint32_t index);
  void FreeHalfOpen(uint32_t index);
  void RemoveTimeWait(uint32_t index);
  void FreeTimeWait(uint32_t index);
  void PrefetchTimeWait(const TimeWait& time_wait) const;
  void EnterTimeWait(Connection& connection);
  [[gnu::noinline]] void EvictTimeWaits();
  void ExpireTimeWaits();
  bool IsCrowded() const;
  void LeaveTable(Connection& connection);
  void EndVisit(Connection& connection);
  void EraseFlow(const Connection& connection);
  ConnectResult Open(const FlowKey& key, uint64_t hash, uint64_t user_data, Socket* socket);
  ConnectResult OpenWith(const FlowKey& key, uint64_t hash, tcp::TupleSecrets secrets,
                         uint64_t user_data, Socket* socket);
  ConnectResult ConnectByChoice(const Endpoint& remote, uint64_t user_data, Socket* socket);
  bool MayReuse(FlowRef ref) const;
  ConnectResult Reopen(const FlowKey& key, uint64_t hash, FlowRef old, uint64_t user_data,
                       Socket* socket);
  bool Check(const Endpoint& remote, ConnectResult* why) const;
  void DoClose(Connection& connection);
  uint32_t time_wait_tick() const { return static_cast<uint32_t>(env_.now.ns() >> kTimeWaitShift); }
  void ScheduleTimeWait(uint32_t index);

  EngineConfig config_;
  EngineSecrets secrets_;
  tcp::Env env_;
  wire::LocalNet net_;
  wire::PlainFrameParser plain_;
  AddressPairs pairs_;
  HostV6 host_v6_;
  FrameBuilder builder_;
  FlowTable table_;
  Slab<Connection> connections_;
  Slab<HalfOpen> half_opens_;
  Slab<TimeWait> time_waits_;
  std::array<KeyPlace, 4> key_places_{};
  RecordPlace connection_place_{};
  TimerWheel<Connection, &Connection::timer, 4, 8> connection_wheel_;
  HalfOpenQueue half_open_queue_;
  TimeWaitQueue time_wait_queue_;
  Neighbors neighbors_;
  uint32_t poll_era_ = 0;  // of the neighbours when the poll began
  Route route_;
  std::array<LastHop, kLastHops> last_hops_{};  // by the last bits of the destination
  SourcePorts source_ports_, source_ports_v6_, source_ports_link_local_;
  PathMtus path_mtus_;
  ListenerTable listeners_;
  SourceLimit source_limit_;
  FastOpenCache fast_open_cache_;
  std::array<SipKey, kFastOpenKeysMax> fast_open_keys_{};
  size_t fast_open_key_count_ = 0;
  tcp::SynCookieKeys syn_cookie_keys_;
  TokenBucket stateless_limit_;
  Counters counters_;
  bool ok_ = false;
  bool port_full_ = false;
  Pressure pressure_;
  VisitList visits_;
  static constexpr ConnectionId kNobodysId{UINT32_MAX, UINT32_MAX};
  Connection* visiting_ = nullptr;          // valid between PopDirty and FinishVisit
  ConnectionId visiting_id_ = kNobodysId;   // of it; otherwise of none
  const Connection* delivering_ = nullptr;  // whose OnReceive runs
  bool close_deferred_ = false;

  size_t reply_count_ = 0, control_count_ = 0, bounce_count_ = 0, unparked_count_ = 0;
  Connection nobody_;  // whose key is that of no flow
  std::array<Parsed, kBurst> parsed_;
  std::array<StatelessReply, kRepliesMax> replies_;
  std::array<ControlFrame, kControlMax> control_;
  std::array<Bounce, kBurst> bounces_;
  std::array<Unparked, kBurst * NeighborResult::kPacketsMax> unparked_;
};

}  // namespace millrace::stack

#include "millrace/stack/engine_inline.h"

#endif  // MILLRACE_STACK_ENGINE_H_

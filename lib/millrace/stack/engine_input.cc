// stack/engine_input.cc - what a segment does: to a connection, a half-open one, a TIME-WAIT or
// none.

#include <algorithm>
#include <cstring>

#include "millrace/stack/engine.h"
#include "millrace/tcp/connection.h"
#include "millrace/tcp/isn.h"
#include "millrace/wire/icmp.h"

namespace millrace::stack {
namespace {

constexpr bool kNoFloor = false;

}  // namespace

FlowRef Engine::FindFlow(uint64_t hash, const FlowKey& key) const {
  return table_.Find(hash, [&](FlowRef ref) { return KeyOf(ref) == key; });
}

Connection* Engine::OnOther(Parsed& p, const RxFrame& rx) {
  if (p.frame.kind != wire::FrameKind::kTcp) {
    OnNotTcp(p.frame, rx);
    return nullptr;
  }
  // The frames before it in the burst may have changed the place, but it names a record that lives.
  const FlowRef near = p.place == nullptr ? FlowRef() : *p.place;
  const FlowRef ref = near && KeyOf(near) == p.key ? near : FindFlow(p.hash, p.key);
  Connection* connection = nullptr;
  switch (ref.kind()) {
    case FlowKind::kConnection:
      return &connections_[ref.index()];
    case FlowKind::kHalfOpen:
      connection = OnHalfOpen(p, ref);
      break;
    case FlowKind::kTimeWait:
      OnTimeWait(p, ref);
      break;
    case FlowKind::kNone:
      connection = OnUnmatched(p);
      break;
  }
  if (connection == nullptr && p.frame.tcp.handle != wire::PacketHandle::kNone) {
    env_.released.Push(p.frame.tcp.handle);
  }
  return connection;
}

void Engine::OnConnection(Parsed& p, Connection& connection) {
  neighbors_.Prefetch(connection.neighbor);  // the visit will send
  const tcp::InputResult result = tcp::OnSegment(connection.tcb, p.frame.tcp, env_);
  if (result.fate == tcp::PayloadFate::kNotKept) env_.released.Push(p.frame.tcp.handle);
  if (result.reply != tcp::Reply::kNone) [[unlikely]] {
    result.reply == tcp::Reply::kReset ? ReplyReset(p) : LearnFastOpen(p, connection);
  }
  MarkDirty(connection);
  if (tcp::IsAtEnd(connection.tcb.state)) LeaveTableAt(p.place, connection);
}

// What is closed leaves the table where its place is known: looked up when it is visited it took
// 48 instructions more. For TIME-WAIT it is too early, because the ACK is not sent yet: the place
// is kept. The frames before it in the burst may have moved the entry, or closed the connection
// already.
void Engine::LeaveTableAt(const FlowRef* place, Connection& connection) {
  const FlowRef ref(FlowKind::kConnection, connections_.IndexOf(connection));
  if (place == nullptr || *place != ref) return;
  if (connection.tcb.state == tcp::State::kTimeWait) {
    connection.listed = table_.NumberOf(place);
    return;
  }
  table_.EraseAt(place);
  connection.use |= Connection::kDetached;
}

// A segment that is no flow's and between addresses that nobody may use or nobody here has.
void Engine::DropPair(const FlowKey& key) {
  --env_.counters.in_segs;
  counters_.Drop(
      wire::PairProblem(key.remote_v4(), key.local_v4(), key.remote_port, key.local_port, net_));
}

// RFC 9293 3.10.7.1 (CLOSED) and 3.10.7.2 (LISTEN).
Connection* Engine::OnUnmatched(Parsed& p) {
  if (p.key.IsV4() && !plain_.IsPlainPair(p.key.remote_v4(), p.key.local_v4())) [[unlikely]] {
    DropPair(p.key);
    return nullptr;
  }
  const wire::Segment& segment = p.frame.tcp;
  const uint16_t listener = listeners_.Find(LocalOf(p.key), p.key.local_port);
  if (listener == ListenerTable::kNone) {
    ++env_.counters.no_listener;
    ReplyReset(p);
    return nullptr;
  }
  // "First, check for a RST: An incoming RST should be ignored."
  if (segment.Has(wire::kRst)) {
    ++env_.counters.rst_ignored;
  } else if (segment.Has(wire::kAck)) {
    if (env_.now < listeners_[listener].cookies_until) {
      Connection* const connection = OnCookieAck(p, listener);
      if (connection != nullptr || p.frame.tcp.handle == wire::PacketHandle::kNone) {
        return connection;
      }
    }
    // "Any acknowledgment is bad if it arrives on a connection still in the LISTEN state."
    ++env_.counters.ack_invalid;
    ReplyReset(p);
  } else if (tcp::IsOpeningSyn(segment)) {
    if (segment.payload_length > 0 || segment.HasOption(wire::kFastOpenOption)) [[unlikely]] {
      OnSynWithMore(p, listener);
    } else {
      OnListenerSyn(p, listener, SeqNum(), kNoFloor);
    }
  } else {
    ++env_.counters.syn_flags_invalid;  // SYN with FIN, or nothing that opens
  }
  return nullptr;
}

// `iss_floor`: with has_floor, the new ISS must be above it (reuse of a tuple in TIME-WAIT).
void Engine::OnListenerSyn(const Parsed& p, uint16_t index, SeqNum iss_floor, bool has_floor) {
  if (!listeners_[index].HasRoomForSyn(half_opens_.free())) {
    return OnListenerFull(p, index, iss_floor, has_floor);
  }
  TakeSyn(p, index, iss_floor, has_floor);
}

// A SYN is dropped because there is no way to its sender.
void Engine::CountNoRoute() {
  ++counters_.tx_no_route;
  ++env_.counters.listen_drops;
}

// REQUIRES: the listener has room.
void Engine::TakeSyn(const Parsed& p, uint16_t index, SeqNum iss_floor, bool has_floor) {
  Listener& listener = listeners_[index];
  const uint16_t neighbor = NextHop(p.key);
  if (neighbor == Neighbors::kNone) return CountNoRoute();
  const uint32_t h = half_opens_.Take();
  if (!table_.Insert(p.hash, FlowRef(FlowKind::kHalfOpen, h))) {
    ++env_.counters.table_full;
    ++env_.counters.listen_drops;
    half_opens_.Give(h);
    return;
  }
  tcp::TupleSecrets secrets = tcp::SecretsOf(TupleHashOf(p), env_.now);
  if (has_floor && secrets.iss <= iss_floor) secrets.iss = iss_floor + 1;
  HalfOpen& half_open = half_opens_[h];
  half_open.key = p.key;
  tcp::FillHalfOpen(p.frame.tcp, secrets, env_, half_open.tcp);
  half_open.neighbor = neighbor;
  half_open.listener = index;
  neighbors_.Ref(neighbor);
  pairs_.Ref(p.key);
  ++listener.half_open;
  half_open_queue_.Append(half_opens_, h);
  tcp::FillSynAck(half_open.tcp, env_, AddReply(p.key, neighbor));
}

Connection* Engine::OnHalfOpen(Parsed& p, FlowRef ref) {
  HalfOpen& half_open = half_opens_[ref.index()];
  switch (tcp::OnHalfOpenSegment(half_open.tcp, p.frame.tcp, env_)) {
    case tcp::HalfOpenVerdict::kDrop:
      break;
    case tcp::HalfOpenVerdict::kSendSynAck:
      Reply(p.key, half_open.neighbor, tcp::SynAckOf(half_open.tcp, env_));
      break;
    case tcp::HalfOpenVerdict::kSendAck:
      Reply(p.key, half_open.neighbor, tcp::ChallengeAckOf(half_open.tcp, env_));
      break;
    case tcp::HalfOpenVerdict::kSendReset:
      ReplyReset(p);
      break;
    case tcp::HalfOpenVerdict::kRemove:
      RemoveHalfOpen(ref.index());
      break;
    case tcp::HalfOpenVerdict::kEstablish: {
      Listener& listener = listeners_[half_open.listener];
      // Neighbour and addresses go on being held, by the connection from now on.
      const uint32_t index = AdoptConnection(p.key, half_open.neighbor, listener.user_data);
      if (index == kNoIndex) {
        // The entry stays: its SYN-ACK goes out again, and the peer's next ACK may find room.
        ++env_.counters.connections_full;
        ++env_.counters.listen_overflows;
        break;
      }
      Connection& connection = connections_[index];
      connection.listener = half_open.listener;
      tcp::Establish(connection.tcb, half_open.tcp, env_);
      if (!path_mtus_.empty()) [[unlikely]]
        (void)tcp::OnPathMtu(connection.tcb, PathMss(p.key, env_.config.mss), env_);
      const FlowRef made(FlowKind::kConnection, index);
      if (p.place != nullptr && *p.place == ref) [[likely]] {
        FlowTable::ReplaceAt(p.place, made);
      } else {
        table_.Replace(p.hash, ref, made);
      }
      --listener.half_open;
      half_open_queue_.Remove(half_opens_, ref.index());
      half_opens_.Give(ref.index());
      return &connection;
    }
  }
  return nullptr;
}

void Engine::OnTimeWait(Parsed& p, FlowRef ref) {
  TimeWait& time_wait = time_waits_[ref.index()];
  const auto send_ack = [&] {
    const uint32_t ts_offset =
        tcp::DeriveTupleSecrets(secrets_.isn, p.key.addresses(), p.key.ports(), env_.now).ts_offset;
    Reply(p.key, Neighbors::kNone, tcp::AckOf(time_wait.tcp, ts_offset, env_));
  };
  switch (tcp::OnTimeWaitSegment(time_wait.tcp, p.frame.tcp, env_)) {
    case tcp::TimeWaitVerdict::kDrop:
      return;
    case tcp::TimeWaitVerdict::kSendAck:
      send_ack();
      return;
    case tcp::TimeWaitVerdict::kRestart:
      send_ack();
      time_wait_queue_.Remove(time_waits_, ref.index());
      ScheduleTimeWait(ref.index());
      return;
    case tcp::TimeWaitVerdict::kRemove:
      RemoveTimeWait(ref.index());
      return;
    case tcp::TimeWaitVerdict::kAcceptSyn: {
      const uint16_t listener = listeners_.Find(LocalOf(p.key), p.key.local_port);
      if (listener == ListenerTable::kNone) {
        // The tuple was ours to open and nobody listens: the old incarnation stays undisturbed.
        ++env_.counters.no_listener;
        send_ack();
        return;
      }
      // A SYN that is dropped must not cost the old incarnation its 2MSL.
      if (!MayTakeSyn(p.key, listeners_[listener])) {
        CountSynDrop(listeners_[listener]);
        return;
      }
      if (NextHop(p.key) == Neighbors::kNone) {
        CountNoRoute();
        return;
      }
      const SeqNum floor = tcp::IssAbove(time_wait.tcp, time_wait.tcp.snd_nxt);
      ++env_.counters.time_wait_recycled;
      if (p.frame.tcp.payload_length > 0) ++env_.counters.syn_data_ignored;
      RemoveTimeWait(ref.index());
      TakeSyn(p, listener, floor, true);
      return;
    }
  }
}

void Engine::Reply(const FlowKey& key, uint16_t neighbor, const tcp::TxSegment& segment) {
  AddReply(key, neighbor) = segment;
}

tcp::TxSegment& Engine::AddReply(const FlowKey& key, uint16_t neighbor) {
  // One reply per received frame and per popped timer at most: the array cannot overflow.
  MR_DCHECK(reply_count_ < kRepliesMax);
  ++env_.counters.out_segs;
  StatelessReply& reply = replies_[reply_count_++];
  reply.key = key;
  reply.neighbor = neighbor;
  return reply.segment;
}

void Engine::ReplyReset(const Parsed& p) {
  tcp::TxSegment reset;
  if (!tcp::MakeReset(p.frame.tcp, reset)) {
    ++env_.counters.rst_ignored;
    return;
  }
  if (!stateless_limit_.Take(env_.now)) {
    ++env_.counters.reset_limited;
    return;
  }
  ++env_.counters.out_rsts;
  Reply(p.key, Neighbors::kNone, reset);
}

}  // namespace millrace::stack

// stack/engine_burst.cc - from a burst of frames to the connections they belong to.
//
// In stages over the burst, so that memory latency is paid once per burst and not once per packet:
// parse all and prefetch the table's buckets; look at the tags and prefetch the records; process.

#include <algorithm>
#include <array>

#include "millrace/stack/engine.h"
#include "millrace/tcp/isn.h"

namespace millrace::stack {
namespace {

void PrefetchConnection(const Connection& connection) {
  const std::byte* p = reinterpret_cast<const std::byte*>(&connection);
  __builtin_prefetch(p);
  __builtin_prefetch(p + 64);
  __builtin_prefetch(p + 128);
  __builtin_prefetch(p + 192);
}

}  // namespace

// What is not plain. False: it belongs to no connection.
bool Engine::ParseInLayers(const RxFrame& rx, Parsed& p) {
  wire::ParseFrame(rx.data, rx.length, rx.ip_checksum, rx.l4_checksum, net_, p.frame);
  p.frame.tcp.handle = rx.packet;
  if (p.frame.kind != wire::FrameKind::kTcp) {
    return p.frame.kind == wire::FrameKind::kTcpV6 && TakeTcpV6(p);
  }
  p.key = FlowKey::V4(p.frame.destination_v4, p.frame.destination_port, p.frame.source_v4,
                      p.frame.source_port);
  return true;
}

void Engine::ParseAll(std::span<const RxFrame> frames) {
  uint64_t bytes = 0;
  Parsed* p = parsed_.data();
  for (const RxFrame& rx : frames) {
    bytes += rx.length;
    if (plain_.Parse(rx.data, rx.length, rx.ip_checksum, rx.l4_checksum, p->frame.tcp)) [[likely]] {
      const wire::PlainFlow flow = wire::PlainFrameParser::FlowOf(rx.data);
      p->frame.kind = wire::FrameKind::kTcp;
      p->key.SetV4(flow);
      p->hash = table_.Hash(flow.addresses, flow.ports);
      p->home = table_.HomePlaceOf(p->hash);
    } else if (ParseInLayers(rx, *p)) {
      p->hash = table_.Hash(p->key);
      p->home = table_.HomePlaceOf(p->hash);
    } else {
      p->home = FlowTable::EmptyPlace();
    }
    p->frame.tcp.handle = rx.packet;
    ++p;
  }
  counters_.rx_bytes += bytes;
  // In a loop of their own: one that misses the TLB waits for the walk, and while it does only
  // some 400 instructions can go on behind it, so there should be other prefetches among them.
  // Beside 10 M connections that waiting was 79 ns a connection, both ends together.
  // By fours, so that the last ones may be of an earlier burst, which costs nothing.
  static_assert(kBurst % 4 == 0);
  for (size_t i = 0; i < frames.size(); i += 4) {
    for (size_t k = 0; k < 4; ++k) FlowTable::Prefetch(parsed_[i + k].home);
  }
}

// What the table has in the home bucket of each, and what opens.
void Engine::FindCandidates(std::span<Parsed> burst) {
  std::array<Parsed*, kBurst> syns;
  size_t syn_count = 0;
  for (Parsed& p : burst) {
    p.place = FlowTable::FindCandidate(p.home, p.hash);
    if (p.place == nullptr) {
      p.connection = &nobody_;
      if (p.MayOpen()) syns[syn_count++] = &p;
      continue;
    }
    const FlowRef candidate = *p.place;
    if (candidate.IsConnection()) [[likely]] {
      p.connection = &ConnectionOf(candidate);
      PrefetchConnection(*p.connection);
    } else {
      p.connection = &nobody_;
      __builtin_prefetch(&KeyOf(candidate));
    }
  }
  if (syn_count > 0) HashSyns({syns.data(), syn_count});
}

void Engine::Input(std::span<const RxFrame> frames) {
  counters_.rx_frames += frames.size();
  env_.counters.in_segs += frames.size();  // what is none is taken off again
  ParseAll(frames);
  const std::span<Parsed> burst(parsed_.data(), frames.size());
  FindCandidates(burst);
  for (Parsed& p : burst) {
    // The candidate still is what it was: connections are given back by visits, not here.
    Connection* connection = p.connection;
    if (!connection->key.Equals(p.key)) [[unlikely]] {
      connection = OnOther(p, frames[static_cast<size_t>(&p - parsed_.data())]);
      if (connection == nullptr) continue;
    }
    OnConnection(p, *connection);
  }
}

void Engine::OnNotTcp(const wire::ParsedFrame& frame, const RxFrame& rx) {
  --env_.counters.in_segs;
  switch (frame.kind) {
    case wire::FrameKind::kTcp:
      break;
    case wire::FrameKind::kArp:
      OnArp(frame);
      break;
    case wire::FrameKind::kIcmp:
      return OnIcmp(frame, rx);
    case wire::FrameKind::kUdp:
    case wire::FrameKind::kOtherIpProtocol:
      OnUnwantedDatagram(frame);
      break;
    case wire::FrameKind::kDrop:
      counters_.Drop(frame.drop);
      break;
    case wire::FrameKind::kIcmpV6:
      return OnIcmpV6(frame, rx);
    case wire::FrameKind::kTcpV6:  // no room for its addresses
      ++counters_.address_pairs_full;
      break;
    case wire::FrameKind::kUdpV6:
    case wire::FrameKind::kIpv6Problem:
      OnProblemV6(frame);
      break;
  }
  env_.released.Push(rx.packet);
}

// Four SYNs at a time cost little more than one.
void Engine::HashSyns(std::span<Parsed* const> syns) {
  for (; !syns.empty(); syns = syns.subspan(std::min(syns.size(), kSipLanes))) {
    tcp::HashTuples(
        secrets_.isn, std::min(syns.size(), kSipLanes),
        [&](size_t i) { return TupleOf(syns[i]->key); },
        [&](size_t i, uint64_t hash) { syns[i]->tuple_hash = hash; });
  }
}

}  // namespace millrace::stack

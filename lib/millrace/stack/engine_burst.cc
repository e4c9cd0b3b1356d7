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
  for (size_t i = 0; i < frames.size(); ++i) {
    const RxFrame& rx = frames[i];
    Parsed& p = parsed_[i];
    bytes += rx.length;
    wire::PlainFlow flow;
    if (plain_.Parse(rx.data, rx.length, rx.ip_checksum, rx.l4_checksum, p.frame.tcp, flow))
        [[likely]] {
      p.frame.kind = wire::FrameKind::kTcp;
      p.key.SetV4(flow);
      p.hash = table_.Hash(flow.addresses, flow.ports);
    } else if (ParseInLayers(rx, p)) {
      p.hash = table_.Hash(p.key);
    } else {
      continue;
    }
    p.frame.tcp.handle = rx.packet;
    p.home = table_.HomePlaceOf(p.hash);
  }
  counters_.rx_bytes += bytes;
  // In a loop of their own: one that misses the TLB waits for the walk, and while it does only
  // some 400 instructions can go on behind it, so there should be other prefetches among them.
  // Beside 10 M connections that waiting was 79 ns a connection, both ends together.
  // What is no TCP has the place of an earlier burst, which costs nothing.
  for (size_t i = 0; i < frames.size(); ++i) FlowTable::Prefetch(parsed_[i].home);
}

void Engine::Input(std::span<const RxFrame> frames) {
  counters_.rx_frames += frames.size();
  ParseAll(frames);
  std::array<Parsed*, kBurst> syns;
  size_t syn_count = 0;
  for (size_t i = 0; i < frames.size(); ++i) {
    Parsed& p = parsed_[i];
    if (p.frame.kind != wire::FrameKind::kTcp) continue;
    p.place = FlowTable::FindCandidate(p.home, p.hash);
    p.connection = nullptr;
    if (p.place == nullptr) {
      if (p.MayOpen()) syns[syn_count++] = &p;
      continue;
    }
    p.candidate = *p.place;
    if (p.candidate.kind() == FlowKind::kConnection) [[likely]] {
      p.connection = &connections_[p.candidate.index()];
      PrefetchConnection(*p.connection);
    } else {
      __builtin_prefetch(&KeyOf(p.candidate));
    }
  }
  if (syn_count > 0) HashSyns({syns.data(), syn_count});
  for (size_t i = 0; i < frames.size(); ++i) {
    Parsed& p = parsed_[i];
    if (p.frame.kind == wire::FrameKind::kTcp) [[likely]] {
      OnTcp(p);  // frees or keeps the packet itself
      continue;
    }
    switch (p.frame.kind) {
      case wire::FrameKind::kTcp:
        break;
      case wire::FrameKind::kArp:
        OnArp(p.frame);
        break;
      case wire::FrameKind::kIcmp:
        OnIcmp(p.frame, frames[i]);
        continue;
      case wire::FrameKind::kUdp:
      case wire::FrameKind::kOtherIpProtocol:
        OnUnwantedDatagram(p.frame);
        break;
      case wire::FrameKind::kDrop:
        counters_.Drop(p.frame.drop);
        break;
      case wire::FrameKind::kIcmpV6:
        OnIcmpV6(p.frame, frames[i]);
        continue;
      case wire::FrameKind::kTcpV6:  // no room for its addresses
        ++counters_.address_pairs_full;
        break;
      case wire::FrameKind::kUdpV6:
      case wire::FrameKind::kIpv6Problem:
        OnProblemV6(p.frame);
        break;
    }
    env_.released.push_back(frames[i].packet);
  }
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

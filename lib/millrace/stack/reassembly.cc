#include "millrace/stack/reassembly.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "millrace/base/check.h"
#include "millrace/wire/ethernet.h"
#include "millrace/wire/ipv4.h"
#include "millrace/wire/segment.h"
#include "millrace/wire/tcp_header.h"

namespace millrace::stack {
namespace {

constexpr uint8_t kNotEctSeen = 1, kCeSeen = 1 << wire::kEcnCe;  // in Datagram::ecn_seen

}  // namespace

Reassembler::Reassembler(const ReassemblyConfig& config)
    : config_(config),
      datagrams_(config.datagrams_max),
      octets_(size_t{config.datagrams_max} * config.datagram_bytes_max) {
  MR_CHECK(config.datagrams_max >= 1 && config.datagrams_max <= kDatagramsMax);
}

bool Reassembler::Take(const wire::Fragment& fragment, Instant now) {
  MR_CHECK(complete_ == nullptr);
  ++counters_.fragments;
  Datagram& d = FindOrTake(fragment, now);
  if (d.given_up) return false;
  bool contradicts = false;
  if (IsDuplicate(d, fragment, contradicts)) return false;
  if (contradicts) return GiveUp(d, counters_.overlapped);
  if (!Admit(d, fragment)) return false;
  std::memcpy(OctetsOf(d) + fragment.offset, fragment.payload, fragment.payload_bytes);
  d.pieces[d.piece_count++] = {static_cast<uint16_t>(fragment.offset),
                               static_cast<uint16_t>(fragment.end())};
  d.received = static_cast<uint16_t>(d.received + fragment.payload_bytes);
  d.ecn_seen = static_cast<uint8_t>(d.ecn_seen | 1u << fragment.ecn);
  // Pieces do not overlap and end at `total`, so as many octets as that are all of them.
  if (d.total == 0 || d.received != d.total) return false;
  if (d.headers.bytes - wire::kEthernetHeaderBytes + d.total > config_.datagram_bytes_max) {
    return GiveUp(d, counters_.too_long);
  }
  // RFC 3168 5.3: what arrives with CE in a fragment has it as a whole, and "the reassembled packet
  // is dropped" when other fragments came from a sender that knows nothing of ECN.
  constexpr uint8_t kMixed = kCeSeen | kNotEctSeen;
  if ((d.ecn_seen & kMixed) == kMixed) return GiveUp(d, counters_.ecn_mixed);
  complete_ = &d;
  return true;
}

Reassembler::Datagram& Reassembler::FindOrTake(const wire::Fragment& fragment, Instant now) {
  const auto found = std::find_if(datagrams_.begin(), datagrams_.end(), [&](const Datagram& d) {
    return d.used && d.key == fragment.key;
  });
  if (found != datagrams_.end()) return *found;
  Datagram& d = TakeRecord();
  d.used = true;
  d.given_up = false;
  d.piece_count = 0;
  d.ecn_seen = 0;
  d.received = d.highest = d.total = 0;
  d.headers = {};
  d.key = fragment.key;
  d.since = now;
  d.deadline = now + (fragment.headers.v4 ? config_.timeout_v4 : config_.timeout_v6);
  next_due_ = std::min(next_due_, d.deadline);
  ++waiting_;
  return d;
}

// A free record, or the one that came first, of those that were given up if there are any: new
// datagrams come in whatever an attacker sent before. Not the one that ends first: IPv6 waits twice
// as long as IPv4, and would take all places.
Reassembler::Datagram& Reassembler::TakeRecord() {
  Datagram* oldest = &datagrams_.front();
  for (Datagram& d : datagrams_) {
    if (!d.used) return d;
    if (std::pair(!d.given_up, d.since) < std::pair(!oldest->given_up, oldest->since)) oldest = &d;
  }
  if (!oldest->given_up) ++counters_.evicted;
  Forget(*oldest);
  return *oldest;
}

// RFC 8200 4.5: "It should be noted that fragments may be duplicated in the network. Instead of
// treating these exact duplicate fragments as overlapping fragments, an implementation may choose
// to detect this case and drop exact duplicate fragments".
bool Reassembler::IsDuplicate(const Datagram& d, const wire::Fragment& fragment,
                              bool& contradicts) const {
  for (size_t i = 0; i < d.piece_count; ++i) {
    const Piece& piece = d.pieces[i];
    if (fragment.offset >= piece.end || fragment.end() <= piece.begin) continue;
    contradicts = fragment.offset != piece.begin || fragment.end() != piece.end;
    return !contradicts;
  }
  return false;
}

bool Reassembler::Admit(Datagram& d, const wire::Fragment& fragment) {
  const uint32_t least_header = fragment.headers.bytes - wire::kEthernetHeaderBytes;
  if (d.piece_count == kPiecesMax) return GiveUp(d, counters_.too_many);
  if (least_header + fragment.end() > config_.datagram_bytes_max) {
    return GiveUp(d, counters_.too_long);
  }
  // The datagram ends in one place, and nothing lies behind it.
  const bool has_end = d.total != 0;
  if (fragment.more ? has_end && fragment.end() >= d.total
                    : has_end || fragment.end() < d.highest) {
    return GiveUp(d, counters_.overlapped);
  }
  if (!fragment.more) d.total = static_cast<uint16_t>(fragment.end());
  d.highest = static_cast<uint16_t>(std::max<uint32_t>(d.highest, fragment.end()));
  if (fragment.offset != 0) return true;
  if (fragment.headers.bytes > kHeaderBytesMax) return GiveUp(d, counters_.too_long);
  // RFC 7112 5, RFC 3128 3: a header that lies in two fragments is an attempt to get past filters.
  if (fragment.headers.next_header == wire::kIpProtocolTcp &&
      fragment.payload_bytes < wire::kTcpHeaderBytes) {
    return GiveUp(d, counters_.tiny_first);
  }
  d.headers = fragment.headers;
  std::memcpy(d.header.data(), fragment.frame, fragment.headers.bytes);
  return true;
}

bool Reassembler::GiveUp(Datagram& d, uint64_t& counter) {
  ++counter;
  d.given_up = true;
  return false;
}

void Reassembler::Forget(Datagram& d) {
  d.used = false;
  --waiting_;
}

uint32_t Reassembler::FrameBytes() const {
  MR_CHECK(complete_ != nullptr);
  return uint32_t{complete_->headers.bytes} + complete_->total;
}

void Reassembler::Emit(std::byte* at) {
  MR_CHECK(complete_ != nullptr);
  const Datagram& d = *complete_;
  std::memcpy(at, d.header.data(), d.headers.bytes);
  std::memcpy(at + d.headers.bytes, OctetsOf(d), d.total);
  wire::MakeWhole(at, FrameBytes(), d.headers, (d.ecn_seen & kCeSeen) != 0);
  ++counters_.reassembled;
  Forget(*complete_);
  complete_ = nullptr;
}

void Reassembler::Discard() {
  MR_CHECK(complete_ != nullptr);
  ++counters_.no_packet;
  Forget(*complete_);
  complete_ = nullptr;
}

void Reassembler::Expire(Instant now) {
  if (now < next_due_) return;
  next_due_ = Instant::Never();
  for (Datagram& d : datagrams_) {
    if (!d.used) continue;
    if (d.deadline > now) {
      next_due_ = std::min(next_due_, d.deadline);
      continue;
    }
    if (!d.given_up) ++counters_.timed_out;
    Forget(d);
  }
}

}  // namespace millrace::stack

// stack/reassembly.h - datagrams that came in fragments, put together within bounds.
//
// RFC 8900 calls fragmentation fragile, and nothing of ours sends or needs fragments; a port hands
// them over whole only when it is asked to (stack/reassembling_port.h). What an attacker can make
// of it is bounded: the fragments' octets are copied into memory of this table, so packets are
// never held; a new datagram takes the place of the oldest one when there is no room; and whatever
// contradicts itself is discarded as a whole (RFC 5722), not repaired.
// Threading: one owner. Cost: a look at datagrams_max identifications and a copy per fragment.
// Memory: datagrams_max * (datagram_bytes_max + 400) octets, all at start.
#ifndef MILLRACE_STACK_REASSEMBLY_H_
#define MILLRACE_STACK_REASSEMBLY_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "millrace/base/time.h"
#include "millrace/wire/fragment.h"

namespace millrace::stack {

struct ReassemblyConfig {
  uint32_t datagrams_max = 128;        // at a time, 1..kDatagramsMax; the octets follow from it
  uint16_t datagram_bytes_max = 1500;  // of IP packet; larger ones are dropped
  Duration timeout_v4 = Duration::Seconds(30);  // as Linux; RFC 791 names 15 s, RFC 1122 60 s
  Duration timeout_v6 = Duration::Seconds(60);  // RFC 8200 4.5
};

// X(member, printed name); Linux's names where it has one (nstat: IpReasm*, Ip6Reasm*). All but the
// first two are datagrams that were given up, by cause:
//   overlapped  RFC 5722; also two ends, or octets behind the end
//   too_many    more than kPiecesMax fragments
//   too_long    larger than datagram_bytes_max
//   tiny_first  a first fragment without the TCP header (RFC 7112 5, RFC 3128)
//   ecn_mixed   fragments with CE and without ECN (RFC 3168 5.3)
//   no_packet   whole, but the port had no packet for it
#define MILLRACE_REASSEMBLY_COUNTERS(X) \
  X(fragments, "ReasmReqds")            \
  X(reassembled, "ReasmOKs")            \
  X(timed_out, "ReasmTimeout")          \
  X(evicted, "ReasmEvicted")            \
  X(overlapped, "ReasmOverlaps")        \
  X(too_many, "ReasmTooManyFragments")  \
  X(too_long, "ReasmTooLong")           \
  X(tiny_first, "ReasmTinyFirst")       \
  X(ecn_mixed, "ReasmEcnMixed")         \
  X(no_packet, "ReasmNoPacket")

struct ReassemblyCounters {
#define MILLRACE_DECLARE_COUNTER(member, name) uint64_t member = 0;
  MILLRACE_REASSEMBLY_COUNTERS(MILLRACE_DECLARE_COUNTER)
#undef MILLRACE_DECLARE_COUNTER

  template <class Visit>
  void ForEach(Visit&& visit) const {
#define MILLRACE_VISIT_COUNTER(member, name) visit(name, member);
    MILLRACE_REASSEMBLY_COUNTERS(MILLRACE_VISIT_COUNTER)
#undef MILLRACE_VISIT_COUNTER
  }
};

class Reassembler {
 public:
  static constexpr uint32_t kDatagramsMax = 1024;  // all are looked at for each fragment
  static constexpr size_t kPiecesMax = 16;         // IPL-01
  // Ethernet and IP headers with options or extension headers, of a first fragment.
  static constexpr size_t kHeaderBytesMax = 192;

  explicit Reassembler(const ReassemblyConfig& config);
  Reassembler(const Reassembler&) = delete;
  Reassembler& operator=(const Reassembler&) = delete;

  // Takes in the octets of a fragment. True when its datagram is complete: Emit has to follow.
  bool Take(const wire::Fragment& fragment, Instant now);
  // Length of the frame that Take has completed, octets with the Ethernet header.
  uint32_t FrameBytes() const;
  // Writes that frame and forgets the datagram. `at` has room for FrameBytes().
  void Emit(std::byte* at);
  // Forgets it without a packet to put it in.
  void Discard();

  // Forgets what has waited for its timeout. Cheap until NextDue().
  void Expire(Instant now);
  // When the oldest datagram expires, or earlier; Never() without any.
  Instant NextDue() const { return next_due_; }

  size_t waiting() const { return waiting_; }  // datagrams, also those that were given up
  const ReassemblyCounters& counters() const { return counters_; }

 private:
  struct Piece {
    uint16_t begin, end;  // octets behind the headers
  };
  struct Datagram {
    bool used = false;
    // Contradicted itself: RFC 5722 4 wants "any constituent fragments, including those not yet
    // received" discarded, so it stays, without use, until its time is over.
    bool given_up = false;
    uint8_t piece_count = 0;
    uint8_t ecn_seen = 0;   // bit n: the ECN field n
    uint16_t received = 0;  // octets behind the headers
    uint16_t highest = 0;   // the end of the piece that reaches furthest
    uint16_t total = 0;     // the same when complete; 0 while the last fragment is missing
    wire::FragmentKey key;
    Instant since, deadline;
    wire::FragmentHeaders headers;  // bytes is 0 while the first fragment is missing
    std::array<Piece, kPiecesMax> pieces;
    std::array<std::byte, kHeaderBytesMax> header;
  };

  Datagram& FindOrTake(const wire::Fragment& fragment, Instant now);
  Datagram& TakeRecord();
  // False, and the datagram is given up, when the fragment contradicts it or a bound.
  bool Admit(Datagram& d, const wire::Fragment& fragment);
  // True for an octet-for-octet place that was received already; contradicts: part of one.
  bool IsDuplicate(const Datagram& d, const wire::Fragment& fragment, bool& contradicts) const;
  bool GiveUp(Datagram& d, uint64_t& counter);
  void Forget(Datagram& d);
  std::byte* OctetsOf(const Datagram& d) {
    return octets_.data() +
           static_cast<size_t>(&d - datagrams_.data()) * config_.datagram_bytes_max;
  }

  ReassemblyConfig config_;
  ReassemblyCounters counters_;
  std::vector<Datagram> datagrams_;
  std::vector<std::byte> octets_;
  size_t waiting_ = 0;
  Datagram* complete_ = nullptr;
  Instant next_due_ = Instant::Never();
};

}  // namespace millrace::stack

#endif  // MILLRACE_STACK_REASSEMBLY_H_

// stack/neighbor.h - bounded cache of the link-layer addresses of one interface's neighbours, by
// ARP (RFC 826, RFC 1122 2.3.2) and by neighbour discovery (RFC 4861), and the IPv4 route.
//
// Connections hold the 16-bit index of their next hop instead of its MAC address, so that a change
// reaches all of them. An index stays valid as long as it is held: Ref counts the users of an entry
// and only an entry without users is dropped or evicted. An index that is used at once and not
// kept needs no Ref.
//
// No packet of either makes the table grow beyond its bound, evicts an entry or changes a static
// one (IPL-06, IPL-07). Packets waiting for an address are bounded per neighbour and in all
// (IPL-08; RFC 1122 2.3.2.2 asks for at least one).
//
// No packets are built and no clock is read here. Threading: one owner; one instance per worker.
// Cost: Use is a load and two compares on the packet path; Lookup a hash probe; the rest is cold.
#ifndef MILLRACE_STACK_NEIGHBOR_H_
#define MILLRACE_STACK_NEIGHBOR_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "millrace/base/check.h"
#include "millrace/base/ip_address.h"
#include "millrace/base/time.h"
#include "millrace/wire/arp.h"
#include "millrace/wire/frame.h"
#include "millrace/wire/ndp.h"
#include "millrace/wire/segment.h"

namespace millrace::stack {

enum class NeighborState : uint8_t {
  kFree,
  kIncomplete,  // asking by broadcast, no address yet
  kReachable,   // confirmed within NeighborConfig::reachable
  kStale,       // has an address that was not confirmed lately: used, and asked for when used
  kProbing,     // has an address and asks for it by unicast (RFC 1122 2.3.2.1 (2))
  kFailed,      // nobody answered, but somebody holds the index: asked again when used
  kStatic,      // configured; never changes and never goes
};

struct NeighborConfig {
  uint16_t capacity = 1024;  // entries, 1..65534
  Duration reachable = Duration::Seconds(30);
  Duration probe_interval = Duration::Seconds(1);  // RFC 1122 2.3.2.1: at most 1 a second
  uint8_t probes_max = 3;
  uint64_t hash_secret = 0;
};

struct NeighborCounters {
  uint64_t table_full = 0;         // no entry could be made or evicted
  uint64_t evicted = 0;            // the least recently used one made room
  uint64_t failed = 0;             // nobody answered
  uint64_t park_refused = 0;       // 64 packets are waiting
  uint64_t park_displaced = 0;     // a newer packet for the same neighbour took the place
  uint64_t ignored = 0;            // sender is not a station of this network
  uint64_t unsolicited = 0;        // answer from an address that is not in the table
  uint64_t no_room = 0;            // request of an unknown host, table full
  uint64_t conflict = 0;           // another MAC address for a reachable or static entry
  uint64_t duplicate_address = 0;  // somebody else uses our address
};

// What sending asks of one. Of these 32 octets a busy network's fit the first cache: with the rest
// of each beside it (80) more of them had to be waited for.
struct alignas(32) Neighbor {
  MacAddress mac;  // valid when the state says so, see HasMac
  NeighborState state = NeighborState::kFree;
  uint8_t probes = 0;  // requests sent since it was last confirmed
  uint32_t users = 0;  // see Ref
  uint8_t parked_count = 0;
  // From a confirmation until it is too old; kStatic: for ever; otherwise in the past.
  Instant confirmed_until;
  Instant next_probe;  // valid with kIncomplete, kProbing; kFailed: not before

  bool HasMac() const {
    return state == NeighborState::kReachable || state == NeighborState::kStale ||
           state == NeighborState::kProbing || state == NeighborState::kStatic;
  }
};
static_assert(sizeof(Neighbor) == 32);

// An ARP request or a neighbour solicitation that is due.
struct NeighborProbe {
  IpAddress target;
  // Of the frame: broadcast (IPv6: the solicited-node group), or the address to be confirmed.
  MacAddress destination;
};

struct NeighborResult {
  bool reply = false;  // to the sender, from the target address of the request
  // When not kNone, this neighbour's address was learnt: send the packets it had waiting.
  uint16_t resolved = 0xFFFF;
  uint8_t packet_count = 0;
  static constexpr size_t kPacketsMax = 3;
  std::array<wire::PacketHandle, kPacketsMax> packets{};  // the oldest first
};

// Where packets go that leave through the interface.
struct Route {
  uint32_t address_v4 = 0;  // any address of the attached network
  uint32_t mask = 0;        // of that network; 0: everything is on the link
  uint32_t gateway_v4 = 0;  // 0: there is none

  bool OnLink(uint32_t v4) const { return ((v4 ^ address_v4) & mask) == 0; }
  // The address to ask ARP for; 0 when there is no route (ENETUNREACH). RFC 1122 3.3.1.1.
  uint32_t NextHop(uint32_t destination_v4) const {
    return OnLink(destination_v4) ? destination_v4 : gateway_v4;
  }
};

class Neighbors {
 public:
  static constexpr uint16_t kNone = 0xFFFF;
  static constexpr size_t kParkedMax = 64;  // packets waiting or waiting to be freed

  // `net` says which addresses are ours and which are on the link.
  Neighbors(const wire::LocalNet& net, const NeighborConfig& config = {});

  // An entry that never changes, for a gateway or a test. False when there is no room.
  [[nodiscard]] bool AddStatic(const IpAddress& address, const MacAddress& mac);

  // Index of the entry for an address on the link, made when there is none (and the first request
  // is then due at once). kNone when the table is full of entries in use.
  uint16_t Lookup(const IpAddress& address, Instant now);
  // Changes whenever an index comes to stand for another address.
  uint32_t era() const { return era_; }
  // Whether Lookup would give the index and change nothing, in the era that it is of.
  bool IsHeld(uint16_t index) const { return entries_[index].users > 0; }
  uint16_t Find(const IpAddress& address) const;  // kNone when there is none

  // Holds the index, or lets go of it.
  void Ref(uint16_t index) {
    if (entries_[index].users++ == 0) [[unlikely]]
      OnFirstUser(index);
  }
  void Unref(uint16_t index) {
    MR_DCHECK(entries_[index].users > 0);
    if (--entries_[index].users == 0) [[unlikely]]
      OnNoUser(index);
  }

  // True for nearly every packet: Use would say so, and has nothing to see to.
  static bool IsConfirmed(const Neighbor& n, Instant now) { return now < n.confirmed_until; }
  // To be called before a packet is sent to the neighbour: true when `mac` may be used. Sees to
  // the confirmation of an address that became stale, and asks again for one that failed.
  bool Use(uint16_t index, Instant now) { return Use(entries_[index], now); }
  // REQUIRES: `n` is what operator[] gave.
  bool Use(const Neighbor& n, Instant now) {
    return IsConfirmed(n, now) || UseUnconfirmed(IndexOf(n), now);
  }
  bool IsResolved(uint16_t index) const { return entries_[index].HasMac(); }
  const Neighbor& operator[](uint16_t index) const { return entries_[index]; }
  void Prefetch(uint16_t index) const { __builtin_prefetch(&entries_[index]); }
  const IpAddress& AddressOf(uint16_t index) const { return rests_[index].address; }

  // Keeps a packet until the address is known. At most three wait per neighbour, the oldest makes
  // room (TakeReleased). False when too many wait in all: the packet stays with the caller.
  // REQUIRES: !IsResolved(index).
  [[nodiscard]] bool Park(uint16_t index, wire::PacketHandle packet);

  // Packets that will never be sent: displaced, or nobody answered. The caller frees them. Fills
  // the front of `out` and returns how many. Call it after each poll; what is not taken counts
  // among the 64.
  size_t TakeReleased(std::span<wire::PacketHandle> out);
  // Gives up all waiting packets, to TakeReleased: the engine is about to go.
  void ReleaseAll();

  // A parsed ARP packet came in on the interface.
  NeighborResult OnArp(const wire::ArpPacket& arp, Instant now);
  // A neighbour solicitation for one of our addresses came from `source`, which has `mac` (RFC 4861
  // 7.2.3). `reply` of the result is not set.
  NeighborResult OnSolicitation(const IpAddress& source, const MacAddress& mac, Instant now);
  // RFC 4861 7.2.5. `message` is a valid advertisement for an address that is not ours.
  NeighborResult OnAdvertisement(const wire::NeighborMessage& message, Instant now);

  // Fills the front of `out` with the requests that are due, at most one a second for a neighbour,
  // and returns how many. Cheap when nothing is due; meant for every millisecond.
  size_t PollProbes(Instant now, std::span<NeighborProbe> out);

  // PollProbes has nothing to do before this; Instant::Never() when nobody is asked for.
  Instant NextProbe() const { return next_poll_; }

  uint16_t size() const { return size_; }
  size_t parked() const { return parked_; }
  // Packets in its hands: parked, or waiting for TakeReleased.
  size_t held() const { return parked_ + released_count_; }
  const NeighborCounters& counters() const { return counters_; }

 private:
  // What is seldom asked of an entry.
  struct Rest {
    IpAddress address;
    std::array<wire::PacketHandle, NeighborResult::kPacketsMax> parked{};  // oldest first
    uint16_t hash_next = 0, hash_bucket = 0;                               // chain of equal hashes
    uint16_t lru_prev = 0, lru_next = 0;  // entries that may be evicted
  };

  uint16_t IndexOf(const Neighbor& n) const { return static_cast<uint16_t>(&n - entries_.data()); }
  [[gnu::noinline]] void OnFirstUser(uint16_t index);
  [[gnu::noinline]] void OnNoUser(uint16_t index);
  bool UseUnconfirmed(uint16_t index, Instant now);
  uint16_t BucketOf(const IpAddress& address) const;
  uint16_t Create(const IpAddress& address, NeighborState state);
  void Drop(uint16_t index);
  void LruInsert(uint16_t index);
  void LruRemove(uint16_t index);
  static bool MayBeEvicted(NeighborState state) {
    return state != NeighborState::kStatic && state != NeighborState::kFree;
  }
  bool InLru(const Neighbor& n) const { return n.users == 0 && MayBeEvicted(n.state); }
  void Ask(uint16_t index, NeighborState state, Instant now);
  void StopAsking(uint16_t index);
  void Fail(uint16_t index, Instant now);
  void ReleaseParked(uint16_t index);
  bool MayUpdate(const Neighbor& n, const MacAddress& mac, Instant now) const;
  // `state`: kReachable, when the neighbour has answered us, or kStale.
  void Learn(uint16_t index, const MacAddress& mac, NeighborState state, Instant now,
             NeighborResult& result);

  wire::LocalNet net_;
  NeighborConfig config_;
  std::vector<Neighbor> entries_;
  std::vector<Rest> rests_;        // of the same index
  std::vector<uint16_t> buckets_;  // first entry of a chain
  std::vector<uint16_t> free_;
  std::vector<uint16_t> asking_;  // kIncomplete and kProbing
  std::array<wire::PacketHandle, kParkedMax> released_{};
  size_t released_count_ = 0;
  size_t parked_ = 0;
  uint16_t size_ = 0;
  uint16_t lru_first_ = kNone, lru_last_ = kNone;  // most and least recently used
  Instant next_poll_ = Instant::Never();
  uint32_t era_ = 0;  // entries dropped so far
  NeighborCounters counters_;
};

}  // namespace millrace::stack

#endif  // MILLRACE_STACK_NEIGHBOR_H_

// stack/address_pairs.h - the address pairs of IPv6 flows, so that a FlowKey names 32 octets of
// addresses by a number.
//
// A pair has one record however many flows it has, so equal numbers mean equal addresses. Records
// of flows are held by Ref. A pair that somebody only asked about (a segment without a connection)
// keeps its number until Sweep, which the engine calls when a poll's answers have gone out: so a
// flood of unknown sources uses no more than a burst's worth of records.
//
// Cost: a SipHash of 32 octets and a probe per received segment (about 30 ns when the record is in
// cache); memory: 48 octets a record and 4 or 8 for its place in the index, touched when used.
// IPv4 flows have no record. Threading: one owner. Nothing allocates after construction.
#ifndef MILLRACE_STACK_ADDRESS_PAIRS_H_
#define MILLRACE_STACK_ADDRESS_PAIRS_H_

#include <cstdint>
#include <vector>

#include "millrace/base/ip_address.h"
#include "millrace/base/memory.h"
#include "millrace/base/siphash.h"
#include "millrace/base/slab.h"
#include "millrace/stack/flow_key.h"

namespace millrace::stack {

class AddressPairs {
 public:
  struct Pair {
    uint32_t next;  // of its bucket; the slab's free list uses it too
    uint32_t users;
    bool idle_listed;  // Sweep will look at it
    IpAddress local, remote;
  };
  static_assert(sizeof(Pair) == 48);

  // Room for `capacity` pairs, which may be 0.
  AddressPairs(uint32_t capacity, SipKey key, Region::Pages pages);

  // The key of a flow; its pair gets a record when it has none. False when there is no room.
  [[nodiscard]] bool MakeKey(const IpAddress& local, uint16_t local_port, const IpAddress& remote,
                             uint16_t remote_port, FlowKey* key);
  // The same without making a record. False: no flow has these addresses.
  [[nodiscard]] bool FindKey(const IpAddress& local, uint16_t local_port, const IpAddress& remote,
                             uint16_t remote_port, FlowKey* key) const;

  // Holds the record that a key names, or lets go of it. A key of IPv4 names none.
  void Ref(const FlowKey& key) {
    if (!key.IsV4()) [[unlikely]]
      ++PairOf(key).users;
  }
  void Unref(const FlowKey& key) {
    if (!key.IsV4() && --PairOf(key).users == 0) [[unlikely]]
      ListIdle(PairOf(key));
  }

  const IpAddress& local(const FlowKey& key) const { return pairs_[key.address_pair - 1].local; }
  const IpAddress& remote(const FlowKey& key) const { return pairs_[key.address_pair - 1].remote; }

  // Takes out the records that nobody holds. Cheap when there are none.
  void Sweep() {
    if (!idle_.empty()) [[unlikely]]
      SweepIdle();
  }

  bool ok() const { return ok_; }
  uint32_t size() const { return pairs_.used(); }
  size_t idle() const { return idle_.size(); }  // what Sweep will look at
  uint32_t capacity() const { return pairs_.capacity(); }

 private:
  static constexpr uint32_t kEnd = 0;  // of a chain; numbers begin at 1

  Pair& PairOf(const FlowKey& key) { return pairs_[key.address_pair - 1]; }
  uint64_t DigestOf(const IpAddress& local, const IpAddress& remote) const;
  uint32_t* BucketOf(uint64_t digest) const;
  uint32_t FindPair(uint64_t digest, const IpAddress& local, const IpAddress& remote) const;
  void ListIdle(Pair& pair);
  void SweepIdle();
  void Remove(uint32_t number);

  SipKey key_;
  Slab<Pair> pairs_;
  Region index_;  // first number of each chain
  uint32_t bucket_mask_ = 0;
  bool ok_ = false;
  std::vector<uint32_t> idle_;  // numbers; its capacity is that of the pool
};

}  // namespace millrace::stack

#endif  // MILLRACE_STACK_ADDRESS_PAIRS_H_

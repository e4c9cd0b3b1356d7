// stack/flow_key.h - what names a connection on the network, and what the table stores for it.
//
// FlowKey is the 4-tuple in 16 bytes, the same for both families. IPv4: addresses() are both
// addresses and `address_pair` is 0. IPv6: addresses() is a keyed 64-bit digest of both addresses,
// and `address_pair` names the record in a side pool that holds the 32 octets
// (stack/address_pairs.h), so that equal keys mean equal tuples for both (a record exists once per
// pair of addresses). It is aligned to 4 octets, so that records need not be multiples of 8.
#ifndef MILLRACE_STACK_FLOW_KEY_H_
#define MILLRACE_STACK_FLOW_KEY_H_

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#if defined(__SSE4_1__)
#include <immintrin.h>
#endif

#include "millrace/base/check.h"
#include "millrace/wire/plain_frame.h"

namespace millrace::stack {

// What names a flow for longer than a pair of IPv6 addresses keeps its number.
struct TupleName {
  uint64_t addresses;
  uint32_t ports;
};

struct FlowKey {
  std::array<uint32_t, 2> address_words{};  // IPv4: remote, local; IPv6: the digest
  uint16_t local_port = 0;                  // all in host byte order
  uint16_t remote_port = 0;
  uint32_t address_pair = 0;  // IPv4: 0

  static constexpr FlowKey V4(uint32_t local, uint16_t local_port, uint32_t remote,
                              uint16_t remote_port) {
    // Made of two words, so that it is also stored as two: a wide load of what two narrow stores
    // have just written waits for them (5 % of the time of the whole exchange).
    return std::bit_cast<FlowKey>(
        Words{uint64_t{local} << 32 | remote, uint64_t{remote_port} << 16 | local_port});
  }

  // Becomes that of a received frame, by two wide stores for the same reason.
  void SetV4(const wire::PlainFlow& flow) { SetWords(flow.addresses, flow.ports); }
  // Becomes one that may just have been made: word by word, for the same reason (in Connect 1.7 %).
  void Become(const FlowKey& other) { SetWords(other.addresses(), other.ports_and_pair()); }

  static constexpr FlowKey V6(uint64_t digest, uint16_t local_port, uint16_t remote_port,
                              uint32_t address_pair) {
    return std::bit_cast<FlowKey>(
        Words{digest, uint64_t{address_pair} << 32 | uint64_t{remote_port} << 16 | local_port});
  }

  // That of no flow, of either family.
  static constexpr FlowKey Nobodys() {
    return V6(~uint64_t{0}, UINT16_MAX, UINT16_MAX, UINT32_MAX);
  }

  constexpr bool IsV4() const { return address_pair == 0; }
  // REQUIRES for both: IsV4().
  constexpr uint32_t local_v4() const { return address_words[1]; }
  constexpr uint32_t remote_v4() const { return address_words[0]; }
  // As it lies in memory, one load. IPv4: local address in the upper half, remote in the lower.
  constexpr uint64_t addresses() const { return std::bit_cast<Words>(*this)[0]; }
  // Everything but the addresses as one number, for hashing.
  constexpr uint64_t ports_and_pair() const { return std::bit_cast<Words>(*this)[1]; }

  constexpr bool operator==(const FlowKey& other) const {
    return addresses() == other.addresses() && ports_and_pair() == other.ports_and_pair();
  }
  // The same of two that lie in memory.
  bool Equals(const FlowKey& other) const {
#if defined(__SSE4_1__)
    const __m128i differs =
        _mm_xor_si128(_mm_loadu_si128(reinterpret_cast<const __m128i*>(this)),
                      _mm_loadu_si128(reinterpret_cast<const __m128i*>(&other)));
    return _mm_testz_si128(differs, differs) != 0;
#else
    return *this == other;
#endif
  }
  // The ports alone: with addresses() what names the tuple for longer than a pair keeps its number,
  // which sequence numbers and timestamps have to (RFC 6528).
  constexpr uint32_t ports() const { return static_cast<uint32_t>(ports_and_pair()); }

 private:
  using Words = std::array<uint64_t, 2>;

  void SetWords(uint64_t addresses, uint64_t ports_and_pair) {
    std::byte* const at = reinterpret_cast<std::byte*>(this);
    std::memcpy(at, &addresses, sizeof addresses);
    std::memcpy(at + sizeof addresses, &ports_and_pair, sizeof ports_and_pair);
  }
};

constexpr TupleName TupleOf(const FlowKey& key) { return {key.addresses(), key.ports()}; }

static_assert(sizeof(FlowKey) == 16 && alignof(FlowKey) == 4);
static_assert(std::is_trivially_copyable_v<FlowKey>);

// Which pool a flow's record lives in.
enum class FlowKind : uint8_t { kNone, kHalfOpen, kTimeWait, kConnection };

// A record of one of the three pools: kind and slab index in 32 bits. Zero is "none".
class FlowRef {
 public:
  static constexpr uint32_t kIndexMax = (1u << 30) - 1;

  constexpr FlowRef() = default;
  // REQUIRES: index <= kIndexMax; kind != kNone.
  constexpr FlowRef(FlowKind kind, uint32_t index)
      : bits_(static_cast<uint32_t>(kind) << 30 | (index & kIndexMax)) {
    MR_DCHECK(index <= kIndexMax);
  }
  static constexpr FlowRef FromBits(uint32_t bits) {
    FlowRef ref;
    ref.bits_ = bits;
    return ref;
  }

  constexpr FlowKind kind() const { return static_cast<FlowKind>(bits_ >> 30); }
  // By one comparison, because it is the last kind.
  constexpr bool IsConnection() const {
    return bits_ >= static_cast<uint32_t>(FlowKind::kConnection) << 30;
  }
  constexpr uint32_t index() const { return bits_ & kIndexMax; }
  constexpr uint32_t bits() const { return bits_; }
  explicit constexpr operator bool() const { return bits_ != 0; }

  constexpr bool operator==(const FlowRef&) const = default;

 private:
  uint32_t bits_ = 0;
};

static_assert(sizeof(FlowRef) == 4);

}  // namespace millrace::stack

#endif  // MILLRACE_STACK_FLOW_KEY_H_

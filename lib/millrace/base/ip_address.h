// base/ip_address.h - IPv4 and IPv6 addresses as one value, prefixes, and MAC addresses.
//
// An IPv4 address a.b.c.d is stored as the IPv4-mapped IPv6 address ::ffff:a.b.c.d
// (RFC 4291 section 2.5.5.2), so both families compare and hash alike.
#ifndef MILLRACE_BASE_IP_ADDRESS_H_
#define MILLRACE_BASE_IP_ADDRESS_H_

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace millrace {

// A word whose first `bits` bits are set: none below 1, all from 64 on.
constexpr uint64_t LeadingBits(int bits) {
  if (bits <= 0) return 0;
  return bits >= 64 ? ~uint64_t{0} : ~uint64_t{0} << (64 - bits);
}

class IpAddress {
 public:
  constexpr IpAddress() = default;  // ::
  // `address` in host byte order: 10.0.0.1 is 0x0A000001.
  static constexpr IpAddress V4(uint32_t address) {
    return IpAddress(0, 0x0000'FFFF'0000'0000ull | address);
  }
  static constexpr IpAddress V6(uint64_t high, uint64_t low) { return IpAddress(high, low); }
  // Accepts "10.1.0.1" and RFC 4291 text; nullopt for anything else.
  static std::optional<IpAddress> Parse(std::string_view text);

  constexpr bool IsV4() const { return high_ == 0 && (low_ >> 32) == 0x0000'FFFF; }
  constexpr uint32_t v4() const { return static_cast<uint32_t>(low_); }  // REQUIRES: IsV4()
  constexpr uint64_t high() const { return high_; }
  constexpr uint64_t low() const { return low_; }
  std::string ToString() const;

  constexpr auto operator<=>(const IpAddress&) const = default;

 private:
  constexpr IpAddress(uint64_t high, uint64_t low) : high_(high), low_(low) {}
  uint64_t high_ = 0, low_ = 0;  // host byte order
};

// An address with the length of its network prefix: "10.1.0.1/24".
struct IpPrefix {
  IpAddress address;
  int length_bits = 0;  // 0..32 for IPv4, 0..128 for IPv6

  static std::optional<IpPrefix> Parse(std::string_view text);  // a missing "/n" means one host
  bool Contains(const IpAddress& other) const;
  IpAddress Network() const;  // the first address
  std::string ToString() const;
};

struct MacAddress {
  std::array<uint8_t, 6> octets{};

  static std::optional<MacAddress> Parse(std::string_view text);  // "02:00:00:00:00:01"
  static constexpr MacAddress Broadcast() { return {{0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF}}; }
  constexpr bool IsGroup() const { return (octets[0] & 1) != 0; }  // multicast or broadcast
  std::string ToString() const;
  constexpr auto operator<=>(const MacAddress&) const = default;
};

// Where a connection ends: address and port (host byte order).
struct Endpoint {
  IpAddress address;
  uint16_t port = 0;

  static std::optional<Endpoint> Parse(std::string_view text);  // "10.0.0.1:80", "[::1]:80"
  std::string ToString() const;
  constexpr auto operator<=>(const Endpoint&) const = default;
};

}  // namespace millrace

#endif  // MILLRACE_BASE_IP_ADDRESS_H_

#include "millrace/base/ip_address.h"

#include <arpa/inet.h>

#include <charconv>
#include <cstring>

namespace millrace {
namespace {

// Decimal digits only, 0..max; nullopt for anything else.
std::optional<int> ParseNumber(std::string_view text, int max) {
  if (text.empty() || text[0] < '0' || text[0] > '9') return std::nullopt;
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value > max) return std::nullopt;
  return value;
}

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

uint64_t LoadBe64(const unsigned char* octets) {
  uint64_t value;
  std::memcpy(&value, octets, sizeof value);
  return __builtin_bswap64(value);
}

}  // namespace

std::optional<IpAddress> IpAddress::Parse(std::string_view text) {
  char terminated[INET6_ADDRSTRLEN];
  if (text.size() >= sizeof terminated || text.find('\0') != text.npos) return std::nullopt;
  text.copy(terminated, text.size());
  terminated[text.size()] = '\0';
  in_addr v4;
  if (inet_pton(AF_INET, terminated, &v4) == 1) return V4(ntohl(v4.s_addr));
  in6_addr v6;
  if (inet_pton(AF_INET6, terminated, &v6) != 1) return std::nullopt;
  return V6(LoadBe64(v6.s6_addr), LoadBe64(v6.s6_addr + 8));
}

std::string IpAddress::ToString() const {
  char text[INET6_ADDRSTRLEN];
  if (IsV4()) {
    const in_addr address{htonl(v4())};
    return inet_ntop(AF_INET, &address, text, sizeof text);
  }
  in6_addr address;
  const uint64_t words[2] = {__builtin_bswap64(high_), __builtin_bswap64(low_)};
  std::memcpy(&address, words, sizeof address);
  return inet_ntop(AF_INET6, &address, text, sizeof text);
}

std::optional<IpPrefix> IpPrefix::Parse(std::string_view text) {
  const size_t slash = text.find('/');
  const std::optional<IpAddress> address = IpAddress::Parse(text.substr(0, slash));
  if (!address.has_value()) return std::nullopt;
  if (slash == text.npos) return IpPrefix{*address, address->IsV4() ? 32 : 128};
  // "::ffff:10.0.0.0/104" is written as IPv6 but means 10.0.0.0/8.
  const bool mapped = address->IsV4() && text.substr(0, slash).find(':') != text.npos;
  const int skipped_bits = mapped ? 96 : 0;
  const std::optional<int> length =
      ParseNumber(text.substr(slash + 1), address->IsV4() ? 32 + skipped_bits : 128);
  if (!length.has_value() || *length < skipped_bits) return std::nullopt;
  return IpPrefix{*address, *length - skipped_bits};
}

bool IpPrefix::Contains(const IpAddress& other) const {
  if (address.IsV4() != other.IsV4()) return false;
  return IpPrefix{other, length_bits}.Network() == Network();
}

IpAddress IpPrefix::Network() const {
  const int bits = address.IsV4() ? length_bits + 96 : length_bits;
  return IpAddress::V6(address.high() & LeadingBits(bits), address.low() & LeadingBits(bits - 64));
}

std::string IpPrefix::ToString() const {
  return address.ToString() + "/" + std::to_string(length_bits);
}

std::optional<MacAddress> MacAddress::Parse(std::string_view text) {
  constexpr size_t kTextLength = 17;
  if (text.size() != kTextLength) return std::nullopt;
  MacAddress mac;
  for (size_t i = 0; i < mac.octets.size(); ++i) {
    const int high = HexDigit(text[i * 3]), low = HexDigit(text[i * 3 + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    if (i + 1 < mac.octets.size() && text[i * 3 + 2] != ':') return std::nullopt;
    mac.octets[i] = static_cast<uint8_t>(high * 16 + low);
  }
  return mac;
}

std::string MacAddress::ToString() const {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const uint8_t octet : octets) {
    if (!text.empty()) text += ':';
    text += kDigits[octet >> 4];
    text += kDigits[octet & 0xF];
  }
  return text;
}

std::optional<Endpoint> Endpoint::Parse(std::string_view text) {
  const size_t colon = text.rfind(':');
  if (colon == text.npos) return std::nullopt;
  std::string_view host = text.substr(0, colon);
  const bool bracketed = host.size() >= 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  // Brackets around IPv6 and only there: "::1:80" has two readings.
  if (bracketed != (host.find(':') != host.npos)) return std::nullopt;
  const std::optional<IpAddress> address = IpAddress::Parse(host);
  const std::optional<int> port = ParseNumber(text.substr(colon + 1), 65535);
  if (!address.has_value() || !port.has_value()) return std::nullopt;
  return Endpoint{*address, static_cast<uint16_t>(*port)};
}

std::string Endpoint::ToString() const {
  const std::string host = address.ToString();
  return (address.IsV4() ? host : "[" + host + "]") + ":" + std::to_string(port);
}

}  // namespace millrace

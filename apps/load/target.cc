#include "apps/load/target.h"

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>

namespace millrace::apps {
namespace {

constexpr uint32_t kWeightMax = 1'000'000;

// Takes "*3" off the end. False when what follows the star is no weight.
bool TakeWeight(std::string_view* text, uint32_t* weight) {
  const size_t star = text->rfind('*');
  if (star == std::string_view::npos) return true;
  const std::string_view digits = text->substr(star + 1);
  const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), *weight);
  if (parsed.ec != std::errc() || parsed.ptr != digits.data() + digits.size()) return false;
  text->remove_suffix(digits.size() + 1);
  return *weight >= 1 && *weight <= kWeightMax;
}

// True for what a request line can carry.
bool IsPath(std::string_view path) {
  return std::all_of(path.begin(), path.end(), [](char c) {
    return static_cast<unsigned char>(c) > 0x20 && static_cast<unsigned char>(c) < 0x7F;
  });
}

// RFC 1123 2.1, and the underscore that some networks have. What has no letter is an address.
bool IsName(std::string_view text) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  const bool all = std::all_of(text.begin(), text.end(), [&](char c) {
    return letter(c) || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_';
  });
  return all && text.size() < 254 && std::any_of(text.begin(), text.end(), letter);
}

// "10.2.0.1:80", "[2001:db8::1]:80", "server:80"; the port may be missing when there is a usual
// one. False for anything else.
bool ParseHost(const std::string& host, uint16_t usual_port, Target* target) {
  const size_t bracket = host.rfind(']');
  const size_t colon = host.find(':', bracket == std::string::npos ? 0 : bracket);
  if (colon == std::string::npos && usual_port == 0) return false;
  const std::string whole =
      colon == std::string::npos ? host + ":" + std::to_string(usual_port) : host;
  const std::string name = host.substr(0, colon);
  target->named = IsName(name);
  // A name is left to the resolver, but its port is not.
  const auto endpoint =
      Endpoint::Parse(target->named ? "0.0.0.0" + whole.substr(name.size()) : whole);
  if (!endpoint || endpoint->port == 0) return false;
  target->endpoint = *endpoint;
  return true;
}

uint64_t BigEndian(const unsigned char* octets) {
  uint64_t value = 0;
  for (int i = 0; i < 8; ++i) value = value << 8 | octets[i];
  return value;
}

// REQUIRES: AF_INET or AF_INET6.
IpAddress AddressOf(const sockaddr& address) {
  if (address.sa_family == AF_INET) {
    return IpAddress::V4(ntohl(reinterpret_cast<const sockaddr_in&>(address).sin_addr.s_addr));
  }
  const unsigned char* octets = reinterpret_cast<const sockaddr_in6&>(address).sin6_addr.s6_addr;
  return IpAddress::V6(BigEndian(octets), BigEndian(octets + 8));
}

}  // namespace

std::string ParseTarget(std::string_view text, Target* target) {
  const std::string quoted = "\"" + std::string(text) + "\"";
  *target = Target();
  target->text = text;
  if (!TakeWeight(&text, &target->weight)) {
    return quoted + ": the weight behind * is a number from 1 to " + std::to_string(kWeightMax);
  }
  constexpr std::string_view kTcp = "tcp://", kHttp = "http://";
  if (text.starts_with("https://")) return quoted + ": TLS is not offered; use http:// or tcp://";
  if (text.starts_with(kHttp)) {
    text.remove_prefix(kHttp.size());
    target->protocol = LoadProtocol::kHttp;
    const size_t slash = text.find('/');
    if (slash != std::string_view::npos) {
      target->path = text.substr(slash);
      text = text.substr(0, slash);
    }
    if (!IsPath(target->path)) return quoted + ": the path has a character that is not allowed";
  } else if (text.starts_with(kTcp)) {
    text.remove_prefix(kTcp.size());
  } else if (text != "ring") {
    return quoted + " is no target; write tcp://10.2.0.1:80, http://10.2.0.1/1k or ring";
  }
  target->host = text;
  if (text == "ring") {
    target->ring = true;
    return "";
  }
  if (ParseHost(target->host, target->http() ? 80 : 0, target)) return "";
  return quoted + ": \"" + target->host + "\" is no address or name" +
         (target->http() ? "" : " with a port");
}

std::string ResolveTarget(Family family, Target* target) {
  addrinfo hints{};
  hints.ai_family = family == Family::kV4 ? AF_INET : family == Family::kV6 ? AF_INET6 : AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const std::string name = target->host.substr(0, target->host.find(':'));
  const int error = getaddrinfo(name.c_str(), nullptr, &hints, &found);
  if (error != 0) {
    const char* const kind = family == Family::kV4   ? " has no IPv4 address: "
                             : family == Family::kV6 ? " has no IPv6 address: "
                                                     : " has no address: ";
    return "\"" + target->text + "\": " + name + kind +
           (error == EAI_SYSTEM ? std::strerror(errno) : gai_strerror(error));
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> all(found, &freeaddrinfo);
  target->endpoint.address = AddressOf(*all->ai_addr);
  return "";
}

}  // namespace millrace::apps

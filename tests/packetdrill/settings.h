// packetdrill/settings.h - from packetdrill's --so_flags and the namespace's sysctls to the engine.
//
// Flags are KEY=VALUE, separated by commas; all may be left out:
//   local=192.168.0.1   our address, IPv4 or IPv6
//   mtu=1500            octets of IP packet
//   profile=linux       linux or freebsd: whose habits the engine takes on where RFCs leave a
//                       choice (Config's fields); scripts are written for one of them
//   cc=cubic            in place of the sysctl, which a namespace may refuse to set
//   sysctl=PATH         in place of /proc/sys/net/ipv4; sysctl=none reads none
// Scripts set sysctls while they run, so these are read at every socket(), listen() and connect().
#ifndef MILLRACE_PACKETDRILL_SETTINGS_H_
#define MILLRACE_PACKETDRILL_SETTINGS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "millrace/base/ip_address.h"
#include "millrace/base/siphash.h"
#include "millrace/stack/engine_config.h"

namespace millrace::packetdrill {

// The neighbour behind which everybody is; never seen in a packet.
inline constexpr IpAddress kGatewayV4 = IpAddress::V4(0x0A00'0001);
inline constexpr IpAddress kGatewayV6 = IpAddress::V6(0xFE80'0000'0000'0000, 2);

enum class Profile : uint8_t { kLinux, kFreeBsd };

// What the adaptor, and not the engine, makes of the sysctls: octets.
struct SocketDefaults {
  uint32_t send_buffer = 256 * 1024;
  uint32_t receive_buffer = 540'000;
  uint32_t notsent_low = UINT32_MAX;
};

// Keys of Fast Open cookies, as the engine takes them: none to two.
using FastOpenKeys = std::vector<SipKey>;
// Of the octets of TCP_FASTOPEN_KEY; none for a size that is none.
FastOpenKeys FastOpenKeysOf(std::span<const std::byte> octets);

struct Settings {
  IpAddress local = IpAddress::V4(0xC0A8'0001);
  uint16_t mtu = 1500;
  Profile profile = Profile::kLinux;
  std::string congestion_control;  // empty: the sysctl's
  std::string sysctl_path = "/proc/sys/net/ipv4";

  // Nullopt and *error for a key or a value that is not known.
  static std::optional<Settings> Parse(const char* flags, std::string* error);

  // Octets of text that a packet carries without options.
  uint16_t Mss() const { return static_cast<uint16_t>(mtu - (local.IsV4() ? 40 : 60)); }
  stack::EngineConfig ToEngineConfig() const;
  // The protocol's part of it, with the sysctls as they are now.
  tcp::Config ToTcpConfig() const;
  SocketDefaults ToSocketDefaults() const;
  std::string CongestionControl() const;
  // tcp_fastopen's bits: may clients use it, may listeners, and all of them; without cookies.
  struct FastOpen {
    bool client = true, server = false, every_listener = false;
    bool client_cookieless = false, server_cookieless = false;
    FastOpenKeys keys;  // tcp_fastopen_key; none when it cannot be read
  };
  FastOpen ToFastOpen() const;

 private:
  std::optional<std::string> Sysctl(const char* name) const;
  std::optional<int64_t> Number(const char* name) const;
  // Of tcp_rmem and tcp_wmem: least, default, most.
  std::optional<std::array<uint32_t, 3>> Triple(const char* name) const;
};

}  // namespace millrace::packetdrill

#endif  // MILLRACE_PACKETDRILL_SETTINGS_H_

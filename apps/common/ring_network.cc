#include "apps/common/ring_network.h"

namespace millrace::apps {
namespace {

constexpr IpAddress kServerV4 = IpAddress::V4(0xC612'0001);   // 198.18.0.1
constexpr IpAddress kClientsV4 = IpAddress::V4(0xC612'8000);  // 198.18.128.0
constexpr IpAddress kServerV6 = IpAddress::V6(0x2001'0002'0000'0000, 1);
constexpr IpAddress kClientsV6 = IpAddress::V6(0x2001'0002'0000'0000, 0x1'0000);
constexpr int kNetworkBitsV4 = 16, kNetworkBitsV6 = 64;
constexpr uint32_t kClients = 512;
constexpr int kClientBitsV4 = 23, kClientBitsV6 = 119;

IpAddress Plus(const IpAddress& address, uint64_t n) {
  return IpAddress::V6(address.high(), address.low() + n);
}

void SetAddress(const IpAddress& address, int owned_bits, stack::EngineConfig* config) {
  if (address.IsV4()) {
    config->address = {address, kNetworkBitsV4};
    config->owned_bits = owned_bits;
    return;
  }
  config->address = {};
  config->host_v6 = {.address = {address, kNetworkBitsV6},
                     .owned_bits = owned_bits,
                     .detection_transmits = 0,
                     .group_reports = false};
}

}  // namespace

IpAddress RingNetwork::server() const { return ipv6 ? kServerV6 : kServerV4; }

IpPrefix RingNetwork::clients() const {
  return ipv6 ? IpPrefix{kClientsV6, kClientBitsV6} : IpPrefix{kClientsV4, kClientBitsV4};
}

void RingNetwork::SetClient(stack::EngineConfig* config) const {
  SetAddress(Plus(clients().address, 1), clients().length_bits, config);
}

void RingNetwork::SetServer(stack::EngineConfig* config) const {
  SetAddress(server(), ipv6 ? 128 : 32, config);
}

absl::Status RingNetwork::KnowClients(stack::Engine& server, const MacAddress& client_mac) const {
  for (uint32_t i = 0; i < kClients; ++i) {
    if (!server.neighbors().AddStatic(Plus(clients().address, i), client_mac)) {
      return absl::InternalError("the neighbour table has no room for the client's addresses");
    }
  }
  return absl::OkStatus();
}

}  // namespace millrace::apps

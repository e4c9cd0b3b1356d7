// apps/common/ring_network.h - the addresses of a client and a server that are joined by rings in
// one process: RFC 2544's range for benchmarks, or RFC 5180's over IPv6.
#ifndef MILLRACE_APPS_COMMON_RING_NETWORK_H_
#define MILLRACE_APPS_COMMON_RING_NETWORK_H_

#include "absl/status/status.h"
#include "millrace/stack/engine.h"

namespace millrace::apps {

struct RingNetwork {
  bool ipv6 = false;

  // 198.18.0.1 or 2001:2::1.
  IpAddress server() const;
  // 512 addresses: 198.18.128.0/23 or 2001:2::1:0/119.
  IpPrefix clients() const;

  // Sets addresses. Nobody else is on the link, so nothing is asked or told about them.
  void SetClient(stack::EngineConfig* config) const;
  void SetServer(stack::EngineConfig* config) const;

  // Makes the client's addresses known to the server, which would ask for each of them at the first
  // connection from it, and drop what does not fit the few packets that may wait: a second's delay
  // for each, which is no figure of a connection rate. The client asks for the server as usual.
  absl::Status KnowClients(stack::Engine& server, const MacAddress& client_mac) const;
};

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_COMMON_RING_NETWORK_H_

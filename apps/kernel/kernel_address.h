// kernel/kernel_address.h - an endpoint as the kernel's calls want it.
#ifndef MILLRACE_APPS_KERNEL_KERNEL_ADDRESS_H_
#define MILLRACE_APPS_KERNEL_KERNEL_ADDRESS_H_

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "millrace/base/ip_address.h"

namespace millrace::apps {

class KernelAddress {
 public:
  explicit KernelAddress(const Endpoint& endpoint) {
    const IpAddress& address = endpoint.address;
    if (address.IsV4()) {
      length_ = sizeof v4_;
      v4_ = {.sin_family = AF_INET, .sin_port = htons(endpoint.port)};
      v4_.sin_addr.s_addr = htonl(address.v4());
      return;
    }
    length_ = sizeof v6_;
    v6_ = {.sin6_family = AF_INET6, .sin6_port = htons(endpoint.port)};
    for (size_t i = 0; i < 8; ++i) {
      v6_.sin6_addr.s6_addr[i] = static_cast<uint8_t>(address.high() >> (56 - 8 * i));
      v6_.sin6_addr.s6_addr[8 + i] = static_cast<uint8_t>(address.low() >> (56 - 8 * i));
    }
  }
  const sockaddr* get() const { return &any_; }
  socklen_t length() const { return length_; }

 private:
  socklen_t length_ = 0;
  union {
    sockaddr any_;
    sockaddr_in v4_;
    sockaddr_in6 v6_;
  };
};

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_KERNEL_KERNEL_ADDRESS_H_

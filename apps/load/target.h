// load/target.h - where the load goes: "tcp://10.2.0.1:80", "http://10.2.0.1/1k*3", "ring".
#ifndef MILLRACE_APPS_LOAD_TARGET_H_
#define MILLRACE_APPS_LOAD_TARGET_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "millrace/base/ip_address.h"

namespace millrace::apps {

enum class LoadProtocol : uint8_t {
  kTcp,   // so many octets there, so many back
  kHttp,  // HTTP/1.1
};

struct Target {
  LoadProtocol protocol = LoadProtocol::kTcp;
  Endpoint endpoint;       // unspecified for a ring, until its counterpart has an address
  bool named = false;      // the host is a name, and `endpoint` has no address yet
  std::string host;        // as written, for the Host field
  std::string path = "/";  // HTTP
  uint32_t weight = 1;     // its share of the connections, by weight
  bool ring = false;       // a server in this process
  uint32_t number = 0;     // its place among all targets of the run
  std::string text;        // as the user wrote it

  bool http() const { return protocol == LoadProtocol::kHttp; }
};

// The host is an address, a name, or "ring". A weight follows as "*3". Returns "" or what is wrong
// with the text, as a sentence for the user.
std::string ParseTarget(std::string_view text, Target* target);

// Which addresses of a name will do.
enum class Family : uint8_t { kAny, kV4, kV6 };
// Asks this machine's resolver for the address of a target that is a name, and takes the first.
// Blocks. Returns "" or what is wrong.
std::string ResolveTarget(Family family, Target* target);

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_LOAD_TARGET_H_

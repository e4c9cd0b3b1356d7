#include "apps/load/target.h"

#include <algorithm>
#include <charconv>

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

// "10.2.0.1:80", "[2001:db8::1]:80"; the port may be missing when there is a usual one.
std::optional<Endpoint> ParseHost(const std::string& host, uint16_t usual_port) {
  const size_t bracket = host.rfind(']');
  const bool has_port =
      host.find(':', bracket == std::string::npos ? 0 : bracket) != std::string::npos;
  if (has_port) return Endpoint::Parse(host);
  if (usual_port == 0) return std::nullopt;
  return Endpoint::Parse(host + ":" + std::to_string(usual_port));
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
  const std::optional<Endpoint> endpoint = ParseHost(target->host, target->http() ? 80 : 0);
  if (!endpoint || endpoint->port == 0) {
    return quoted + ": \"" + target->host + "\" is no address" +
           (target->http() ? "" : " with a port") + " (names are not looked up)";
  }
  target->endpoint = *endpoint;
  return "";
}

}  // namespace millrace::apps

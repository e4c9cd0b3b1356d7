#include "packetdrill/settings.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <fstream>
#include <sstream>
#include <string_view>

#include "millrace/stack/engine.h"

namespace millrace::packetdrill {
namespace {

template <class Number>
std::optional<Number> ParseNumber(std::string_view text) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// An algorithm that the engine does not have is the nearest that it has.
tcp::CongestionKind KindOf(std::string_view name) {
  if (name == "reno") return tcp::CongestionKind::kNewReno;
  if (name == "dctcp") return tcp::CongestionKind::kDctcp;
  return tcp::CongestionKind::kCubic;
}

// 0 never, 1 asked for, 2 when asked; more is accurate ECN, which the engine does not have.
tcp::Ecn EcnOf(int64_t sysctl) {
  if (sysctl == 0) return tcp::Ecn::kOff;
  return sysctl == 1 ? tcp::Ecn::kActive : tcp::Ecn::kPassive;
}

// False when the value is none for the key, or the key is unknown.
bool Apply(Settings& settings, std::string_view key, std::string_view value) {
  if (key == "local") {
    const auto address = IpAddress::Parse(value);
    if (address.has_value()) settings.local = *address;
    return address.has_value();
  }
  if (key == "mtu") {
    const auto mtu = ParseNumber<uint16_t>(value);
    if (mtu.has_value()) settings.mtu = *mtu;
    return mtu.has_value() && *mtu >= 576 && *mtu <= 9000;
  }
  if (key == "profile") {
    settings.profile = value == "freebsd" ? Profile::kFreeBsd : Profile::kLinux;
    return value == "freebsd" || value == "linux";
  }
  if (key == "cc") {
    settings.congestion_control = value;
    return !value.empty();
  }
  if (key == "sysctl") {
    settings.sysctl_path = value == "none" ? "" : value;
    return true;
  }
  return false;
}

// "01234567-89abcdef-01234567-89abcdef", maybe a second one behind a comma: words whose octets a
// key has with the lowest first.
FastOpenKeys ParseKeys(const std::string& text) {
  std::array<uint32_t, 8> words{};
  size_t count = 0;
  std::istringstream parts(text);
  for (std::string key; std::getline(parts, key, ',');) {
    std::istringstream digits(key);
    for (std::string word; std::getline(digits, word, '-') && count < words.size(); ++count) {
      const auto [end, error] =
          std::from_chars(word.data(), word.data() + word.size(), words[count], 16);
      if (error != std::errc()) return {};
    }
  }
  return FastOpenKeysOf(std::as_bytes(std::span(words).first(count)));
}

}  // namespace

FastOpenKeys FastOpenKeysOf(std::span<const std::byte> octets) {
  FastOpenKeys keys(octets.size() / sizeof(SipKey));
  if (octets.size() % sizeof(SipKey) != 0 || keys.size() > stack::Engine::kFastOpenKeysMax) {
    return {};
  }
  if (!keys.empty()) std::memcpy(keys.data(), octets.data(), octets.size());
  return keys;
}

std::optional<Settings> Settings::Parse(const char* flags, std::string* error) {
  Settings settings;
  std::istringstream pairs(flags == nullptr ? "" : flags);
  for (std::string pair; std::getline(pairs, pair, ',');) {
    const size_t equals = pair.find('=');
    const std::string_view all = pair;
    if (equals == std::string::npos ||
        !Apply(settings, all.substr(0, equals), all.substr(equals + 1))) {
      *error = "so_flags: '" + pair + "' is not known, see settings.h";
      return std::nullopt;
    }
  }
  return settings;
}

std::optional<std::string> Settings::Sysctl(const char* name) const {
  if (sysctl_path.empty()) return std::nullopt;
  std::ifstream file(sysctl_path + "/" + name);
  std::string line;
  if (!std::getline(file, line)) return std::nullopt;
  return line;
}

std::optional<int64_t> Settings::Number(const char* name) const {
  const auto text = Sysctl(name);
  return text.has_value() ? ParseNumber<int64_t>(*text) : std::nullopt;
}

std::optional<std::array<uint32_t, 3>> Settings::Triple(const char* name) const {
  std::istringstream text(Sysctl(name).value_or(""));
  std::array<uint32_t, 3> values{};
  if (!(text >> values[0] >> values[1] >> values[2])) return std::nullopt;
  return values;
}

std::string Settings::CongestionControl() const {
  if (!congestion_control.empty()) return congestion_control;
  return Sysctl("tcp_congestion_control").value_or("cubic");
}

SocketDefaults Settings::ToSocketDefaults() const {
  SocketDefaults defaults;
  if (const auto receive = Triple("tcp_rmem")) defaults.receive_buffer = (*receive)[1];
  if (const auto send = Triple("tcp_wmem")) defaults.send_buffer = (*send)[1];
  const auto low = Number("tcp_notsent_lowat");
  if (low.has_value()) defaults.notsent_low = static_cast<uint32_t>(*low);
  return defaults;
}

tcp::Config Settings::ToTcpConfig() const {
  tcp::Config config;
  config.mss = static_cast<uint16_t>(mtu - 40);
  config.timestamps = Number("tcp_timestamps").value_or(1) != 0;
  config.window_scaling = Number("tcp_window_scaling").value_or(1) != 0;
  config.sack_permitted = Number("tcp_sack").value_or(1) != 0;
  if (profile == Profile::kLinux) {
    config.quick_ack_bytes = 16 * config.mss;  // TCP_MAX_QUICKACKS segments
    config.push_burst_segments =
        static_cast<uint8_t>(std::clamp<int64_t>(Number("tcp_min_tso_segs").value_or(2), 1, 255));
    config.slow_start_whole_acks = true;
    config.probe_single_segments = true;
    config.threshold_from_window = true;
    config.empty_window_probes = true;
    config.reset_from_segment = true;
    config.rto_granularity = config.rto_min;
    config.fast_open_blocked = Duration();
    config.nagle_minshall = true;
  }
  if (const auto receive = Triple("tcp_rmem")) config.receive_buffer_max_bytes = (*receive)[2];
  config.receive_buffer_bytes = ToSocketDefaults().receive_buffer;
  config.congestion = KindOf(CongestionControl());
  config.restart_after_idle = Number("tcp_slow_start_after_idle").value_or(1) != 0;
  config.ecn = EcnOf(Number("tcp_ecn").value_or(2));
  config.rack = (Number("tcp_recovery").value_or(1) & 1) != 0;
  config.dsack = Number("tcp_dsack").value_or(1) != 0;
  config.send_buffer_bytes = 16 * 1024 * 1024;  // the adaptor has a limit for each socket
  config.syn_retransmits_max =
      static_cast<uint8_t>(std::clamp<int64_t>(Number("tcp_syn_retries").value_or(6), 1, 31));
  config.syn_ack_retransmits_max =
      static_cast<uint8_t>(std::clamp<int64_t>(Number("tcp_synack_retries").value_or(5), 1, 15));
  return config;
}

Settings::FastOpen Settings::ToFastOpen() const {
  // As Linux numbers them.
  constexpr int64_t kClient = 1, kServer = 2, kEveryListener = 0x400;
  constexpr int64_t kClientCookieless = 4, kServerCookieless = 0x200;
  const int64_t bits = Number("tcp_fastopen").value_or(kClient);
  return {.client = (bits & kClient) != 0,
          .server = (bits & kServer) != 0,
          .every_listener = (bits & kEveryListener) != 0,
          .client_cookieless = (bits & kClientCookieless) != 0,
          .server_cookieless = (bits & kServerCookieless) != 0,
          .keys = ParseKeys(Sysctl("tcp_fastopen_key").value_or(""))};
}

stack::EngineConfig Settings::ToEngineConfig() const {
  stack::EngineConfig config;
  config.tcp = ToTcpConfig();
  config.tcp.fast_open_client = true;  // there are cookies; who uses them says so when it connects
  config.limits = {.connections = 256,
                   .half_open = 256,
                   .time_wait = 256,
                   .send_extents = 65'536,
                   .send_chunks = 16'384,
                   .receive_nodes = 16'384,
                   .receive_chunks = 256,
                   .extras = 256,
                   .recoveries = 256,
                   .sent_runs = 16'384};
  // Our address alone is on the link; everybody else is behind the one static neighbour.
  if (local.IsV4()) {
    config.address = {local, 32};
    config.gateway_v4 = kGatewayV4.v4();
  } else {
    config.host_v6 = {.address = {local, 128},
                      .gateway = kGatewayV6,
                      .detection_transmits = 0,
                      .group_reports = false};
  }
  config.stateless_replies_per_s = 1'000'000;
  config.stateless_replies_burst = 1'000'000;
  config.pages = Region::Pages::kPlain;
  return config;
}

}  // namespace millrace::packetdrill

// sim/impairment_text.cc - the settings of a bad network as text, both ways.
#include <charconv>
#include <cmath>
#include <optional>
#include <system_error>

#include "millrace/sim/impairment.h"

namespace millrace::sim {
namespace {

// Splits `text` at the first `separator`; `rest` is left alone when there is none.
std::string_view CutAt(std::string_view& text, char separator) {
  const size_t at = text.find(separator);
  const std::string_view head = text.substr(0, at);
  text = at == std::string_view::npos ? std::string_view() : text.substr(at + 1);
  return head;
}

// A plain decimal number, 0 or more, that starts with a digit, and what stands behind it.
struct Number {
  double value;
  std::string_view unit;
};
std::optional<Number> ParseNumber(std::string_view text) {
  if (text.empty() || text[0] < '0' || text[0] > '9') return std::nullopt;
  Number number{};
  const char* const end = text.data() + text.size();
  const auto [stop, error] =
      std::from_chars(text.data(), end, number.value, std::chars_format::fixed);
  if (error != std::errc()) return std::nullopt;
  number.unit = std::string_view(stop, static_cast<size_t>(end - stop));
  return number;
}

bool ParseProbability(std::string_view text, double& out) {
  const std::optional<Number> number = ParseNumber(text);
  if (!number || !(number->unit.empty() || number->unit == "%")) return false;
  const double value = number->unit.empty() ? number->value : number->value / 100;
  if (value > 1) return false;
  out = value;
  return true;
}

struct Unit {
  std::string_view name;
  double factor;
};
constexpr Unit kDurationUnits[] = {{"s", 1e9}, {"ms", 1e6}, {"us", 1e3}, {"ns", 1}};
constexpr Unit kRateUnits[] = {{"G", 1e9}, {"M", 1e6}, {"K", 1e3}, {"k", 1e3}, {"", 1}};

template <size_t n>
std::optional<int64_t> ParseScaled(std::string_view text, const Unit (&units)[n], double max) {
  const std::optional<Number> number = ParseNumber(text);
  if (!number) return std::nullopt;
  for (const Unit& unit : units) {
    if (number->unit != unit.name) continue;
    const double value = std::round(number->value * unit.factor);
    if (value > max) return std::nullopt;
    return static_cast<int64_t>(value);
  }
  return std::nullopt;
}

bool ParseDuration(std::string_view text, Duration& out) {
  constexpr double kMaxNs = 3600e9;
  const std::optional<int64_t> ns = ParseScaled(text, kDurationUnits, kMaxNs);
  if (ns) out = Duration::Nanoseconds(*ns);
  return ns.has_value();
}

template <class T>
bool ParseInteger(std::string_view text, T& out) {
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, out);
  return error == std::errc() && stop == end;
}

bool ParseRate(std::string_view text, Impairment& out) {
  constexpr double kMaxBps = 1e13;
  const std::optional<int64_t> bps = ParseScaled(text, kRateUnits, kMaxBps);
  if (!bps || *bps < 1) return false;
  out.rate_bps = *bps;
  return true;
}

bool ParseBurst(std::string_view text, Impairment& out) {
  const bool has_length = text.find(':') != std::string_view::npos;
  if (!ParseProbability(CutAt(text, ':'), out.burst_loss)) return false;
  if (!has_length) return true;
  constexpr double kMaxFrames = 1e6;
  const std::optional<Number> frames = ParseNumber(text);
  if (!frames || !frames->unit.empty() || frames->value < 1 || frames->value > kMaxFrames) {
    return false;
  }
  out.burst_frames = frames->value;
  return true;
}

bool ParseReorder(std::string_view text, Impairment& out) {
  const bool has_delay = text.find(':') != std::string_view::npos;
  if (!ParseProbability(CutAt(text, ':'), out.reorder)) return false;
  return !has_delay || ParseDuration(text, out.reorder_delay);
}

constexpr std::string_view kProbabilityHelp = "a probability from 0% to 100%, such as 1% or 0.01";
constexpr std::string_view kDurationHelp = "a time up to 3600s with its unit (ns, us, ms, s)";

struct Key {
  std::string_view name;
  std::string_view help;
  bool (*parse)(std::string_view, Impairment&);
};
constexpr Key kKeys[] = {
    {"loss", kProbabilityHelp,
     [](std::string_view text, Impairment& out) { return ParseProbability(text, out.loss); }},
    {"burst", "a probability and the mean frames per burst, such as 1%:4", ParseBurst},
    {"reorder", "a probability and the most a frame is late, such as 1% or 1%:5ms", ParseReorder},
    {"duplicate", kProbabilityHelp,
     [](std::string_view text, Impairment& out) { return ParseProbability(text, out.duplicate); }},
    {"corrupt", kProbabilityHelp,
     [](std::string_view text, Impairment& out) { return ParseProbability(text, out.corrupt); }},
    {"delay", kDurationHelp,
     [](std::string_view text, Impairment& out) { return ParseDuration(text, out.delay); }},
    {"jitter", kDurationHelp,
     [](std::string_view text, Impairment& out) { return ParseDuration(text, out.jitter); }},
    {"rate", "bits per second up to 10000G, such as 100M (K, M or G)", ParseRate},
    {"queue", "a number of packets",
     [](std::string_view text, Impairment& out) {
       return ParseInteger(text, out.queue_packets_max);
     }},
    {"mark", "a number of packets",
     [](std::string_view text, Impairment& out) { return ParseInteger(text, out.mark_packets); }},
    {"seed", "a whole number",
     [](std::string_view text, Impairment& out) { return ParseInteger(text, out.seed); }},
};

std::string ValidKeys() {
  std::string list = "valid keys: ";
  for (const Key& key : kKeys) {
    if (&key != kKeys) list += ", ";
    list += key.name;
  }
  return list;
}

// `"loss=2": expected a probability ...; valid keys: ...`
std::string Complaint(std::string_view item, std::string_view what) {
  std::string line = "\"";
  line += item;
  line += "\": ";
  line += what;
  return line + "; " + ValidKeys();
}

// Shortest text that reads back to the same value.
std::string NumberText(double value) {
  char buffer[400];  // fixed notation of the smallest double fits
  const auto [end, error] =
      std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::fixed);
  return error == std::errc() ? std::string(buffer, end) : "0";
}

std::string DurationText(Duration duration) {
  for (const Unit& unit : kDurationUnits) {
    const auto factor = static_cast<int64_t>(unit.factor);
    if (duration.ns() % factor == 0) {
      return std::to_string(duration.ns() / factor) + std::string(unit.name);
    }
  }
  return "0s";  // not reached: the last factor is 1
}

}  // namespace

std::variant<Impairment, std::string> ParseImpairment(std::string_view text) {
  Impairment result;
  uint32_t keys_seen = 0;
  if (text.empty()) return Complaint(text, "expected key=value, separated by commas");
  for (bool more = true; more;) {
    more = text.find(',') != std::string_view::npos;
    const std::string_view item = CutAt(text, ',');
    std::string_view value = item;
    const std::string_view name = CutAt(value, '=');
    const Key* found = nullptr;
    for (const Key& key : kKeys) {
      if (key.name == name) found = &key;
    }
    if (found == nullptr) return Complaint(item, "unknown key");
    const uint32_t bit = 1u << (found - kKeys);
    if ((keys_seen & bit) != 0) return Complaint(item, "key given twice");
    keys_seen |= bit;
    if (!found->parse(value, result)) {
      return Complaint(item, "expected " + std::string(found->help));
    }
  }
  return result;
}

std::string ToString(const Impairment& impairment) {
  std::string text = "loss=" + NumberText(impairment.loss);
  text += ",burst=" + NumberText(impairment.burst_loss);
  text += ':';
  text += NumberText(impairment.burst_frames);
  text += ",reorder=" + NumberText(impairment.reorder);
  text += ':';
  text += DurationText(impairment.reorder_delay);
  text += ",duplicate=" + NumberText(impairment.duplicate);
  text += ",corrupt=" + NumberText(impairment.corrupt);
  text += ",delay=" + DurationText(impairment.delay);
  text += ",jitter=" + DurationText(impairment.jitter);
  if (impairment.rate_bps > 0) text += ",rate=" + std::to_string(impairment.rate_bps);
  text += ",queue=" + std::to_string(impairment.queue_packets_max);
  if (impairment.mark_packets > 0) text += ",mark=" + std::to_string(impairment.mark_packets);
  text += ",seed=" + std::to_string(impairment.seed);
  return text;
}

}  // namespace millrace::sim

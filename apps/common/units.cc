#include "apps/common/units.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <limits>
#include <utility>
#include <vector>

namespace millrace::apps {
namespace {

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

std::string Lowered(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(), Lower);
  return lower;
}

// Splits "1.5m" into 1.5 and "m". The number is digits with at most one point: no sign, no
// exponent, no spaces.
struct Quantity {
  double number = 0;
  std::string unit;  // lower case
};

std::optional<Quantity> Split(std::string_view text) {
  size_t end = 0;
  int points = 0, digits = 0;
  while (end < text.size() && ((text[end] >= '0' && text[end] <= '9') || text[end] == '.')) {
    text[end] == '.' ? ++points : ++digits;
    ++end;
  }
  if (digits == 0 || points > 1) return std::nullopt;
  Quantity quantity;
  const auto parsed = std::from_chars(text.data(), text.data() + end, quantity.number);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + end) return std::nullopt;
  quantity.unit = Lowered(text.substr(end));
  return quantity;
}

// `base` to the power that "", "k", "m", "g" or "t" stands for; 0 for anything else.
double Multiplier(std::string_view unit, double base) {
  if (unit.empty()) return 1;
  if (unit.size() > 1) return 0;
  switch (unit[0]) {
    case 'k':
      return base;
    case 'm':
      return base * base;
    case 'g':
      return base * base * base;
    case 't':
      return base * base * base * base;
    default:
      return 0;
  }
}

std::optional<uint64_t> ToWhole(double value) {
  constexpr double kHighest = 9007199254740992.0;  // 2^53: whole numbers are exact up to here
  if (!(value >= 0) || value > kHighest || value != std::floor(value)) return std::nullopt;
  return static_cast<uint64_t>(value);
}

std::string Printed(const char* format, double value, const char* unit) {
  std::array<char, 64> text;
  std::snprintf(text.data(), text.size(), format, value, unit);
  return text.data();
}

// Three significant digits.
std::string ThreeDigits(double value, const char* unit) {
  if (value < 9.995) return Printed("%.2f%s", value, unit);
  if (value < 99.95) return Printed("%.1f%s", value, unit);
  return Printed("%.0f%s", value, unit);
}

size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t substituted = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, substituted});
    }
  }
  return row[b.size()];
}

}  // namespace

std::optional<uint64_t> ParseSize(std::string_view text) {
  std::optional<Quantity> quantity = Split(text);
  if (!quantity) return std::nullopt;
  std::string_view unit = quantity->unit;
  if (unit.ends_with("ib") && unit.size() == 3) {
    unit = unit.substr(0, 1);
  } else if (unit.ends_with("b")) {
    unit.remove_suffix(1);
  }
  const double multiplier = Multiplier(unit, 1024);
  if (multiplier == 0) return std::nullopt;
  return ToWhole(quantity->number * multiplier);
}

std::optional<uint64_t> ParseCount(std::string_view text) {
  const std::optional<Quantity> quantity = Split(text);
  if (!quantity) return std::nullopt;
  const double multiplier = Multiplier(quantity->unit, 1000);
  if (multiplier == 0) return std::nullopt;
  // 1.2 * 1000000 is not exactly 1200000 for every fraction: the nearest whole number, if near.
  const double value = quantity->number * multiplier;
  const double whole = std::round(value);
  if (std::abs(value - whole) > 1e-6 * std::max(1.0, whole)) return std::nullopt;
  return ToWhole(whole);
}

std::optional<double> ParseRate(std::string_view text) {
  if (text.ends_with("/s")) text.remove_suffix(2);
  const std::optional<Quantity> quantity = Split(text);
  if (!quantity) return std::nullopt;
  const double rate = quantity->number * Multiplier(quantity->unit, 1000);
  if (!(rate > 0) || rate > 1e9) return std::nullopt;
  return rate;
}

std::optional<double> ParseShare(std::string_view text) {
  const std::optional<Quantity> quantity = Split(text);
  if (!quantity || (!quantity->unit.empty() && quantity->unit != "%")) return std::nullopt;
  const double share = quantity->unit.empty() ? quantity->number : quantity->number / 100;
  if (share >= 1) return std::nullopt;
  return share;
}

std::optional<Duration> ParseDuration(std::string_view text) {
  const std::optional<Quantity> quantity = Split(text);
  if (!quantity) return std::nullopt;
  struct Unit {
    std::string_view name;
    double ns;
  };
  constexpr Unit kUnits[] = {{"", 1e9},   {"s", 1e9},  {"ms", 1e6},   {"us", 1e3},
                             {"ns", 1.0}, {"m", 60e9}, {"min", 60e9}, {"h", 3600e9}};
  for (const Unit& unit : kUnits) {
    if (quantity->unit != unit.name) continue;
    const double ns = quantity->number * unit.ns;
    if (ns > 1000 * 3600e9) return std::nullopt;
    return Duration::Nanoseconds(std::llround(ns));
  }
  return std::nullopt;
}

std::string GroupDigits(uint64_t value) {
  std::string digits = std::to_string(value);
  for (size_t at = digits.size(); at > 3;) digits.insert(at -= 3, 1, ' ');
  return digits;
}

std::string FormatCount(double value) {
  if (value < 9999.5) return GroupDigits(static_cast<uint64_t>(std::llround(value)));
  if (value < 999'500) return ThreeDigits(value / 1e3, " k");
  if (value < 999.5e6) return ThreeDigits(value / 1e6, " M");
  return ThreeDigits(value / 1e9, " G");
}

std::string FormatBytes(uint64_t octets) {
  const auto value = static_cast<double>(octets);
  if (octets < 10'000) return GroupDigits(octets) + " B";
  if (value < 1024.0 * 1024) return ThreeDigits(value / 1024, " KiB");
  if (value < 1024.0 * 1024 * 1024) return ThreeDigits(value / (1024.0 * 1024), " MiB");
  return ThreeDigits(value / (1024.0 * 1024 * 1024), " GiB");
}

std::string FormatDuration(Duration duration) {
  const auto ns = static_cast<double>(duration.ns());
  if (ns < 999.5) return Printed("%.0f%s", ns, "ns");
  if (ns < 999.5e3) return ThreeDigits(ns / 1e3, "us");
  if (ns < 999.5e6) return ThreeDigits(ns / 1e6, "ms");
  return ThreeDigits(ns / 1e9, "s");
}

std::string AsTyped(Duration duration) {
  constexpr std::pair<int64_t, const char*> kUnits[] = {
      {3'600'000'000'000, "h"}, {60'000'000'000, "m"}, {1'000'000'000, "s"},
      {1'000'000, "ms"},        {1'000, "us"},         {1, "ns"}};
  if (duration == Duration()) return "0";
  for (const auto& [ns, name] : kUnits) {
    if (duration.ns() % ns == 0) return std::to_string(duration.ns() / ns) + name;
  }
  return "";
}

std::string AsTypedSize(uint64_t octets) {
  constexpr std::pair<int, const char*> kUnits[] = {{30, "g"}, {20, "m"}, {10, "k"}};
  for (const auto& [bits, name] : kUnits) {
    const uint64_t unit = uint64_t{1} << bits;
    if (octets >= unit && octets % unit == 0) return std::to_string(octets / unit) + name;
  }
  return std::to_string(octets);
}

std::string Nearest(std::string_view word, const std::vector<std::string>& names) {
  std::string best;
  size_t best_distance = std::max<size_t>(1, word.size() / 3) + 1;
  for (const std::string& name : names) {
    const size_t distance = EditDistance(word, name);
    if (distance < best_distance) {
      best_distance = distance;
      best = name;
    }
  }
  return best;
}

}  // namespace millrace::apps

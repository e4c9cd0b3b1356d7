#include "apps/result/text.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <ctime>

#include "apps/common/units.h"

namespace millrace::apps {

std::string Printable(std::string_view text) {
  std::string printable(text);
  for (size_t i = 0; i < printable.size(); ++i) {
    const auto octet = static_cast<unsigned char>(printable[i]);
    if (octet < 0x20 || octet == 0x7f) printable[i] = '?';
    // U+0080 to U+009F in UTF-8: control characters to a terminal too.
    const bool two = octet == 0xc2 && i + 1 < printable.size();
    if (two && static_cast<unsigned char>(printable[i + 1]) < 0xa0) {
      printable[i] = printable[i + 1] = '?';
    }
  }
  return printable;
}

std::string FormatShare(double share) {
  const double percent = share * 100;
  if (percent == 0) return "0 %";
  std::array<char, 48> text;
  std::snprintf(text.data(), text.size(), "%.*g %%", std::abs(percent) >= 100 ? 4 : 3, percent);
  return text.data();
}

std::string FormatNs(uint64_t ns) {
  return FormatDuration(Duration::Nanoseconds(static_cast<int64_t>(ns)));
}

std::string FormatRate(double per_s) {
  if (per_s >= 1000) return GroupDigits(static_cast<uint64_t>(std::llround(per_s)));
  std::array<char, 48> text;
  std::snprintf(text.data(), text.size(), "%.2f", per_s);
  return text.data();
}

std::string FormatUnixNs(int64_t unix_ns) {
  const std::time_t seconds = static_cast<std::time_t>(unix_ns / 1'000'000'000);
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  std::array<char, 48> text;
  std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%S UTC", &utc);
  return text.data();
}

std::string VerdictText(const Verdict& verdict) {
  constexpr std::array<const char*, 3> kTexts{"VALID", "INVALID (generator)", "FAIL (objective)"};
  const std::string text = kTexts[static_cast<size_t>(verdict.outcome)];
  return verdict.interrupted ? "INTERRUPTED, " + text : text;
}

std::string Right(std::string text, size_t columns) {
  if (text.size() < columns) text.insert(0, columns - text.size(), ' ');
  return text;
}

std::string Left(std::string text, size_t columns) {
  if (text.size() < columns) text.append(columns - text.size(), ' ');
  return text;
}

uint64_t CounterOf(const ByName<uint64_t>& counters, std::string_view name) {
  const auto found = std::find_if(counters.begin(), counters.end(),
                                  [&](const auto& entry) { return entry.first == name; });
  return found == counters.end() ? 0 : found->second;
}

double BusiestCore(const GeneratorHealth& generator) {
  double busiest = 0;
  for (const CoreHealth& core : generator.cores) busiest = std::max(busiest, core.busy_share);
  return busiest;
}

double FailedShare(const Counts& counts) {
  const uint64_t tried = counts.ok + counts.failed;
  return tried == 0 ? 0 : static_cast<double>(counts.failed) / static_cast<double>(tried);
}

}  // namespace millrace::apps

// result/text.h - small pieces of text that the reports share.
#ifndef MILLRACE_APPS_RESULT_TEXT_H_
#define MILLRACE_APPS_RESULT_TEXT_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "apps/result/result.h"

namespace millrace::apps {

// A result may come from anywhere: control characters become '?', so that no terminal obeys them.
std::string Printable(std::string_view text);

// "0.003 %", "12.5 %", "0 %": three significant digits.
std::string FormatShare(double share);
// "190us", from nanoseconds.
std::string FormatNs(uint64_t ns);
// "1 234.50": two decimals below 1000, none above.
std::string FormatRate(double per_s);
// "2026-11-21 10:12:05 UTC".
std::string FormatUnixNs(int64_t unix_ns);
// Text for people: "VALID", "INVALID (generator)", "FAIL (objective)", "INTERRUPTED" in front.
std::string VerdictText(const Verdict& verdict);

// `text` with spaces in front, or behind, up to `columns`. Counts octets of ASCII.
std::string Right(std::string text, size_t columns);
std::string Left(std::string text, size_t columns);

// The counter of that name, or 0.
uint64_t CounterOf(const ByName<uint64_t>& counters, std::string_view name);
// Busy share of the busiest worker, 0 without any.
double BusiestCore(const GeneratorHealth& generator);
// counts.failed of what was tried: 0 when nothing was.
double FailedShare(const Counts& counts);

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_RESULT_TEXT_H_

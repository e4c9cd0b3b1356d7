// apps/common/units.h - what people write and read: sizes, counts, rates and durations.
//
// Pure functions. A text that is not understood as a whole gives nullopt, never a guess.
#ifndef MILLRACE_APPS_COMMON_UNITS_H_
#define MILLRACE_APPS_COMMON_UNITS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "millrace/base/time.h"

namespace millrace::apps {

// Octets: "512", "1k", "1.5m", "2g" with or without a "b" behind; powers of 1024, any case.
std::optional<uint64_t> ParseSize(std::string_view text);
// Things: "100", "20k", "1.2M"; powers of 1000, any case.
std::optional<uint64_t> ParseCount(std::string_view text);
// Things per second, above 0: like a count, with fractions and with or without "/s" behind.
std::optional<double> ParseRate(std::string_view text);
// A part of a whole, 0 to less than 1: "3%", "0.5%", "0.03".
std::optional<double> ParseShare(std::string_view text);
// "250us", "200ms", "5s", "2m", "1h"; a number without a unit is seconds. At most 1000 hours.
std::optional<Duration> ParseDuration(std::string_view text);

// "17", "1 999", "1.20 M": at most four digits before the unit of 1000.
std::string FormatCount(double value);
// "1 024 B", "1.50 MiB".
std::string FormatBytes(uint64_t octets);
// Three digits: "850ns", "6.10us", "1.20ms", "2.00s".
std::string FormatDuration(Duration duration);
// As a user would type it, and exact: "90s", "250ms", "0"; "64k", "1g", "100".
std::string AsTyped(Duration duration);
std::string AsTypedSize(uint64_t octets);
// "1 234 567".
std::string GroupDigits(uint64_t value);

// The one of `names` that `word` was probably meant to be, or "" when none is near.
std::string Nearest(std::string_view word, const std::vector<std::string>& names);

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_COMMON_UNITS_H_

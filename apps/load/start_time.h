// load/start_time.h - `--start-at`: an instant of the day's clock, as people and scripts write it.
#ifndef MILLRACE_APPS_LOAD_START_TIME_H_
#define MILLRACE_APPS_LOAD_START_TIME_H_

#include <cstdint>
#include <optional>
#include <string_view>

namespace millrace::apps {

// Nanoseconds since 1970 UTC of "2026-11-22T06:00:00Z", with a fraction of the second and another
// offset than Z if need be (RFC 3339), or of "@1795327200.5", seconds since 1970 as `date +@%s`
// prints them. nullopt for anything else; there are no times without an offset, because machines in
// one run may have several. Fractions count to the nanosecond.
std::optional<int64_t> ParseStartTime(std::string_view text);

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_LOAD_START_TIME_H_

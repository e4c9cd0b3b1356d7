#include "apps/load/start_time.h"

#include <chrono>

namespace millrace::apps {
namespace {

constexpr int64_t kNsPerS = 1'000'000'000;

// Reads what is left of a text from the front; nothing once something was wrong.
class Reader {
 public:
  explicit Reader(std::string_view text) : rest_(text) {}

  // A number of `digits` digits.
  int Number(size_t digits) {
    int number = 0;
    for (size_t i = 0; i < digits; ++i) number = number * 10 + Digit();
    return number;
  }
  void Expect(char c) {
    if (!Take(c)) ok_ = false;
  }
  bool Take(char c) {
    if (rest_.empty() || rest_.front() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  // ".25": nanoseconds; 0 without.
  int64_t Fraction() {
    if (!Take('.')) return 0;
    int64_t ns = Digit();
    int digits = 1;
    for (; !rest_.empty() && IsDigit(rest_.front()); ++digits) {
      const int digit = Digit();
      if (digits < 9) ns = ns * 10 + digit;
    }
    for (; digits < 9; ++digits) ns *= 10;
    return ns;
  }
  bool IsNextDigit() const { return !rest_.empty() && IsDigit(rest_.front()); }
  bool ok() const { return ok_; }
  bool AtEnd() const { return ok_ && rest_.empty(); }

 private:
  static bool IsDigit(char c) { return c >= '0' && c <= '9'; }
  int Digit() {
    if (!IsNextDigit()) {
      ok_ = false;
      return 0;
    }
    const int digit = rest_.front() - '0';
    rest_.remove_prefix(1);
    return digit;
  }

  std::string_view rest_;
  bool ok_ = true;
};

std::optional<int64_t> SecondsSince1970(Reader& reader) {
  int64_t seconds = reader.Number(1);
  for (int digits = 1; reader.IsNextDigit(); ++digits) {
    if (digits == 10) return std::nullopt;
    seconds = seconds * 10 + reader.Number(1);
  }
  if (seconds >= INT64_MAX / kNsPerS) return std::nullopt;  // in the year 2262
  const int64_t ns = reader.Fraction();
  return reader.AtEnd() ? std::optional(seconds * kNsPerS + ns) : std::nullopt;
}

// Minutes before UTC of "Z", "+01:00", "-08:30".
int OffsetMinutes(Reader& reader) {
  if (reader.Take('Z') || reader.Take('z')) return 0;
  const bool west = reader.Take('-');
  if (!west) reader.Expect('+');
  const int hours = reader.Number(2);
  reader.Expect(':');
  const int minutes = hours * 60 + reader.Number(2);
  return west ? -minutes : minutes;
}

}  // namespace

std::optional<int64_t> ParseStartTime(std::string_view text) {
  Reader reader(text);
  if (reader.Take('@')) return SecondsSince1970(reader);
  const std::chrono::year year(reader.Number(4));
  reader.Expect('-');
  const std::chrono::month month(static_cast<unsigned>(reader.Number(2)));
  reader.Expect('-');
  const std::chrono::year_month_day date(year, month,
                                         std::chrono::day(static_cast<unsigned>(reader.Number(2))));
  if (!reader.Take('t')) reader.Expect('T');
  const int hour = reader.Number(2);
  reader.Expect(':');
  const int minute = reader.Number(2);
  reader.Expect(':');
  const int second = reader.Number(2);
  const int64_t fraction_ns = reader.Fraction();
  const int offset_minutes = OffsetMinutes(reader);
  if (!reader.AtEnd() || !date.ok() || hour > 23 || minute > 59 || second > 59) return std::nullopt;
  if (year < std::chrono::year(1970) || year > std::chrono::year(2261)) return std::nullopt;
  const int64_t days = std::chrono::sys_days(date).time_since_epoch().count();
  const int64_t minutes = (days * 24 + hour) * 60 + minute - offset_minutes;
  return (minutes * 60 + second) * kNsPerS + fraction_ns;
}

}  // namespace millrace::apps

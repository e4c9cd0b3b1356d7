// testing/segment.cc - segments of a trace as text, and compared.

#include <ostream>
#include <string>
#include <utility>

#include "testing/trace.h"

namespace millrace::testing {
namespace {

using ::testing::Matcher;
using ::testing::MatchResultListener;

std::string FlagText(int flags) {
  static constexpr std::pair<int, char> kLetters[] = {{kSyn, 'S'}, {kFin, 'F'}, {kRst, 'R'},
                                                      {kPsh, 'P'}, {kUrg, 'U'}, {kAck, '.'},
                                                      {kEce, 'E'}, {kCwr, 'W'}};
  std::string text;
  for (const auto& [bit, letter] : kLetters) {
    if ((flags & bit) != 0) text += letter;
  }
  return text.empty() ? "none" : text;
}

template <class T>
bool Given(const std::optional<T>& expected, const std::optional<T>& actual) {
  return !expected.has_value() || expected == actual;
}

bool Matches(const Seg& e, const Seg& a) {
  const int ignored = (e.flags & kPsh) != 0 ? 0 : kPsh;
  return (a.flags & ~ignored) == e.flags && a.seq == e.seq &&
         ((e.flags & kAck) == 0 || a.ack == e.ack) && a.data == e.data &&
         Given(e.window, a.window) && Given(e.mss, a.mss) &&
         Given(e.window_scale, a.window_scale) && Given(e.tsval, a.tsval) &&
         Given(e.tsecr, a.tsecr) && Given(e.ecn, a.ecn) && Given(e.cookie, a.cookie) &&
         e.cookie_experiment == a.cookie_experiment && (e.sack.empty() || e.sack == a.sack) &&
         (!e.sack_permitted || a.sack_permitted);
}

}  // namespace

std::ostream& operator<<(std::ostream& out, const Seg& seg) {
  out << FlagText(seg.flags) << " seq " << seg.seq;
  if ((seg.flags & kAck) != 0) out << " ack " << seg.ack;
  if (!seg.data.empty()) {
    out << " data[" << seg.data.size() << "] \"" << seg.data.substr(0, 16) << '"';
  }
  if (seg.window) out << " win " << *seg.window;
  if (seg.mss) out << " mss " << *seg.mss;
  if (seg.window_scale) out << " wscale " << int{*seg.window_scale};
  if (seg.sack_permitted) out << " sackOK";
  if (seg.cookie) {
    out << (seg.cookie_experiment ? " experiment[" : " cookie[") << seg.cookie->size() << ']';
  }
  if (seg.tsval) out << " TS " << *seg.tsval << ':' << seg.tsecr.value_or(0);
  for (const SackRange& range : seg.sack) out << " sack " << range.left << ':' << range.right;
  if (seg.ecn.value_or(0) != 0) out << " ecn " << int{*seg.ecn};
  return out;
}

Matcher<const Seg&> SegmentIs(const Seg& expected) {
  return ::testing::Truly([expected](const Seg& actual) { return Matches(expected, actual); });
}

namespace {

class IsSegmentMatcher : public ::testing::MatcherInterface<const std::optional<Seg>&> {
 public:
  explicit IsSegmentMatcher(Seg expected) : expected_(std::move(expected)) {}
  bool MatchAndExplain(const std::optional<Seg>& actual, MatchResultListener* why) const override {
    if (!actual.has_value()) {
      *why << "nothing was sent";
      return false;
    }
    *why << *actual;
    return Matches(expected_, *actual);
  }
  void DescribeTo(std::ostream* out) const override { *out << "is " << expected_; }

 private:
  Seg expected_;
};

}  // namespace

Matcher<const std::optional<Seg>&> IsSegment(const Seg& expected) {
  return Matcher<const std::optional<Seg>&>(new IsSegmentMatcher(expected));
}

}  // namespace millrace::testing

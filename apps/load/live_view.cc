#include "apps/load/live_view.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "apps/common/units.h"

namespace millrace::apps {
namespace {

constexpr double kQuietEvery_s = 10;

std::string TimeOf(uint64_t ns) {
  return ns == 0 ? "-" : FormatDuration(Duration::Nanoseconds(static_cast<int64_t>(ns)));
}

const char* NameOf(LoadStage stage) {
  switch (stage) {
    case LoadStage::kProbing:
      return "looking for the target";
    case LoadStage::kHolding:
      return "opening held connections";
    case LoadStage::kReady:
      return "waiting for the start";
    case LoadStage::kLeading:
      return "warming up";
    case LoadStage::kMeasuring:
      return "measuring";
    case LoadStage::kDraining:
    case LoadStage::kDone:
      break;
  }
  return "ending";
}

}  // namespace

std::optional<LiveMode> ParseLiveMode(std::string_view text, FILE* out) {
  if (text == "auto") return isatty(fileno(out)) != 0 ? LiveMode::kTty : LiveMode::kQuiet;
  if (text == "tty") return LiveMode::kTty;
  if (text == "plain") return LiveMode::kPlain;
  if (text == "none") return LiveMode::kNone;
  return std::nullopt;
}

void LiveView::Erase() {
  if (!progress_shown_) return;
  std::fputs("\r\x1B[K", out_);
  progress_shown_ = false;
}

void LiveView::Show(const char* line) {
  Erase();
  std::fputs(line, out_);
  std::fflush(out_);
}

void LiveView::OnInterval(const Interval& interval, const Latencies& intended, LoadStage stage) {
  for (IntervalListener* listener : listeners_) listener->OnInterval(interval, intended, stage);
  ShowInterval(interval, stage);
}

void LiveView::ShowInterval(const Interval& interval, LoadStage stage) {
  const double end_s = interval.start_s + interval.length_s;
  bool show = mode_ == LiveMode::kTty || mode_ == LiveMode::kPlain;
  if (mode_ == LiveMode::kQuiet && end_s >= shown_until_s_ + kQuietEvery_s) {
    show = true;
  }
  std::array<char, 256> line;
  std::snprintf(line.data(), line.size(), "%7s %9s %9s %7s %6s %8s  %-22s %s\n", "t", "conn/s",
                "ok/s", "failed", "retx", "open", "connect p50/p99", "busy");
  if (log_.empty()) log_ = line.data();
  if (!head_shown_ && show) {
    Show(line.data());
    head_shown_ = true;
  }
  if (show) shown_until_s_ = end_s;
  const auto per_s = [&](uint64_t n) {
    return FormatCount(interval.length_s > 0 ? static_cast<double>(n) / interval.length_s : 0);
  };
  const std::string connect =
      TimeOf(interval.connect_p50_ns) + "/" + TimeOf(interval.connect_p99_ns);
  std::snprintf(line.data(), line.size(), "%6.1fs %9s %9s %7s %6s %8s  %-22s %ld%%%s%s\n", end_s,
                per_s(interval.opened).c_str(), per_s(interval.ok).c_str(),
                GroupDigits(interval.failed).c_str(), GroupDigits(interval.retransmits).c_str(),
                GroupDigits(interval.open).c_str(), connect.c_str(),
                std::lround(interval.busiest_core_share * 100),
                stage == LoadStage::kMeasuring ? "" : "  (not measured)", group_.c_str());
  log_ += line.data();
  if (show) Show(line.data());
}

void LiveView::SetGroup(uint64_t ok, uint64_t failed, uint64_t open) {
  group_.clear();
  group_ += "  all ranks so far: ";
  group_ += GroupDigits(ok) + " ok, ";
  group_ += GroupDigits(failed) + " failed, ";
  group_ += GroupDigits(open) + " open";
}

void LiveView::ShowProgress(LoadStage stage, Duration since_start) {
  if (mode_ != LiveMode::kTty && mode_ != LiveMode::kProgress) return;
  constexpr int kBar = 30;
  std::string line = "\r\x1B[K";
  if (length_ > Duration() && stage >= LoadStage::kLeading) {
    const double part = std::clamp(since_start.seconds() / length_.seconds(), 0.0, 1.0);
    const auto filled = static_cast<size_t>(std::lround(part * kBar));
    const double left_s = std::max(0.0, (length_ - since_start).seconds());
    std::array<char, 64> numbers;
    std::snprintf(numbers.data(), numbers.size(), " %3.0f%%, %.0f s left, ", part * 100,
                  std::ceil(left_s));
    line += "[" + std::string(filled, '=') + std::string(kBar - filled, ' ') + "]" + numbers.data();
  }
  line += NameOf(stage);
  std::fputs(line.c_str(), out_);
  std::fflush(out_);
  progress_shown_ = true;
}

void LiveView::Finish() {
  Erase();
  std::fflush(out_);
}

}  // namespace millrace::apps

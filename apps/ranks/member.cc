#include "apps/ranks/member.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "apps/common/units.h"
#include "apps/result/text.h"

namespace millrace::apps {
namespace {

constexpr double kRateMax = 1e10;
constexpr Duration kLengthMax = Duration::Seconds(366 * 86'400);
constexpr size_t kWhyMax = 1000;  // characters of a reason that somebody sent

// Sums and differences of such times fit their type, and the year 2116 has to look again.
bool IsTime(int64_t unix_ns) { return unix_ns >= 0 && unix_ns < int64_t{1} << 62; }

}  // namespace

void RankMember::OnConnected(const RankTime& time) {
  heard_ = time.now;
  next_alive_ = time.now + RankGroup::kAliveEvery;
  Say(self_);
}

void RankMember::OnLine(std::string_view line, const RankTime& time) {
  if (end_) return;
  const absl::StatusOr<RankMessage> message = ParseRankLine(line);
  if (!message.ok()) {
    return Fail("rank 0 sent what does not belong here: " + std::string(message.status().message()),
                kInternal);
  }
  heard_ = time.now;
  OnMessage(*message, time);
}

void RankMember::OnMessage(const RankMessage& message, const RankTime& time) {
  if (const auto* end = std::get_if<EndMessage>(&message)) {
    const bool sound = IsExitCode(end->code);
    return End(Printable(std::string_view(end->why).substr(0, kWhyMax)),
               sound ? end->code : static_cast<uint32_t>(kInternal));
  }
  if (std::holds_alternative<WelcomeMessage>(message) && !welcome_) {
    welcome_ = true;
    return Ping(time);
  }
  if (const auto* pong = std::get_if<PongMessage>(&message)) return OnPong(*pong, time);
  if (std::holds_alternative<AliveMessage>(message)) return;
  if (std::holds_alternative<StopMessage>(message)) {
    stopped_ = true;
    return;
  }
  if (const auto* step = std::get_if<StepMessage>(&message)) return OnStep(*step, time);
  if (const auto* start = std::get_if<StartMessage>(&message)) return OnStart(*start, time);
  Fail("rank 0 sent a message that is not expected now", kInternal);
}

void RankMember::Ping(const RankTime& time) {
  ++pings_;
  pinged_unix_ns_ = time.unix_ns;
  Say(PingMessage{time.unix_ns});
}

void RankMember::OnPong(const PongMessage& pong, const RankTime& time) {
  if (!pinged_unix_ns_ || pong.sent_unix_ns != *pinged_unix_ns_ || !IsTime(pong.answered_unix_ns)) {
    return Fail("rank 0 answered what was not asked", kInternal);
  }
  clock_.Add(*std::exchange(pinged_unix_ns_, std::nullopt), pong.answered_unix_ns, time.unix_ns);
  if (pings_ < kPings) Ping(time);
}

void RankMember::OnStep(const StepMessage& step, const RankTime& time) {
  const bool possible = std::isfinite(step.rate_per_s) && step.rate_per_s >= 0 &&
                        step.rate_per_s <= kRateMax && step.length_ns >= 0 &&
                        step.length_ns <= kLengthMax.ns();
  if (!welcome_ || step_ || step.step != last_step_ + 1 || !possible) {
    return Fail("rank 0 asked for a step that cannot be", kInternal);
  }
  last_step_ = step.step;
  step_ = step;
  ready_ = false;
  start_unix_ns_.reset();
  alive_ = {};
  // Clocks drift apart in a long search: 180 ms an hour at 50 ppm. Unless they are compared now.
  if (pinged_unix_ns_) return;
  clock_ = ClockOffset();
  pings_ = 0;
  Ping(time);
}

void RankMember::OnStart(const StartMessage& start, const RankTime& time) {
  if (!step_ || !ready_ || start_unix_ns_ || start.step != step_->step ||
      !IsTime(start.at_unix_ns)) {
    return Fail("rank 0 started a step that is not ready", kInternal);
  }
  const int64_t at_ns = start.at_unix_ns + clock_.ahead_ns();
  const Duration until = Duration::Nanoseconds(at_ns - time.unix_ns);
  if (until < Duration()) {
    return Fail("the order to start came " + FormatDuration(Duration() - until) +
                    " after the start: this machine or the network is too slow",
                kEnvironment);
  }
  if (until > patience_) return Fail("rank 0 starts in " + FormatDuration(until), kInternal);
  start_unix_ns_ = at_ns;
}

void RankMember::SetReady() {
  if (!step_ || pinged_unix_ns_ || std::exchange(ready_, true)) return;
  Say(ReadyMessage{step_->step});
}

void RankMember::SetResult(ResultMessage result) {
  if (!step_) return;
  result.step = step_->step;
  step_.reset();
  start_unix_ns_.reset();
  Say(std::move(result));
}

void RankMember::AskToStop() {
  if (!end_ && !std::exchange(stopped_, true)) Say(StopMessage());
}

void RankMember::Fail(const std::string& why, uint32_t code) {
  if (end_) return;
  Say(EndMessage{code, why});
  End(why, code);
}

void RankMember::End(const std::string& why, uint32_t code) {
  if (!end_) end_ = {why, code};
}

void RankMember::OnGone(const std::string& why) { End("rank 0: " + why, kEnvironment); }

void RankMember::OnTime(const RankTime& time) {
  if (end_) return;
  const Duration silence =
      start_unix_ns_ ? RankGroup::kSilenceMax : std::max(patience_, RankGroup::kSilenceMax);
  if (time.now - heard_ >= silence) {
    return Fail("nothing was heard of rank 0 for " + FormatDuration(silence), kEnvironment);
  }
  if (!welcome_ || time.now < next_alive_) return;
  next_alive_ = time.now + RankGroup::kAliveEvery;
  Say(alive_);
}

}  // namespace millrace::apps

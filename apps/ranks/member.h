// ranks/member.h - a rank's side of the group, but for rank 0: what it was told, and what it says.
//
// A state machine without I/O: lines of rank 0 and the time in, lines out. What rank 0 says is not
// trusted either: a step has a rate and a length that a run can have. An end with a reason, a rank
// 0 that is gone, one that is silent (15 s while a step runs, else `patience`) end the membership.
#ifndef MILLRACE_APPS_RANKS_MEMBER_H_
#define MILLRACE_APPS_RANKS_MEMBER_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "apps/ranks/clock_offset.h"
#include "apps/ranks/group.h"
#include "apps/ranks/message.h"
#include "millrace/base/time.h"

namespace millrace::apps {

class RankMember {
 public:
  static constexpr int kPings = 8;  // before each step

  RankMember(JoinMessage self, Duration patience, const RankTime& time)
      : self_(std::move(self)), patience_(patience), heard_(time.now) {}

  // The network's side.
  void OnConnected(const RankTime& time);
  void OnLine(std::string_view line, const RankTime& time);
  // It cannot be reached, or the connection is over.
  void OnGone(const std::string& why);
  void OnTime(const RankTime& time);
  std::string TakeLines() { return std::exchange(lines_, {}); }

  // This rank's side. A step is there until its result is. SetReady counts when the clocks have
  // been compared: to be said until start_unix_ns.
  const std::optional<StepMessage>& step() const { return step_; }
  void SetReady();
  void SetAlive(const AliveMessage& alive) { alive_ = alive; }
  void SetResult(ResultMessage result);
  void AskToStop();
  // This rank cannot go on: tells rank 0 and ends the membership.
  void Fail(const std::string& why, uint32_t code);

  bool welcome() const { return welcome_; }
  // When the step's clock starts, by our own clock.
  std::optional<int64_t> start_unix_ns() const { return start_unix_ns_; }
  bool stopped() const { return stopped_; }
  const ClockOffset& clock() const { return clock_; }
  // Set when the membership is over; code 0 and no reason when all went well.
  const std::optional<GroupFailure>& end() const { return end_; }

 private:
  void Say(const RankMessage& message) { lines_ += RankLine(message); }
  void OnMessage(const RankMessage& message, const RankTime& time);
  void OnStep(const StepMessage& step, const RankTime& time);
  void Ping(const RankTime& time);
  void OnPong(const PongMessage& pong, const RankTime& time);
  void OnStart(const StartMessage& start, const RankTime& time);
  void End(const std::string& why, uint32_t code);

  JoinMessage self_;
  Duration patience_;
  Instant heard_, next_alive_;
  std::string lines_;
  bool welcome_ = false, ready_ = false, stopped_ = false;
  int pings_ = 0;
  std::optional<int64_t> pinged_unix_ns_;  // while there is no answer
  uint64_t last_step_ = 0;
  std::optional<StepMessage> step_;
  std::optional<int64_t> start_unix_ns_;
  AliveMessage alive_;
  ClockOffset clock_;
  std::optional<GroupFailure> end_;
};

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_RANKS_MEMBER_H_

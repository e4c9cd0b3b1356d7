// ranks/group.h - rank 0's view of a group: who has joined, how far each rank is, what went wrong.
//
// A state machine without I/O: lines of the network and the time in, lines out. Peers are
// connections, named by whoever has them; members are ranks. Rank 0 is member 0, by calls.
// The first thing that goes wrong ends the group: failure() names it, and every rank is told.
// Bounds: a stranger has 10 s to join; there is `patience` for all to join, to be ready, and to
// send what they found once the time is over; and while a step runs a rank that is silent for 15 s
// is lost.
#ifndef MILLRACE_APPS_RANKS_GROUP_H_
#define MILLRACE_APPS_RANKS_GROUP_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "apps/common/exit_code.h"
#include "apps/ranks/message.h"
#include "millrace/base/time.h"

namespace millrace::apps {

// The results of all are in memory at one time: 3.4 MB each.
inline constexpr uint32_t kGroupRanksMax = 256;

// One instant on two clocks.
struct RankTime {
  Instant now;          // steady
  int64_t unix_ns = 0;  // of the day
};

// Of a code that somebody sent for the program to exit with.
inline bool IsExitCode(uint32_t code) { return code <= kRegression || code == kInterrupted; }

// Why a group ended before its time.
struct GroupFailure {
  std::string why;    // "rank 2 of 4 (bench-3): the connection was closed"
  uint32_t code = 0;  // for the program to exit with
};

struct GroupOptions {
  JoinMessage self;  // rank 0's; what others say must agree with it
  Duration patience = Duration::Seconds(60);
};

class RankGroup {
 public:
  using Peer = uint64_t;
  struct Order {
    Peer peer = 0;
    std::string line;    // "": nothing to send
    bool close = false;  // behind the line
  };

  static constexpr Duration kSilenceMax = Duration::Seconds(15);
  static constexpr Duration kStrangerFor = Duration::Seconds(10);
  static constexpr Duration kAliveEvery = Duration::Seconds(1);
  static constexpr Duration kLead =
      Duration::Milliseconds(300);  // from the start order to the start

  RankGroup(const GroupOptions& options, const RankTime& time);

  // The network's side.
  void OnConnected(Peer peer, const RankTime& time);
  void OnLine(Peer peer, std::string_view line, const RankTime& time);
  void OnGone(Peer peer, const std::string& why);
  void OnTime(const RankTime& time);
  std::vector<Order> TakeOrders();
  // Octets that a line of `peer` may have.
  size_t LineMax(Peer peer) const { return MemberOf(peer) == 0 ? kStrangerLineMax : kRankLineMax; }

  // The coordinating rank's side. REQUIRES of Begin: complete() and no step under way.
  bool complete() const { return joined_ == members_.size(); }
  void Begin(double rate_per_s, Duration measured, Duration whole, const RankTime& time);
  void SetReady(const RankTime& time);
  void SetAlive(const AliveMessage& alive) { members_[0].alive = alive; }
  void SetResult(ResultMessage result);
  // Ends the step early, or with `why` everything. Each counts once.
  void Stop();
  void Fail(const std::string& why, uint32_t code);
  // All went well: tells the ranks that nothing more comes.
  void End();

  // When the step's clock starts, by our clock; nullopt while somebody is not ready.
  std::optional<int64_t> start_unix_ns() const { return start_unix_ns_; }
  bool stopped() const { return stopped_; }
  bool step_over() const { return step_ > 0 && results_ == members_.size(); }
  // Of all ranks, in their order. REQUIRES: step_over().
  std::vector<ResultMessage> TakeResults();
  AliveMessage Sum() const;
  const std::optional<GroupFailure>& failure() const { return failure_; }
  uint32_t ranks() const { return static_cast<uint32_t>(members_.size()); }

 private:
  enum class Stage : uint8_t { kJoining, kIdle, kPreparing, kRunning, kOver };
  struct Member {
    Peer peer = 0;  // 0: not joined
    std::string host;
    Instant heard;
    bool ready = false;
    AliveMessage alive;
    std::optional<ResultMessage> result;
  };

  uint32_t MemberOf(Peer peer) const;  // 0: a stranger
  std::string NameOf(uint32_t rank) const;
  void Send(uint32_t rank, const RankMessage& message);
  void SendAll(const RankMessage& message);
  void Refuse(Peer peer, const std::string& why, uint32_t code);
  void Admit(Peer peer, const JoinMessage& join, Instant now);
  std::string ComplaintAbout(const JoinMessage& join) const;
  void OnMessage(uint32_t rank, const RankMessage& message, const RankTime& time);
  void OnReady(uint32_t rank, const RankTime& time);
  void OnResult(uint32_t rank, ResultMessage result);
  void CheckDeadlines(Instant now);
  std::string Missing() const;

  GroupOptions options_;
  std::vector<Member> members_;
  std::map<Peer, uint32_t> ranks_;     // joined
  std::map<Peer, Instant> strangers_;  // since
  std::vector<Order> orders_;
  Stage stage_ = Stage::kJoining;
  Instant deadline_, next_alive_;
  Duration whole_;  // length of the step, with what comes before and behind
  uint64_t step_ = 0;
  size_t joined_ = 1, ready_ = 0, results_ = 0;
  bool stopped_ = false;
  std::optional<int64_t> start_unix_ns_;
  std::optional<GroupFailure> failure_;
};

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_RANKS_GROUP_H_

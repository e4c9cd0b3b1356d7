// ranks/session.h - a rank's place in its group while it measures: what a run asks and tells.
//
// Rank 0 has a Coordinator, every other rank a RankClient. Nothing happens between two Polls.
#ifndef MILLRACE_APPS_RANKS_SESSION_H_
#define MILLRACE_APPS_RANKS_SESSION_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "apps/ranks/group.h"
#include "apps/ranks/line_network.h"
#include "apps/ranks/member.h"

namespace millrace::apps {

class RankSession {
 public:
  virtual ~RankSession() = default;

  // Hears and says what there is, and waits at most `wait` when there is nothing.
  virtual void Poll(Duration wait) = 0;
  // This rank: is ready for its clock to start (said as often as one likes); has come so far; found
  // this; was told to stop by its user; cannot go on.
  virtual void SetReady() = 0;
  virtual void SetAlive(const AliveMessage& alive) = 0;
  virtual void SetResult(ResultMessage result) = 0;
  virtual void AskToStop() = 0;
  virtual void Fail(const std::string& why, uint32_t code) = 0;

  // Whether the step is to end early: somebody asked for it, or something went wrong.
  virtual bool stopped() const = 0;
  // When the step's clock starts, by this machine's clock of the day; nullopt: not known yet.
  virtual std::optional<int64_t> start_unix_ns() const = 0;
  // Of this machine's clock before rank 0's.
  virtual int64_t clock_ahead_ns() const = 0;
  // What all ranks together have come to, as far as they said; nullopt: only rank 0 knows.
  virtual std::optional<AliveMessage> Sum() const = 0;
  // What ended the group before its time.
  virtual const std::optional<GroupFailure>& failure() const = 0;
};

// Both clocks, now.
RankTime ReadRankTime();
// What rank 0 compares, as it will arrive.
JoinMessage JoinOf(const std::string& version, uint32_t rank, uint32_t ranks,
                   const nlohmann::ordered_json& settings);

class Coordinator final : public RankSession, private LineHandler {
 public:
  // Listens at `at`.
  static absl::StatusOr<std::unique_ptr<Coordinator>> Open(const HostPort& at,
                                                           const GroupOptions& options);
  // Says what there is to say, for 2 s at most.
  ~Coordinator() override;

  void Poll(Duration wait) override;
  void SetReady() override { group_.SetReady(ReadRankTime()); }
  void SetAlive(const AliveMessage& alive) override { group_.SetAlive(alive); }
  void SetResult(ResultMessage result) override { group_.SetResult(std::move(result)); }
  void AskToStop() override { group_.Stop(); }
  void Fail(const std::string& why, uint32_t code) override { group_.Fail(why, code); }
  bool stopped() const override { return group_.stopped() || group_.failure().has_value(); }
  std::optional<int64_t> start_unix_ns() const override { return group_.start_unix_ns(); }
  int64_t clock_ahead_ns() const override { return 0; }
  std::optional<AliveMessage> Sum() const override { return group_.Sum(); }
  const std::optional<GroupFailure>& failure() const override { return group_.failure(); }

  RankGroup& group() { return group_; }

 private:
  explicit Coordinator(const GroupOptions& options) : group_(options, ReadRankTime()) {}
  void OnConnected(uint64_t peer) override { group_.OnConnected(peer, ReadRankTime()); }
  void OnLine(uint64_t peer, std::string_view line) override;
  void OnGone(uint64_t peer, const std::string& why) override { group_.OnGone(peer, why); }
  size_t LineMax(uint64_t peer) const override { return group_.LineMax(peer); }
  void SendOrders();

  RankGroup group_;
  LineNetwork network_{*this};
};

class RankClient final : public RankSession, private LineHandler {
 public:
  // Goes on trying to connect, in Poll, until `patience` is over.
  RankClient(const HostPort& to, const JoinMessage& self, Duration patience);
  ~RankClient() override;

  void Poll(Duration wait) override;
  void SetReady() override { member_.SetReady(); }
  void SetAlive(const AliveMessage& alive) override { member_.SetAlive(alive); }
  void SetResult(ResultMessage result) override { member_.SetResult(std::move(result)); }
  void AskToStop() override { member_.AskToStop(); }
  void Fail(const std::string& why, uint32_t code) override { member_.Fail(why, code); }
  bool stopped() const override { return member_.stopped() || member_.end().has_value(); }
  std::optional<int64_t> start_unix_ns() const override { return member_.start_unix_ns(); }
  int64_t clock_ahead_ns() const override { return member_.clock().ahead_ns(); }
  std::optional<AliveMessage> Sum() const override { return std::nullopt; }
  // Also set, with code 0, when all is over as it should be.
  const std::optional<GroupFailure>& failure() const override { return member_.end(); }

  const RankMember& member() const { return member_; }

 private:
  void OnConnected(uint64_t peer) override;
  void OnLine(uint64_t peer, std::string_view line) override;
  void OnGone(uint64_t, const std::string& why) override { member_.OnGone(why); }
  size_t LineMax(uint64_t) const override { return kStrangerLineMax; }

  HostPort to_;
  Duration patience_;
  Instant give_up_;
  uint64_t peer_ = 0;
  RankMember member_;
  LineNetwork network_{*this};
};

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_RANKS_SESSION_H_

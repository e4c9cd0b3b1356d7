#include "apps/ranks/group.h"

#include <algorithm>
#include <utility>

#include "apps/common/units.h"
#include "apps/result/text.h"

namespace millrace::apps {
namespace {

constexpr size_t kHostMax = 64;  // characters of a name that somebody sent
constexpr size_t kWhyMax = 400;

std::string Short(const std::string& text, size_t most) {
  return Printable(std::string_view(text).substr(0, most));
}

std::string ValueOf(const nlohmann::ordered_json& settings, const std::string& key) {
  constexpr size_t kMost = 64;
  const auto found = settings.find(key);
  return found == settings.end() ? "none" : Short(found->dump(), kMost);
}

}  // namespace

RankGroup::RankGroup(const GroupOptions& options, const RankTime& time)
    : options_(options),
      members_(options.self.ranks),
      deadline_(time.now + options.patience),
      next_alive_(time.now + kAliveEvery) {
  members_[0].host = options.self.host;
  if (members_.size() == 1) stage_ = Stage::kIdle;
}

uint32_t RankGroup::MemberOf(Peer peer) const {
  const auto found = ranks_.find(peer);
  return found == ranks_.end() ? 0 : found->second;
}

std::string RankGroup::NameOf(uint32_t rank) const {
  const std::string name = "rank " + std::to_string(rank) + " of " + std::to_string(ranks());
  return members_[rank].host.empty() ? name : name + " (" + members_[rank].host + ")";
}

void RankGroup::Send(uint32_t rank, const RankMessage& message) {
  if (members_[rank].peer != 0) orders_.push_back({members_[rank].peer, RankLine(message), false});
}

void RankGroup::SendAll(const RankMessage& message) {
  for (uint32_t rank = 1; rank < ranks(); ++rank) Send(rank, message);
}

void RankGroup::Refuse(Peer peer, const std::string& why, uint32_t code) {
  orders_.push_back({peer, RankLine(EndMessage{code, why}), true});
}

std::vector<RankGroup::Order> RankGroup::TakeOrders() { return std::exchange(orders_, {}); }

void RankGroup::OnConnected(Peer peer, const RankTime& time) { strangers_.emplace(peer, time.now); }

void RankGroup::OnLine(Peer peer, std::string_view line, const RankTime& time) {
  const uint32_t rank = MemberOf(peer);
  const bool stranger = strangers_.contains(peer);
  if (rank == 0 && !stranger) return;  // sent before it knew that it was refused
  absl::StatusOr<RankMessage> message = ParseRankLine(line);
  const JoinMessage* const join = message.ok() ? std::get_if<JoinMessage>(&*message) : nullptr;
  if (stranger) {
    if (join != nullptr) return Admit(peer, *join, time.now);
    // A scanner, or a browser: nobody of ours.
    strangers_.erase(peer);
    orders_.push_back({peer, "", true});
    return;
  }
  if (!message.ok() || join != nullptr) {
    const std::string what =
        join != nullptr ? "join again" : std::string(message.status().message());
    return Fail(NameOf(rank) + " sent what does not belong here: " + what, kInternal);
  }
  members_[rank].heard = time.now;
  OnMessage(rank, *message, time);
}

void RankGroup::OnGone(Peer peer, const std::string& why) {
  strangers_.erase(peer);
  const uint32_t rank = MemberOf(peer);
  if (rank == 0) return;
  ranks_.erase(peer);
  members_[rank].peer = 0;
  Fail(NameOf(rank) + ": " + why, kEnvironment);
}

// What keeps a rank out, and then the group from running; "" for nothing.
std::string RankGroup::ComplaintAbout(const JoinMessage& join) const {
  const JoinMessage& self = options_.self;
  const std::string who =
      "rank " + std::to_string(join.rank) + " (" + Short(join.host, kHostMax) + ")";
  if (join.protocol != self.protocol || join.version != self.version) {
    return who + " runs millrace " + Short(join.version, kHostMax) + ", rank 0 (" + self.host +
           ") " + self.version + ": all ranks must run the same";
  }
  if (join.ranks != self.ranks || join.rank == 0 || join.rank >= self.ranks) {
    return who + " takes itself for " + std::to_string(join.rank) + "/" +
           std::to_string(join.ranks) + ", but the group has ranks 1 to " +
           std::to_string(self.ranks - 1) + " of " + std::to_string(self.ranks);
  }
  if (members_[join.rank].peer != 0) {
    return "rank " + std::to_string(join.rank) + " is there twice, at " + members_[join.rank].host +
           " and " + Short(join.host, kHostMax);
  }
  const auto differs = [&](const auto& one, const auto& other) -> std::string {
    for (const auto& [key, value] : one.items()) {
      if (other.contains(key) && other[key] == value) continue;
      return who + " and rank 0 (" + self.host + ") have different values of \"" +
             Short(key, kHostMax) + "\": " + ValueOf(join.settings, key) + " and " +
             ValueOf(self.settings, key);
    }
    return "";
  };
  const std::string difference = differs(self.settings, join.settings);
  return difference.empty() ? differs(join.settings, self.settings) : difference;
}

void RankGroup::Admit(Peer peer, const JoinMessage& join, Instant now) {
  strangers_.erase(peer);
  if (failure_ || stage_ != Stage::kJoining) {
    return Refuse(peer, failure_ ? failure_->why : "the group is complete, and has begun",
                  failure_ ? failure_->code : static_cast<uint32_t>(kUsage));
  }
  if (const std::string complaint = ComplaintAbout(join); !complaint.empty()) {
    Refuse(peer, complaint, kUsage);
    return Fail(complaint, kUsage);
  }
  Member& member = members_[join.rank];
  member.peer = peer;
  member.host = Short(join.host, kHostMax);
  member.heard = now;
  ranks_.emplace(peer, join.rank);
  Send(join.rank, WelcomeMessage());
  if (++joined_ == members_.size()) stage_ = Stage::kIdle;
}

void RankGroup::OnMessage(uint32_t rank, const RankMessage& message, const RankTime& time) {
  const auto out_of_place = [&] {
    Fail(NameOf(rank) + " sent a message that is not expected now", kInternal);
  };
  if (const auto* ping = std::get_if<PingMessage>(&message)) {
    return Send(rank, PongMessage{ping->sent_unix_ns, time.unix_ns});
  }
  if (const auto* alive = std::get_if<AliveMessage>(&message)) {
    members_[rank].alive = *alive;
    return;
  }
  if (const auto* end = std::get_if<EndMessage>(&message)) {
    const bool sound = end->code > 0 && IsExitCode(end->code);
    return Fail(NameOf(rank) + ": " + Short(end->why, kWhyMax),
                sound ? end->code : static_cast<uint32_t>(kInternal));
  }
  if (std::holds_alternative<StopMessage>(message)) return Stop();
  if (const auto* ready = std::get_if<ReadyMessage>(&message)) {
    if (ready->step != step_ || members_[rank].ready) return out_of_place();
    return OnReady(rank, time);
  }
  if (const auto* result = std::get_if<ResultMessage>(&message)) {
    const bool running = stage_ == Stage::kRunning || (stage_ == Stage::kPreparing && stopped_);
    const Rank& of = result->result.rank;
    if (result->step != step_ || !running || members_[rank].result || of.index != rank ||
        of.count != ranks()) {
      return out_of_place();
    }
    return OnResult(rank, *result);
  }
  out_of_place();
}

void RankGroup::Begin(double rate_per_s, Duration measured, Duration whole, const RankTime& time) {
  if (failure_) return;
  ++step_;
  stage_ = Stage::kPreparing;
  deadline_ = time.now + options_.patience;
  whole_ = whole;
  ready_ = results_ = 0;
  start_unix_ns_.reset();
  for (Member& member : members_) {
    member.ready = false;
    member.result.reset();
    member.alive = {};
    member.heard = time.now;
  }
  SendAll(StepMessage{step_, rate_per_s, measured.ns()});
  if (stopped_) SendAll(StopMessage());
}

void RankGroup::SetReady(const RankTime& time) {
  if (!members_[0].ready) OnReady(0, time);
}

void RankGroup::OnReady(uint32_t rank, const RankTime& time) {
  members_[rank].ready = true;
  if (++ready_ < members_.size() || stage_ != Stage::kPreparing) return;
  stage_ = Stage::kRunning;
  start_unix_ns_ = time.unix_ns + kLead.ns();
  deadline_ = time.now + kLead + whole_ + options_.patience;
  SendAll(StartMessage{step_, *start_unix_ns_});
}

void RankGroup::SetResult(ResultMessage result) {
  result.step = step_;
  OnResult(0, std::move(result));
}

void RankGroup::OnResult(uint32_t rank, ResultMessage result) {
  members_[rank].result = std::move(result);
  if (++results_ == members_.size() && !failure_) stage_ = Stage::kIdle;
}

std::vector<ResultMessage> RankGroup::TakeResults() {
  std::vector<ResultMessage> results;
  for (Member& member : members_) results.push_back(*std::exchange(member.result, std::nullopt));
  results_ = 0;
  return results;
}

AliveMessage RankGroup::Sum() const {
  AliveMessage sum;
  for (const Member& member : members_) {
    sum.started += member.alive.started;
    sum.ok += member.alive.ok;
    sum.failed += member.alive.failed;
    sum.open += member.alive.open;
  }
  return sum;
}

void RankGroup::Stop() {
  if (std::exchange(stopped_, true)) return;
  SendAll(StopMessage());
}

void RankGroup::Fail(const std::string& why, uint32_t code) {
  if (failure_ || stage_ == Stage::kOver) return;
  failure_ = {why, code};
  SendAll(EndMessage{code, why});
  stage_ = Stage::kOver;
}

void RankGroup::End() {
  if (std::exchange(stage_, Stage::kOver) != Stage::kOver) SendAll(EndMessage());
}

void RankGroup::OnTime(const RankTime& time) {
  for (auto it = strangers_.begin(); it != strangers_.end();) {
    if (time.now - it->second < kStrangerFor) {
      ++it;
      continue;
    }
    orders_.push_back({it->first, "", true});
    it = strangers_.erase(it);
  }
  if (stage_ == Stage::kOver) return;
  CheckDeadlines(time.now);
  if (time.now < next_alive_ || stage_ == Stage::kOver) return;
  next_alive_ = time.now + kAliveEvery;
  SendAll(Sum());
}

void RankGroup::CheckDeadlines(Instant now) {
  const std::string patience = FormatDuration(options_.patience);
  if (stage_ != Stage::kIdle && now >= deadline_) {
    const char* const what = stage_ == Stage::kJoining     ? " did not join within "
                             : stage_ == Stage::kPreparing ? " was not ready within "
                                                           : " sent no result within ";
    const char* const since = stage_ == Stage::kRunning ? " of the end" : "";
    return Fail(Missing() + what + patience + since, kEnvironment);
  }
  const Duration silence =
      stage_ == Stage::kRunning ? kSilenceMax : std::max(options_.patience, kSilenceMax);
  for (uint32_t rank = 1; rank < ranks(); ++rank) {
    const Member& member = members_[rank];
    if (member.peer == 0 || now - member.heard < silence) continue;
    return Fail("nothing was heard of " + NameOf(rank) + " for " + FormatDuration(silence),
                kEnvironment);
  }
}

// The ranks that have not done what the stage waits for: "rank 2, rank 3 of 4".
std::string RankGroup::Missing() const {
  constexpr size_t kNamedMax = 4;
  std::vector<uint32_t> missing;
  for (uint32_t rank = 0; rank < ranks(); ++rank) {
    const Member& member = members_[rank];
    const bool done = stage_ == Stage::kJoining     ? rank == 0 || member.peer != 0
                      : stage_ == Stage::kPreparing ? member.ready
                                                    : member.result.has_value();
    if (!done) missing.push_back(rank);
  }
  if (missing.empty()) return "nobody";
  std::string text;
  for (size_t i = 0; i + 1 < missing.size() && i < kNamedMax; ++i) {
    text += "rank " + std::to_string(missing[i]) + ", ";
  }
  if (missing.size() > kNamedMax + 1)
    return text + std::to_string(missing.size() - kNamedMax) + " more of " +
           std::to_string(ranks());
  return text + NameOf(missing.back());
}

}  // namespace millrace::apps

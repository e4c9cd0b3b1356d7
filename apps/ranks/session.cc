#include "apps/ranks/session.h"

#include <time.h>
#include <unistd.h>

#include <array>

#include "apps/common/units.h"

namespace millrace::apps {
namespace {

constexpr Duration kGoodbye = Duration::Seconds(2);
constexpr size_t kStrangersMax = 64;  // connections beside those of ranks

int64_t Read(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return static_cast<int64_t>(now.tv_sec) * 1'000'000'000 + now.tv_nsec;
}

}  // namespace

RankTime ReadRankTime() {
  return {Instant::FromNanoseconds(Read(CLOCK_MONOTONIC)), Read(CLOCK_REALTIME)};
}

JoinMessage JoinOf(const std::string& version, uint32_t rank, uint32_t ranks,
                   const nlohmann::ordered_json& settings) {
  std::array<char, 256> host{};
  if (gethostname(host.data(), host.size() - 1) != 0) host[0] = '\0';
  const JoinMessage join{
      .version = version, .host = host.data(), .rank = rank, .ranks = ranks, .settings = settings};
  std::string line = RankLine(join);
  line.pop_back();
  const absl::StatusOr<RankMessage> read = ParseRankLine(line);
  return read.ok() ? std::get<JoinMessage>(*read) : join;
}

absl::StatusOr<std::unique_ptr<Coordinator>> Coordinator::Open(const HostPort& at,
                                                               const GroupOptions& options) {
  std::unique_ptr<Coordinator> coordinator(new Coordinator(options));
  const size_t most = options.self.ranks + kStrangersMax;
  if (absl::Status listens = coordinator->network_.Listen(at, most); !listens.ok()) return listens;
  return coordinator;
}

Coordinator::~Coordinator() {
  SendOrders();
  network_.Finish(kGoodbye);
}

void Coordinator::Poll(Duration wait) {
  SendOrders();
  network_.Poll(wait);
  group_.OnTime(ReadRankTime());
  SendOrders();
}

void Coordinator::OnLine(uint64_t peer, std::string_view line) {
  group_.OnLine(peer, line, ReadRankTime());
  SendOrders();  // at once: an answer to a ping measures a clock
}

void Coordinator::SendOrders() {
  for (RankGroup::Order& order : group_.TakeOrders()) {
    if (!order.line.empty()) network_.Send(order.peer, std::move(order.line));
    if (order.close) network_.Close(order.peer);
  }
}

RankClient::RankClient(const HostPort& to, const JoinMessage& self, Duration patience)
    : to_(to),
      patience_(patience),
      give_up_(ReadRankTime().now + patience),
      member_(self, patience, ReadRankTime()) {
  network_.Connect(to);
}

RankClient::~RankClient() {
  network_.Send(peer_, member_.TakeLines());
  network_.Finish(kGoodbye);
}

void RankClient::Poll(Duration wait) {
  if (std::string lines = member_.TakeLines(); peer_ != 0 && !lines.empty()) {
    network_.Send(peer_, std::move(lines));
  }
  network_.Poll(wait);
  const RankTime time = ReadRankTime();
  if (peer_ == 0 && time.now >= give_up_) {
    member_.OnGone("cannot be reached at " + to_.host + ":" + to_.port + " within " +
                   FormatDuration(patience_) + ": " + network_.connect_error());
  } else if (peer_ != 0) {
    member_.OnTime(time);
  }
}

void RankClient::OnConnected(uint64_t peer) {
  peer_ = peer;
  member_.OnConnected(ReadRankTime());
}

void RankClient::OnLine(uint64_t, std::string_view line) {
  member_.OnLine(line, ReadRankTime());
  if (std::string lines = member_.TakeLines(); !lines.empty()) {
    network_.Send(peer_, std::move(lines));
  }
}

}  // namespace millrace::apps

// ranks/message.h - what ranks that share a load say to each other: a line of JSON each.
//
// Rank 0 coordinates. A rank connects and says join; with welcome it belongs to the group. For each
// step of the run (one, or the trials of a search): step to all; each measures with ping how its
// clock differs; ready from all, start to all, result from all. Alive goes both ways every
// second. Stop ends a step early; end ends all, and says why when something went wrong.
// What is read is not trusted: a message has the fields that are listed here, each of its type, and
// is otherwise none. Nor is it secret: the network between the ranks has to be.
#ifndef MILLRACE_APPS_RANKS_MESSAGE_H_
#define MILLRACE_APPS_RANKS_MESSAGE_H_

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <variant>

#include "absl/status/statusor.h"
#include "apps/result/result.h"

namespace millrace::apps {

// Counts up when a message changes. Only equal ones work together.
inline constexpr uint32_t kRankProtocol = 1;

// Octets of a line: from whoever connects, and from a rank that has joined.
inline constexpr size_t kStrangerLineMax = 64 << 10;
inline constexpr size_t kRankLineMax = 16 << 20;

struct JoinMessage {
  static constexpr const char* kType = "join";
  uint32_t protocol = kRankProtocol;
  std::string version;  // of the program
  std::string host;
  uint32_t rank = 0, ranks = 1;
  nlohmann::ordered_json settings = nlohmann::ordered_json::object();  // that all ranks share
};
struct WelcomeMessage {
  static constexpr const char* kType = "welcome";
};
struct PingMessage {
  static constexpr const char* kType = "ping";
  int64_t sent_unix_ns = 0;
};
struct PongMessage {
  static constexpr const char* kType = "pong";
  int64_t sent_unix_ns = 0;      // of the ping
  int64_t answered_unix_ns = 0;  // by rank 0's clock
};
struct StepMessage {
  static constexpr const char* kType = "step";
  uint64_t step = 0;      // from 1
  double rate_per_s = 0;  // of all ranks; 0: as the settings say
  int64_t length_ns = 0;  // of the measured part
};
struct ReadyMessage {
  static constexpr const char* kType = "ready";
  uint64_t step = 0;
};
struct StartMessage {
  static constexpr const char* kType = "start";
  uint64_t step = 0;
  int64_t at_unix_ns = 0;  // by rank 0's clock
};
// From rank 0: the sums over all ranks.
struct AliveMessage {
  static constexpr const char* kType = "alive";
  uint64_t started = 0, ok = 0, failed = 0, open = 0;  // connections of this step
};
struct ResultMessage {
  static constexpr const char* kType = "result";
  uint64_t step = 0;
  bool interrupted = false;
  Result result;
};
struct StopMessage {
  static constexpr const char* kType = "stop";
};
struct EndMessage {
  static constexpr const char* kType = "end";
  uint32_t code = 0;  // for the program to exit with
  std::string why;    // "": all went well
};

using RankMessage =
    std::variant<JoinMessage, WelcomeMessage, PingMessage, PongMessage, StepMessage, ReadyMessage,
                 StartMessage, AliveMessage, ResultMessage, StopMessage, EndMessage>;

// With the line end behind it.
std::string RankLine(const RankMessage& message);
// `line` is without its line end. kInvalidArgument says what is wrong with it.
absl::StatusOr<RankMessage> ParseRankLine(std::string_view line);

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_RANKS_MESSAGE_H_

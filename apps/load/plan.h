// load/plan.h - what a load run is to do, resolved: every number decided, nothing to be looked up.
//
// A plain value. One plan describes the whole run; ShareOf gives the part of one of several
// generators (workers, or ranks on several machines), such that the parts add up exactly.
#ifndef MILLRACE_APPS_LOAD_PLAN_H_
#define MILLRACE_APPS_LOAD_PLAN_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "apps/load/target.h"
#include "millrace/base/time.h"

namespace millrace::apps {

// How intended starts are spread over time.
enum class ArrivalKind : uint8_t {
  kPaced,    // one every 1/rate
  kPoisson,  // exponential gaps: independent users
  kUniform,  // gaps uniform between 0 and 2/rate
  kBurst,    // `burst` at once every burst/rate
};

struct Arrival {
  ArrivalKind kind = ArrivalKind::kPaced;
  uint32_t burst = 1;
};

// Who ends a connection after its last response, and how.
enum class CloseMode : uint8_t {
  kFin,     // we close first, and keep TIME-WAIT
  kReset,   // we reset: nothing of the connection is left anywhere
  kServer,  // the server closes first, and we answer
  kHalf,    // our FIN goes right behind the last request; the server answers and closes
};

// Octets of a request and of its response (raw TCP).
struct Exchange {
  uint32_t request_bytes = 1, response_bytes = 1;
  uint32_t weight = 1;
};

// How long each phase may take. 0: for ever.
struct PhaseTimeouts {
  Duration connect = Duration::Seconds(3);  // a SYN that is lost comes again after 1 s (RFC 6298)
  Duration first_byte = Duration::Seconds(2);
  Duration last_byte = Duration::Seconds(30);
  Duration close = Duration::Seconds(5);
};

// One generator of `count` that together make the load: 0 <= index < count.
struct LoadRank {
  uint32_t index = 0, count = 1;
};

struct RunPlan {
  static constexpr uint64_t kUnlimited = UINT64_MAX;

  std::vector<Target> targets;
  std::string target_text;  // as given, when the targets are more than were
  std::vector<Exchange> mix = std::vector<Exchange>(1);

  // Open loop: `rate_per_s` connections a second are started whatever becomes of them. Closed loop
  // (rate 0): `concurrency` connections are under way at any time.
  double rate_per_s = 0;
  uint32_t concurrency = 64;
  uint32_t open_max = 16'384;  // open loop: connections under way at most; more start late
  Arrival arrival;
  Duration ramp;                                 // from nothing to the full rate, before warm-up
  Duration warmup;                               // not measured
  Duration duration;                             // measured; 0: until `count` are over
  uint64_t count = kUnlimited;                   // connections to start
  Duration drain = Duration::Milliseconds(500);  // for what is under way at the end

  // Connections that are opened before the clock starts and stay; requests a second over all.
  uint32_t hold = 0;
  double held_requests_per_s = 0;
  std::string request;  // HTTP: a template (load/request.h); "": GET of the target's path

  uint32_t requests = 1;  // per connection
  Duration think;         // between a response and the next request
  CloseMode close = CloseMode::kServer;
  PhaseTimeouts timeouts;
  std::optional<uint64_t> expected_body_bytes;  // HTTP: any other length is a failure
  bool check_payload = false;                   // octet i of every response is Pattern::At(i)
  bool timed = true;           // latencies and late starts are recorded, not only counted
  uint8_t dscp = 0;            // Diffserv field of what we send, 0 to 63
  uint64_t capture_bytes = 0;  // for packets of failed connections; 0: none are kept
  uint64_t seed = 1;
  LoadRank rank;
  bool together = false;  // the clock starts when LoadRun::Release says, even that of one generator
  int64_t start_unix_ns = 0;  // when it does, with `together`; 0: when all are ready

  bool open_loop() const { return rate_per_s > 0; }
  // From the first start to the first measured one, and to the last start.
  Duration lead() const { return ramp + warmup; }
  Duration length() const { return lead() + duration; }
  // Connections that can be under way at one time, with the one that probes a target.
  uint32_t open_limit() const { return (open_loop() ? open_max : concurrency) + hold + 1; }
};

// The whole of `total` things split over ranks: sizes differ by at most one and add up to `total`.
constexpr uint64_t ShareOf(uint64_t total, LoadRank rank) {
  return total / rank.count + (rank.index < total % rank.count ? 1 : 0);
}

// The part of `plan` that one of `rank.count` generators does. Rates are not divided: the schedule
// gives each rank its own of the common starts (load/schedule.h).
RunPlan PlanOf(const RunPlan& plan, LoadRank rank);

const char* ToString(ArrivalKind kind);
const char* ToString(CloseMode mode);
// "poisson", "burst:16"; nullopt when it is none.
std::optional<Arrival> ParseArrival(std::string_view text);
std::optional<CloseMode> ParseCloseMode(std::string_view text);
// "connect=1s,first-byte=2s,last-byte=30s,close=5s", in any order, each at most once; `timeouts`
// keeps what is not named. Returns "" or what is wrong.
std::string ParseTimeouts(std::string_view text, PhaseTimeouts* timeouts);
// "64:1k*3": request:response*weight, octets.
std::optional<Exchange> ParseExchange(std::string_view text);
// "1:1k*3,64:100k": request:response*weight, octets. Returns "" or what is wrong.
std::string ParseMix(std::string_view text, std::vector<Exchange>* mix);
// The same with one on a line, as a file has them; empty lines and what follows a # count for
// nothing. "line 3: ...".
std::string ParseMixLines(std::string_view text, std::vector<Exchange>* mix);

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_LOAD_PLAN_H_

// load/load_app.h - the load generator of one worker: opens connections by a plan, makes requests,
// closes, measures every stage and names every failure. A stack::App over the engine, and the same
// over every other network (load/network.h); shares nothing.
//
// A run goes through the stages of LoadStage. Before the clock starts each target is asked with one
// connection whether it is there (that also finds its MAC address), and connections to be held are
// opened. Then starts follow the schedule whatever becomes of them. What could not start on time is
// started as soon as there is a place for it, and is late by what lag_ns says; what has not started
// when the time is over failed as open_max, port_full or not_started.
// Instants are those of the network: of an engine those of polls.
// Memory: about 120 octets per connection that can be under way, 100 more with HTTP, 4.5 MB of
// histograms; nothing is allocated once it runs, but for HTTP lines that come in pieces.
// Threading: one worker; `live` may be read from anywhere, the rest after the worker has ended.
#ifndef MILLRACE_APPS_LOAD_LOAD_APP_H_
#define MILLRACE_APPS_LOAD_LOAD_APP_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "apps/common/flight_recorder.h"
#include "apps/common/http_response.h"
#include "apps/common/pattern.h"
#include "apps/load/flow.h"
#include "apps/load/live_load.h"
#include "apps/load/load_result.h"
#include "apps/load/network.h"
#include "apps/load/plan.h"
#include "apps/load/request.h"
#include "apps/load/schedule.h"
#include "apps/load/start_gate.h"
#include "apps/load/weighted.h"
#include "millrace/stack/socket.h"

namespace millrace::apps {

template <class N>
class LoadAppOf {
 public:
  using Engine = typename N::Engine;
  using Socket = typename N::Socket;

  // `pattern` and `live` outlive the application. `plan` is the part of this worker (PlanOf).
  LoadAppOf(const RunPlan& plan, const Pattern& pattern, LiveRun& live);

  // Told of every connection that fails in the window; outlives the application.
  void SetRecorder(FlightRecorder* recorder) { recorder_ = recorder; }

  void OnOpen(Socket socket);
  size_t OnReceive(Socket socket, std::span<const std::byte> data);
  void OnPeerClosed(Socket socket);
  void OnWritable(Socket) {}
  void OnClose(Socket socket, tcp::CloseReason reason);
  void OnPoll(Engine& engine, Instant now);

  // When OnPoll has something to do without any event; Never() when all that is left are events.
  // For simulation: a worker polls anyway.
  Instant NextDeadline() const;

  // Counts what is still under way. REQUIRES: the worker has ended.
  void Finish();

  const RunResult& result() const { return result_; }
  uint32_t open() const { return static_cast<uint32_t>(flows_.size() - free_.size()); }
  const RunPlan& plan() const { return plan_; }

 private:
  static constexpr int kStartsPerPollMax = 64;  // closed loop, holding, requests
  // A poll receives 32 frames at most, and a connection earns three: a schedule that starts more
  // than it can read the answers of fills the rings of both ends after a pause, and finds nothing
  // in a cache any more. Of 600,000 offered a second over a memif 8 a poll open all but 2 %, mostly
  // all; 12 a poll open 65 % to 91 %, 64 open 58 %. (A closed loop has its bound, and loses 8 %.)
  static constexpr int kScheduledPerPollMax = 8;
  static constexpr int kExpiriesPerPollMax = 64;
  static constexpr int kDrainStep = 256;            // connections looked at per poll
  static constexpr uint32_t kHeldOpeningMax = 128;  // handshakes under way while holding
  static constexpr Duration kProbeFor = Duration::Seconds(3);

  struct TargetState {
    TargetState(const Target& t, const RunPlan& plan);
    Target target;
    RequestTemplate request, last_request;  // HTTP
  };

  // While the clock runs (load_app.cc).
  void Run(Engine& engine);
  void StartScheduled(Engine& engine);
  bool KeptBack(const Engine& engine, Instant intended);
  void StartClosedLoop(Engine& engine);
  void RequestOnHeld(Engine& engine);
  bool Start(Engine& engine, Instant intended);
  void Expire(Engine& engine);
  void Publish(const Engine& engine);

  // Stages before and after (load_app_stages.h).
  void Probe(Engine& engine);
  void OnProbeOver(LoadFailure failure);
  void Hold(Engine& engine);
  void BeginClock();
  void AwaitStart();
  void EndWindow();
  void CountUnstarted(Instant end);
  void CountUnsent(Instant end);
  void Drain(Engine& engine);
  bool AllStarted() const { return counted_ == plan_.count; }
  bool Measured(Instant intended) const {
    return intended >= measure_from_ && (plan_.duration == Duration() || intended < end_);
  }

  // One connection (load_app_flow.h).
  uint32_t Take(Instant intended);
  std::optional<LoadFailure> Open(Engine& engine, uint32_t index, uint32_t target);
  void Enter(uint32_t index, FlowPhase phase);
  void SendRequest(const Socket& socket, uint32_t index, Instant intended);
  bool SendOctets(const Socket& socket, Flow& flow);
  size_t ReceiveRaw(Flow& flow, std::span<const std::byte> data);
  size_t ReceiveHttp(uint32_t index, std::span<const std::byte> data);
  bool CheckPayload(uint64_t at, std::span<const std::byte> data) const;
  void OnFirstByte(uint32_t index);
  void OnResponse(const Socket& socket, uint32_t index);
  void BeginClose(const Socket& socket, uint32_t index);
  void Fail(const Socket& socket, uint32_t index, LoadFailure failure);
  LoadFailure Outcome(const Flow& flow, tcp::CloseReason reason) const;
  void Count(const Flow& flow, LoadFailure failure);
  void Capture(const Socket& socket, const Flow& flow, LoadFailure failure);
  void Give(uint32_t index);
  void RecordLatency(const Flow& flow, LatencyState state, Instant intended, Instant started);
  // `others`: when it could not have been, because they were in its place.
  void RecordLag(Instant intended, const OthersTime& others, uint64_t* waited);

  RunPlan plan_;
  const Pattern& pattern_;
  LiveRun& live_;
  FlightRecorder* recorder_ = nullptr;
  RunResult result_;
  std::vector<TargetState> targets_;
  WeightedChoice next_target_, next_exchange_;
  std::optional<Schedule> schedule_, held_schedule_;

  std::vector<Flow> flows_;
  std::vector<HttpResponseReader> readers_;  // beside flows_, when a target is HTTP
  std::vector<uint32_t> free_;
  std::array<PhaseQueue, kTimedPhases> waiting_;
  std::array<Duration, kTimedPhases> phase_limits_;
  PhaseQueue idle_;  // held connections that have no request out
  std::string rendered_;

  LoadStage stage_ = LoadStage::kProbing;
  Instant now_, next_publish_;
  Instant begun_;  // of the stage of probing, or of draining
  Instant start_, measure_from_, end_;
  bool begun_once_ = false;
  uint32_t probed_ = 0;           // targets that are there
  uint32_t probe_ = Flow::kNone;  // the connection that asks, while there is one
  Instant next_probe_;
  uint64_t started_ = 0;  // of the schedule or the closed loop
  uint64_t counted_ = 0;  // of these: in the window
  StartGate gate_;
  // Of starts without a place, or without room in the port, and which of these came last; of
  // requests without an idle connection.
  OthersTime full_, busy_;
  LoadFailure full_why_ = LoadFailure::kOpenMax;
  uint64_t finished_ok_ = 0, finished_failed_ = 0, requests_ok_ = 0;
  uint64_t serial_ = 0;     // of HTTP requests
  Traffic traffic_before_;  // the window
  uint32_t drain_at_ = 0;   // where the search for what is still open goes on
  uint32_t held_opening_ = 0, held_open_ = 0, held_tried_ = 0;
};

extern template class LoadAppOf<EngineNetwork>;
extern template class LoadAppOf<KernelNetwork>;

using LoadApp = LoadAppOf<EngineNetwork>;
static_assert(stack::App<LoadApp>);

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_LOAD_LOAD_APP_H_

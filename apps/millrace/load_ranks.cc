#include "apps/millrace/load_ranks.h"

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "apps/common/exit_code.h"
#include "apps/common/units.h"
#include "apps/result/merge.h"
#include "apps/result/run_folder.h"

namespace millrace::apps {
namespace {

constexpr Duration kWait = Duration::Milliseconds(20);

using Body = std::function<int(Measurement& measurement, LoadStreams& streams)>;

// Writes what the workers kept of failed connections, and says so in the result. The group, if
// there is one, goes on hearing of this rank: gigabytes take longer than it waits.
absl::Status WriteFailed(const CaptureSpec& spec, LoadRun& run, RankSession* ranks,
                         Result* result) {
  if (spec.path.empty()) return absl::OkStatus();
  std::vector<FlightRecorder*> recorders;
  for (const auto& member : run.members) recorders.push_back(member->recorder.get());
  const int64_t unix_ns = ReadRankTime().unix_ns;
  const auto meanwhile = [ranks] {
    if (ranks != nullptr) ranks->Poll(Duration());
  };
  auto summary = WriteCapture(spec, recorders, unix_ns - run.clock.Now().ns(), meanwhile);
  if (!summary.ok()) return summary.status();
  result->notes.push_back(summary->Text(spec.path));
  return absl::OkStatus();
}

int WithBench(const LoadFlags& flags, LoadSetup& setup, StopSignals& signals, const Body& body) {
  auto bench = OpenBench(flags, &setup);
  if (!bench.ok()) return Report(bench.status());
  if (const int code = Announce(flags, setup, **bench); code != kPass) return code;
  absl::Status captured = CheckCapture(setup.capture);
  if (!captured.ok()) return Report(captured);
  Measurement measurement(**bench, signals, [&](LoadRun& run, RankSession* ranks, Result* result) {
    DescribeRun(setup.plan, **bench, setup.names, result);
    result->configuration = setup.configuration;
    captured = WriteFailed(setup.capture, run, ranks, result);
  });
  auto streams = LoadStreams::Open(flags, setup);
  if (!streams.ok()) return Report(streams.status());
  const int code = body(measurement, *streams);
  return captured.ok() ? code : static_cast<int>(Report(captured));
}

// What a rank itself found, beside the merged result.
int WriteOwn(const Measurement& measurement, const LoadFlags& flags, const LoadRank& rank) {
  if (flags.folder.empty() || !measurement.own()) return kPass;
  const std::string folder = flags.folder + "/rank-" + std::to_string(rank.index);
  const absl::Status written = WriteRunFolder(*measurement.own(), "", folder);
  return written.ok() ? kPass : Report(written);
}

JoinMessage SelfOf(const LoadSetup& setup) {
  nlohmann::ordered_json settings = SharedConfiguration(setup.configuration);
  settings["command"] = setup.names.command;
  return JoinOf(MILLRACE_VERSION, setup.plan.rank.index, setup.plan.rank.count, settings);
}

// Waits until all ranks are there. False when the group has failed: those that come late are told.
bool Await(Coordinator& coordinator, StopSignals& signals) {
  constexpr Duration kLateFor = Duration::Seconds(2);
  while (!coordinator.group().complete() && !coordinator.failure()) {
    coordinator.Poll(kWait);
    if (signals.Wait(Duration())) coordinator.Fail("rank 0 was interrupted", kInterrupted);
  }
  if (!coordinator.failure()) return true;
  const Instant end = ReadRankTime().now + kLateFor;
  while (ReadRankTime().now < end && !signals.Wait(Duration())) coordinator.Poll(kWait);
  return false;
}

int EndWith(const GroupFailure& failure) {
  if (!failure.why.empty()) std::fprintf(stderr, "millrace: %s\n", failure.why.c_str());
  return static_cast<int>(failure.code);
}

int Lead(const LoadFlags& flags, LoadSetup& setup, const HostPort& at, StopSignals& signals,
         const Body& body) {
  auto opened = Coordinator::Open(at, {.self = SelfOf(setup), .patience = flags.rank_timeout});
  if (!opened.ok()) return Report(opened.status());
  Coordinator& coordinator = **opened;
  const uint32_t ranks = coordinator.group().ranks();
  std::fprintf(flags.text(), "ranks     0 of %u, coordinates at %s\n", ranks,
               flags.coordinator.c_str());
  std::fflush(flags.text());
  if (!Await(coordinator, signals)) return EndWith(*coordinator.failure());
  const int code = WithBench(flags, setup, signals, [&](Measurement& m, LoadStreams& streams) {
    m.Lead(&coordinator);
    const int ended = body(m, streams);
    const int written = WriteOwn(m, flags, setup.plan.rank);
    return ended == kPass ? written : ended;
  });
  if (coordinator.failure()) return static_cast<int>(coordinator.failure()->code);
  const bool measured = code != kInternal && code != kUsage && code != kEnvironment;
  if (measured) {
    coordinator.group().End();
  } else {
    coordinator.Fail("rank 0 (" + SelfOf(setup).host + ") could not go on: see what it printed",
                     static_cast<uint32_t>(code));
  }
  return code;
}

int Follow(const LoadFlags& flags, LoadSetup& setup, const HostPort& to, StopSignals& signals) {
  RankClient client(to, SelfOf(setup), flags.rank_timeout);
  std::fprintf(flags.text(), "ranks     %u of %u, coordinated by %s\n", setup.plan.rank.index,
               setup.plan.rank.count, flags.coordinator.c_str());
  std::fflush(flags.text());
  while (!client.member().welcome() && !client.failure()) {
    client.Poll(kWait);
    if (signals.Wait(Duration())) client.Fail("interrupted", kInterrupted);
  }
  if (client.failure()) return EndWith(*client.failure());
  const int code = WithBench(flags, setup, signals, [&](Measurement& m, LoadStreams& streams) {
    const absl::Status followed =
        m.Follow(client, setup.plan, flags.interval, [&](Duration length) {
          return LiveView(setup.live, flags.text(), length, streams.listeners());
        });
    const int written = WriteOwn(m, flags, setup.plan.rank);
    if (!followed.ok()) return static_cast<int>(Report(followed));
    return m.own() ? streams.Finish(*m.own(), written) : written;
  });
  if (code != kPass) {
    client.Fail("could not go on: see what it printed", static_cast<uint32_t>(code));
    return code;
  }
  return EndWith(*client.failure());
}

}  // namespace

int RunLoad(const LoadFlags& flags, LoadSetup& setup, StopSignals& signals, const Body& body) {
  const LoadRank& rank = setup.plan.rank;
  // Ranks may share folders, and have one command line.
  const std::string own = "rank-" + std::to_string(rank.index);
  if (rank.count > 1 && !setup.capture.path.empty()) setup.capture.path += "." + own;
  if (flags.coordinator.empty()) {
    if (rank.count > 1) {
      std::string& json = setup.output.json;
      if (!setup.output.folder.empty()) setup.output.folder += "/" + own;
      if (!json.empty() && json != "-") json += "." + own;
    }
    return WithBench(flags, setup, signals, body);
  }
  const absl::StatusOr<HostPort> at = ParseHostPort(flags.coordinator);
  if (!at.ok()) return ReportUsage("--coordinator: " + std::string(at.status().message()));
  if (flags.ranks.empty()) {
    return ReportUsage("--coordinator: say which rank this is, --ranks i/N or --ranks auto");
  }
  if (rank.count > kGroupRanksMax) {
    return ReportUsage("--coordinator: for at most " + std::to_string(kGroupRanksMax) + " ranks");
  }
  if (rank.count == 1) return WithBench(flags, setup, signals, body);
  return rank.index == 0 ? Lead(flags, setup, *at, signals, body)
                         : Follow(flags, setup, *at, signals);
}

}  // namespace millrace::apps

// load/load_bench.h - where loads are run: what was opened once (ports, or the kernel's sockets),
// and for each run a fresh generator with workers of its own.
//
// Threading: everything is called by one controlling thread; workers run between Start and Stop.
#ifndef MILLRACE_APPS_LOAD_LOAD_BENCH_H_
#define MILLRACE_APPS_LOAD_LOAD_BENCH_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "apps/common/flight_recorder.h"
#include "apps/load/capacity.h"
#include "apps/load/live_load.h"
#include "apps/load/load_result.h"
#include "apps/load/plan.h"
#include "millrace/dpdk/clock.h"
#include "millrace/dpdk/dpdk_port.h"
#include "millrace/dpdk/worker.h"
#include "millrace/stack/hand_over.h"

namespace millrace::apps {

// What a worker polls: a generator, and over rings perhaps its server too.
class LoadEnds {
 public:
  using AddCounter = std::function<void(const std::string& name, uint64_t value)>;

  virtual ~LoadEnds() = default;
  // Counts what is still under way. REQUIRES, as all that follows: the worker has ended.
  virtual void Finish() = 0;
  virtual const RunResult& result() const = 0;
  // Of the generator, with Linux's names where there is one.
  virtual void ForEachCounter(const AddCounter& add) const = 0;
  // TIME-WAIT entries that went early, at both ends.
  virtual uint64_t time_waits_evicted() const { return 0; }
};

// One of the generators of a run, with a worker of its own; they share nothing.
// Members end in reverse order: workers before what they poll.
struct LoadMember {
  RunPlan plan;  // its part
  LiveRun live;
  std::unique_ptr<FlightRecorder> recorder;  // with RunPlan::capture_bytes
  std::unique_ptr<LoadEnds> ends;
  std::unique_ptr<dpdk::Worker> worker;
  std::unique_ptr<dpdk::Worker> server_worker;  // of a server in this process, when it has its own
  const char* role = "client";                  // of `worker`
};

// One run: generators, servers (over rings), and the threads that poll them. Made by a LoadBench.
struct LoadRun {
  RunPlan plan;                                  // the whole
  dpdk::Clock clock = dpdk::Clock::Monotonic();  // of all workers
  // Between the workers of a port that has several.
  std::vector<std::unique_ptr<stack::HandOver>> hand_overs;
  std::vector<std::unique_ptr<LoadMember>> members;  // never empty
  dpdk::DpdkPortCounters nic_before;                 // where there are ports

  // The stage that all members have reached.
  LoadStage stage() const;
  // Whether a member has given up before its clock: its target is not there.
  bool GaveUp() const;
  // Whether RunPlan::start_unix_ns is more than 100 ms away when it is `unix_ns` now: too far to
  // say when that is by `clock`, because over hours it and the day's clock drift apart.
  bool StartIsFar(int64_t unix_ns) const;
  // RunPlan::start_unix_ns as an instant of `clock`, when it is `unix_ns` now; `soonest` when that
  // is past, with how late it is, or when nothing was asked for.
  Instant AskedStart(Instant soonest, int64_t unix_ns, Duration* late);
  // Several members wait for each other, and in a group of ranks all do: lets the clock of all
  // start at an instant of `clock`. Ends the run when one has given up.
  void Release(Instant start);
  // Asks all to start no more.
  void AskToStop();
  // Ends the workers; everything they wrote is visible then.
  void Stop();

  // A member that does the next part of the plan; `of` are to come in all.
  LoadMember& AddMember(uint32_t of);
};

class LoadBench {
 public:
  virtual ~LoadBench() = default;

  // Makes everything for a run and lets it go. The bench outlives it; one run at a time.
  virtual absl::StatusOr<std::unique_ptr<LoadRun>> Start(const RunPlan& plan) = 0;

  // "" or what is wrong with the targets, as a sentence for the user.
  virtual std::string CheckTargets(const std::vector<Target>& targets) const = 0;
  // Source tuples that `plan` needs, and those that there are.
  virtual Capacity CapacityFor(const RunPlan& plan) const = 0;
  // What to change when they do not last.
  virtual std::string Advice(const Capacity& capacity) const = 0;

  // "2 rings in the process", or what the port says of itself.
  virtual std::string Describe() = 0;
  virtual std::string DpdkVersion() const { return ""; }  // "": not used
  virtual bool huge_pages() const { return false; }
  // What a reader of any result has to know.
  virtual std::string Note() const { return ""; }
  // What may be the reason that a target does not answer; "" when nothing is known.
  virtual std::string WhyMissing() { return ""; }

  // Frames, and with them counters of ports, pools of packets and rates in bits, are not seen by
  // every bench. Of the generators' side, for all workers. REQUIRES: none runs.
  virtual std::optional<dpdk::DpdkPortCounters> ReadCounters() { return std::nullopt; }
  // Of the fullest pool of packets. Walks the caches of all threads: not for every tick.
  virtual std::optional<double> FreePacketsShare() { return std::nullopt; }

  // CPUs of the workers, the generators' first; -1: wherever the system puts it.
  const std::vector<int>& cpus() const { return cpus_; }

 protected:
  // Whether each of the generators, those of other ranks too, has something to do.
  static absl::Status CheckShares(const RunPlan& plan, uint32_t workers);
  // No memory for what a run keeps of its connections.
  static absl::Status TooMany(const RunPlan& plan);

  std::vector<int> cpus_;
};

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_LOAD_LOAD_BENCH_H_

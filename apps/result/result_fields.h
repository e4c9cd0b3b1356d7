// apps/result/result_fields.h - the fields of a Result: name in JSON, place, and what it means.
//
// One list for writing, reading and the schema: Fields(visit, value) calls visit(name, field,
// meaning) in the order of the document. Names end in their unit.
#ifndef MILLRACE_APPS_RESULT_RESULT_FIELDS_H_
#define MILLRACE_APPS_RESULT_RESULT_FIELDS_H_

#include <array>
#include <concepts>
#include <type_traits>

#include "apps/result/result.h"
#include "apps/result/stream.h"

namespace millrace::apps {

// `T` or `const T`.
template <class S, class T>
concept Is = std::same_as<std::remove_const_t<S>, T>;

constexpr std::array<const char*, 3> NamesOf(Outcome) {
  return {"valid", "invalid_generator", "fail_objective"};
}

template <class V, Is<RunIdentity> S>
void Fields(V& visit, S& v) {
  visit("id", v.id, "name of the run and of its folder");
  visit("name", v.name, "the user's name for it");
  visit("command", v.command, "subcommand");
  visit("command_line", v.command_line, "words of the command line");
  visit("version", v.version, "of the program");
  visit("seed", v.seed, "of all random streams");
  visit("labels", v.labels, "--label, copied");
}

template <class V, Is<MachineDescription> S>
void Fields(V& visit, S& v) {
  visit("host", v.host, "host name");
  visit("cpu", v.cpu, "model of the CPU");
  visit("kernel", v.kernel, "name and release");
  visit("compiler", v.compiler, "that built the program");
  visit("dpdk", v.dpdk, "version of DPDK, when it was used");
  visit("cpus_allowed", v.cpus_allowed, "CPUs that the process may use");
  visit("numa_nodes", v.numa_nodes, "of the machine");
  visit("memory_bytes", v.memory_bytes, "of the machine");
  visit("huge_pages", v.huge_pages, "whether packets were in huge pages");
  visit("device", v.device, "ports in use");
  visit("core_list", v.core_list, "CPUs of the workers");
}

template <class V, Is<Window> S>
void Fields(V& visit, S& v) {
  visit("start_unix_ns", v.start_unix_ns, "start of the measured part");
  visit("end_unix_ns", v.end_unix_ns, "its end");
}

template <class V, Is<Rank> S>
void Fields(V& visit, S& v) {
  visit("index", v.index, "of this process, from 0");
  visit("count", v.count, "processes that shared the load");
}

template <class V, Is<LoadShape> S>
void Fields(V& visit, S& v) {
  visit("target", v.target, "as given");
  visit("loop", v.loop, "open: starts are due by the clock; closed: when another has ended");
  visit("arrival", v.arrival, "how starts are spaced");
  visit("close", v.close, "how and by whom connections are closed");
  visit("offered_per_s", v.offered_per_s, "connection starts that were due");
  visit("achieved_per_s", v.achieved_per_s, "connection starts that happened");
  visit("ok_per_s", v.ok_per_s, "connections that ended as they should");
  visit("requests_per_s", v.requests_per_s, "requests that were answered");
  visit("rx_bits_per_s", v.rx_bits_per_s,
        "on the wire, from the target; absent where no frames are seen");
  visit("tx_bits_per_s", v.tx_bits_per_s,
        "on the wire, to the target; absent where no frames are seen");
  visit("packets_per_connection", v.packets_per_connection, "TCP segments of both directions");
}

template <class V, Is<Counts> S>
void Fields(V& visit, S& v) {
  visit("due", v.due, "connections that should have started");
  visit("opened", v.opened, "connections that did");
  visit("ok", v.ok, "ended as they should");
  visit("failed", v.failed, "the sum of failures");
  visit("put_off", v.put_off, "times an open had to wait for a port, a record or a packet");
  visit("requests", v.requests, "sent");
  visit("responses", v.responses, "complete");
  visit("held", v.held, "connections held open beside the load, at the end");
}

template <class V, Is<Latency> S>
void Fields(V& visit, S& v) {
  visit("intended", v.intended, "from the instant at which the connection should have started");
  visit("actual", v.actual, "from the instant at which it did");
}

template <class V, Is<Interval> S>
void Fields(V& visit, S& v) {
  visit("start_s", v.start_s, "from the start of the window");
  visit("length_s", v.length_s, "of the interval");
  visit("due", v.due, "connections that should have started");
  visit("opened", v.opened, "connections that did");
  visit("ok", v.ok, "ended as they should");
  visit("failed", v.failed, "ended otherwise");
  visit("retransmits", v.retransmits, "segments sent again");
  visit("open", v.open, "connections open at its end");
  visit("connect_p50_ns", v.connect_p50_ns, "from intended start");
  visit("connect_p99_ns", v.connect_p99_ns, "from intended start");
  visit("busiest_core_share", v.busiest_core_share, "busy cycles of the busiest worker");
  visit("worst_lag_ns", v.worst_lag_ns, "a start that was due came so late");
}

template <class V, Is<CoreHealth> S>
void Fields(V& visit, S& v) {
  visit("cpu", v.cpu, "number");
  visit("role", v.role, "what ran on it");
  visit("busy_share", v.busy_share, "of its cycles");
}

template <class V, Is<GeneratorHealth> S>
void Fields(V& visit, S& v) {
  visit("cores", v.cores, "a line per worker");
  visit("worst_lag_ns", v.worst_lag_ns, "a start that was due came so late");
  visit("packet_pool_low_share", v.packet_pool_low_share,
        "free packets at the worst instant; absent where there are none");
  visit("tx_dropped", v.tx_dropped, "packets the driver did not take; absent where it is not ours");
  visit("rx_missed", v.rx_missed,
        "packets the device had no room for; absent where it is not ours");
}

template <class V, Is<Objective> S>
void Fields(V& visit, S& v) {
  visit("objective", v.objective, "as given");
  visit("measured", v.measured, "in `unit`");
  visit("limit", v.limit, "in `unit`");
  visit("unit", v.unit, "ns, share or per_s");
  visit("passed", v.passed, "whether it was met");
}

template <class V, Is<Trial> S>
void Fields(V& visit, S& v) {
  visit("offered_per_s", v.offered_per_s, "connection starts that were due");
  visit("achieved_per_s", v.achieved_per_s, "connection starts that happened");
  visit("length_s", v.length_s, "of the trial");
  visit("failed_share", v.failed_share, "failed or not started, of those due");
  visit("connect_p99_ns", v.connect_p99_ns, "from intended start");
  visit("generator_busy_share", v.generator_busy_share, "of the busiest worker");
  visit("verdict", v.verdict, "ok, fail or void");
}

template <class V, Is<Goal> S>
void Fields(V& visit, S& v) {
  visit("goal", v.goal, "as given");
  visit("rate_per_s", v.rate_per_s, "the highest rate that met it");
  visit("above_per_s", v.above_per_s, "the lowest rate that did not; 0: none was found");
  visit("limited_by", v.limited_by, "device under test, generator or range asked for");
}

template <class V, Is<Search> S>
void Fields(V& visit, S& v) {
  visit("goals", v.goals, "a line per goal");
  visit("trials", v.trials, "in the order in which they ran");
}

template <class V, Is<RankRow> S>
void Fields(V& visit, S& v) {
  visit("rank", v.rank, "index");
  visit("id", v.id, "of its run");
  visit("host", v.host, "host name");
  visit("window", v.window, "of its own");
  visit("offered_per_s", v.offered_per_s, "connection starts that were due");
  visit("achieved_per_s", v.achieved_per_s, "connection starts that happened");
  visit("ok", v.ok, "ended as they should");
  visit("failed", v.failed, "ended otherwise");
  visit("busiest_core_share", v.busiest_core_share, "busy cycles of the busiest worker");
  visit("worst_lag_ns", v.worst_lag_ns, "a start that was due came so late");
  visit("verdict", v.verdict, "of its own");
}

template <class V, Is<Verdict> S>
void Fields(V& visit, S& v) {
  visit("outcome", v.outcome, "whether the result may be believed, and met its objectives");
  visit("interrupted", v.interrupted, "ended by a signal: what ran until then is here");
  visit("reasons", v.reasons, "why it is not valid");
}

template <class V, Is<Result> S>
void Fields(V& visit, S& v) {
  visit("schema", v.schema, "version of this format");
  visit("run", v.run, "what was run");
  visit("machine", v.machine, "where");
  visit("configuration", v.configuration, "every flag as it was resolved");
  visit("window", v.window, "the measured part in wall-clock time");
  visit("rank", v.rank, "this process among those that shared the load");
  visit("load", v.load, "rates, over the window");
  visit("counts", v.counts, "connections, in the window");
  visit("failures", v.failures, "by reason; every failed connection once");
  visit("latency", v.latency, "by state");
  visit("series", v.series, "by interval");
  visit("counters", v.counters, "of the engines, with Linux's names where there is one");
  visit("nic", v.nic, "of the ports and their drivers");
  visit("generator", v.generator, "whether it kept up");
  visit("objectives", v.objectives, "--slo, one by one");
  visit("search", v.search, "of find-max and sweep");
  visit("ranks", v.ranks, "of a merged result: what went into it");
  visit("verdict", v.verdict, "what to make of it");
  visit("notes", v.notes, "what a reader should know");
}

template <class V, Is<StreamBegin> S>
void Fields(V& visit, S& v) {
  visit("type", v.type, "kind of line");
  visit("schema", v.schema, "version of this format");
  visit("time_unix_ns", v.time_unix_ns, "when it was written");
  visit("run", v.run, "what is run");
  visit("load", v.load, "for people");
}

template <class V, Is<StreamLatency> S>
void Fields(V& visit, S& v) {
  visit("count", v.count, "connections or requests");
  visit("p50_ns", v.p50_ns, "from the intended start");
  visit("p90_ns", v.p90_ns, "from the intended start");
  visit("p99_ns", v.p99_ns, "from the intended start");
  visit("p99.9_ns", v.p999_ns, "from the intended start");
  visit("max_ns", v.max_ns, "from the intended start");
}

template <class V, Is<StreamInterval> S>
void Fields(V& visit, S& v) {
  visit("type", v.type, "kind of line");
  visit("time_unix_ns", v.time_unix_ns, "when it was written");
  visit("measured", v.measured, "false in ramp and warm-up, whose time counts from their start");
  visit("interval", v.interval, "as in the series of the result");
  visit("latency", v.latency, "of this interval, by state");
}

template <class V, Is<StreamTrial> S>
void Fields(V& visit, S& v) {
  visit("type", v.type, "kind of line");
  visit("time_unix_ns", v.time_unix_ns, "when it was written");
  visit("trial", v.trial, "of find-max or sweep, as in the result");
}

template <class V, Is<StreamEnd> S>
void Fields(V& visit, S& v) {
  visit("type", v.type, "kind of line");
  visit("time_unix_ns", v.time_unix_ns, "when it was written");
  visit("load", v.load, "rates, over the window");
  visit("counts", v.counts, "connections, in the window");
  visit("failures", v.failures, "by reason; every failed connection once");
  visit("verdict", v.verdict, "what to make of it");
}

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_RESULT_RESULT_FIELDS_H_

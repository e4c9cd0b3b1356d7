#include "apps/result/show.h"

#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <utility>

#include "apps/common/units.h"
#include "apps/result/field_writer.h"
#include "apps/result/text.h"

namespace millrace::apps {
namespace {

constexpr size_t kLabel = 10;  // columns of the word that begins a line

std::string Line(std::string label, const std::string& text) {
  return Left(std::move(label), kLabel) + Printable(text) + "\n";
}

// A list with commas, broken before 100 columns.
std::string Wrapped(const std::string& label, const std::vector<std::string>& parts) {
  constexpr size_t kColumns = 98;
  std::string text, line;
  for (const std::string& part : parts) {
    if (!line.empty() && kLabel + line.size() + part.size() + 2 > kColumns) {
      text += Line(text.empty() ? label : "", line + ",");
      line.clear();
    }
    line += (line.empty() ? "" : ", ") + part;
  }
  return line.empty() ? text : text + Line(text.empty() ? label : "", line);
}

std::string SecondsText(double seconds) {
  return FormatDuration(Duration::Nanoseconds(std::llround(seconds * 1e9)));
}

std::string Head(const Result& r) {
  std::string load = r.load.loop + " loop";
  if (r.load.offered_per_s > 0) {
    load += ", " + FormatCount(r.load.offered_per_s) + " connections/s " + r.load.arrival;
  }
  load += ", close " + r.load.close + ", " + SecondsText(r.window.seconds());
  std::string machine = r.machine.device;
  if (!r.machine.core_list.empty()) {
    machine += ", cores";
    for (const uint32_t core : r.machine.core_list) {
      machine += ' ';
      machine += std::to_string(core);
    }
  }
  if (!r.machine.dpdk.empty()) machine += r.machine.huge_pages ? ", huge pages" : ", plain memory";
  std::vector<std::string> run = {r.run.id, FormatUnixNs(r.window.start_unix_ns)};
  if (r.rank.count > 1) {
    run.push_back("rank " + std::to_string(r.rank.index) + " of " + std::to_string(r.rank.count));
  }
  for (const auto& [name, value] : r.run.labels) run.push_back(name + "=" + value);
  return Wrapped("run", run) + Line("target", r.load.target + "   " + load) +
         Line("machine", machine) +
         Line("", r.machine.host + ", " + r.machine.cpu + ", " + r.machine.kernel +
                      (r.machine.dpdk.empty() ? "" : ", " + r.machine.dpdk));
}

std::string Rates(const Result& r) {
  const bool open = r.load.offered_per_s > 0;
  std::string text = "\n" + Left("", 16) + Left("offered", 13) + Left("achieved", 13) +
                     Left("ok", 13) + "failed\n";
  text += Left("connections/s", 16) + Left(open ? FormatRate(r.load.offered_per_s) : "-", 13) +
          Left(FormatRate(r.load.achieved_per_s), 13) + Left(FormatRate(r.load.ok_per_s), 13) +
          GroupDigits(r.counts.failed) + " (" + FormatShare(FailedShare(r.counts)) + ")\n";
  std::vector<std::string> more;
  more.push_back(FormatRate(r.load.requests_per_s) + " requests/s");
  if (r.load.rx_bits_per_s) more.push_back(FormatCount(*r.load.rx_bits_per_s) + "bit/s in");
  if (r.load.tx_bits_per_s) more.push_back(FormatCount(*r.load.tx_bits_per_s) + "bit/s out");
  if (r.load.packets_per_connection > 0) {
    std::array<char, 64> packets;
    std::snprintf(packets.data(), packets.size(), "%.2f packets each",
                  r.load.packets_per_connection);
    more.push_back(packets.data());
  }
  if (r.counts.held > 0) more.push_back("held open " + GroupDigits(r.counts.held));
  if (r.counts.put_off > 0) more.push_back("opens put off " + GroupDigits(r.counts.put_off));
  return text + Wrapped("", more);
}

std::string LatencyRow(const std::string& name, const Histogram& histogram,
                       const PercentileColumns& percentiles) {
  constexpr size_t kName = 15, kWidth = 9;
  std::string row = "  " + Left(name, kName);
  if (histogram.count() == 0) return row + Right("-", kWidth) + "\n";
  for (const auto& [label, quantile] : percentiles) {
    row += Right(FormatNs(histogram.ValueAtQuantile(quantile)), kWidth);
  }
  return row + Right(FormatNs(histogram.max()), kWidth) + "\n";
}

PercentileColumns StandardPercentiles() {
  PercentileColumns columns;
  for (const auto& [label, quantile] : kPercentiles) {
    const std::string name = label;
    columns.emplace_back(name.substr(0, name.size() - 3), quantile);  // without _ns
  }
  return columns;
}

std::string Latencies(const Result& r, const PercentileColumns& percentiles, LatencyFrom from) {
  if (r.latency.empty()) return "";
  const char* const head = from == LatencyFrom::kActual     ? "from the actual start"
                           : from == LatencyFrom::kIntended ? "from the intended start"
                                                            : "from the intended start; [from the "
                                                              "actual start]";
  std::string text = "\nlatency (" + std::string(head) + ")\n  " + Left("state", 15);
  for (const auto& [name, quantile] : percentiles) text += Right(name, 9);
  text += Right("max", 9) + "\n";
  for (const auto& [state, latency] : r.latency) {
    const bool actual = from == LatencyFrom::kActual;
    text += LatencyRow(Printable(state), actual ? latency.actual : latency.intended, percentiles);
    if (from != LatencyFrom::kBoth || latency.actual == latency.intended) continue;
    text += LatencyRow("  [actual]", latency.actual, percentiles);
  }
  return text;
}

std::vector<std::string> Counted(const ByName<uint64_t>& counters) {
  std::vector<std::string> parts;
  for (const auto& [name, count] : counters) {
    if (count != 0) parts.push_back(name + " " + GroupDigits(count));
  }
  return parts;
}

std::string Transport(const Result& r) {
  const uint64_t sent = CounterOf(r.counters, "TcpOutSegs");
  const uint64_t again = CounterOf(r.counters, "TcpRetransSegs");
  std::vector<std::string> tcp = {"retransmits " + GroupDigits(again)};
  if (sent > 0) {
    tcp[0] += " (" + FormatShare(static_cast<double>(again) / static_cast<double>(sent)) + ")";
  }
  constexpr std::array<std::pair<const char*, const char*>, 5> kShown{
      {{"TcpExtTCPTimeouts", "timeouts"},
       {"TcpExtTCPSynRetrans", "SYNs again"},
       {"TcpExtRstReceived", "resets in"},
       {"TcpOutRsts", "resets out"},
       {"TcpExtPortsExhausted", "ports exhausted"}}};
  const bool frames = r.load.rx_bits_per_s.has_value();  // else what is not there is not known
  for (const auto& [name, shown] : kShown) {
    if (!frames && CounterOf(r.counters, name) == 0) continue;
    tcp.push_back(shown + (" " + GroupDigits(CounterOf(r.counters, name))));
  }
  for (const auto& [name, count] : r.counters) {
    if (count != 0 && name.starts_with("Drop.")) tcp.push_back(name + " " + GroupDigits(count));
  }
  return Wrapped("tcp", tcp) + Wrapped("nic", Counted(r.nic));
}

std::string Health(const Result& r) {
  const GeneratorHealth& g = r.generator;
  std::vector<std::string> health = {"busiest core " + FormatShare(BusiestCore(g)) + " busy",
                                     "worst schedule lag " + FormatNs(g.worst_lag_ns)};
  if (g.packet_pool_low_share) {
    health.push_back("packet pool low water " + FormatShare(*g.packet_pool_low_share));
  }
  if (g.tx_dropped) health.push_back("tx dropped " + GroupDigits(*g.tx_dropped));
  if (g.rx_missed) health.push_back("rx missed " + GroupDigits(*g.rx_missed));
  return Wrapped("generator", health);
}

std::string Measured(double value, const std::string& unit) {
  if (unit == "ns") return FormatNs(static_cast<uint64_t>(std::llround(std::max(value, 0.0))));
  if (unit == "share") return FormatShare(value);
  return FormatRate(value) + (unit == "per_s" ? "/s" : " " + unit);
}

std::string Objectives(const Result& r) {
  std::string text;
  for (const Objective& o : r.objectives) {
    text += Line(text.empty() ? "SLO" : "", o.objective + "   " + (o.passed ? "PASS" : "FAIL") +
                                                " (" + Measured(o.measured, o.unit) + ")");
  }
  return text;
}

std::string SearchText(const Search& search) {
  std::string text = "\n" + Left("trial", 8) + Left("offered/s", 13) + Left("achieved/s", 13) +
                     Left("length", 9) + Left("failed", 10) + Left("connect p99", 13) +
                     Left("gen busy", 10) + "verdict\n";
  for (size_t i = 0; i < search.trials.size(); ++i) {
    const Trial& t = search.trials[i];
    text += Left(Right(std::to_string(i + 1), 3), 8) + Left(FormatRate(t.offered_per_s), 13) +
            Left(FormatRate(t.achieved_per_s), 13) + Left(SecondsText(t.length_s), 9) +
            Left(FormatShare(t.failed_share), 10) + Left(FormatNs(t.connect_p99_ns), 13) +
            Left(FormatShare(t.generator_busy_share), 10) + Printable(t.verdict) + "\n";
  }
  for (const Goal& g : search.goals) {
    const std::string above = g.above_per_s > 0 ? ", not " + FormatRate(g.above_per_s) + "/s" : "";
    text += Line("RESULT", g.goal + " " + FormatRate(g.rate_per_s) + "/s" + above +
                               "   limited by: " + g.limited_by);
  }
  return text;
}

std::string Ranks(const Result& r) {
  if (r.ranks.empty()) return "";
  std::string text = "\n" + Left("rank", 6) + Left("host", 16) + Left("achieved/s", 13) +
                     Left("ok", 14) + Left("failed", 10) + Left("busy", 9) + Left("lag", 9) +
                     "verdict\n";
  for (const RankRow& row : r.ranks) {
    text += Left(std::to_string(row.rank), 6) + Left(Printable(row.host), 16) +
            Left(FormatRate(row.achieved_per_s), 13) + Left(GroupDigits(row.ok), 14) +
            Left(GroupDigits(row.failed), 10) + Left(FormatShare(row.busiest_core_share), 9) +
            Left(FormatNs(row.worst_lag_ns), 9) + Printable(row.verdict) + "\n";
  }
  return text;
}

}  // namespace

PercentileColumns ParsePercentiles(std::string_view text) {
  constexpr size_t kColumnsMax = 12;
  PercentileColumns columns;
  double before = 0;
  for (bool more = true; more;) {
    const size_t comma = text.find(',');
    const std::string_view word = text.substr(0, comma);
    double percent = 0;
    const auto parsed = std::from_chars(word.data(), word.data() + word.size(), percent);
    const bool whole = parsed.ec == std::errc() && parsed.ptr == word.data() + word.size();
    const bool rises = percent > before && percent < 100;
    if (!whole || !rises || columns.size() == kColumnsMax) return {};
    columns.emplace_back("p" + std::string(word), percent / 100);
    before = percent;
    more = comma != std::string_view::npos;
    if (more) text.remove_prefix(comma + 1);
  }
  return columns;
}

std::string ShowResult(const Result& r, const PercentileColumns& percentiles, LatencyFrom from) {
  const PercentileColumns columns = percentiles.empty() ? StandardPercentiles() : percentiles;
  std::string text = Head(r) + Rates(r) + Latencies(r, columns, from) + "\n";
  text += Wrapped("failures",
                  r.counts.failed == 0 ? std::vector<std::string>{"none"} : Counted(r.failures));
  text += Transport(r) + Health(r) + Objectives(r);
  if (r.search) text += SearchText(*r.search);
  text += Ranks(r);
  text += "\nVERDICT " + VerdictText(r.verdict) + "\n";
  for (const std::string& reason : r.verdict.reasons) text += Line("", reason);
  for (const std::string& note : r.notes) text += Line("note", note);
  return text;
}

}  // namespace millrace::apps

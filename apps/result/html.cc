#include "apps/result/html.h"

#include <algorithm>
#include <string_view>

#include "apps/common/units.h"
#include "apps/result/field_writer.h"
#include "apps/result/html_plots.h"
#include "apps/result/plot.h"
#include "apps/result/show.h"
#include "apps/result/text.h"

namespace millrace::apps {
namespace {

// Colours that differ in lightness too, so that they can be told apart in grey and by those who do
// not see red from green.
constexpr const char* kStyle = R"(
:root { color-scheme: light dark; --ink: #1b1f24; --paper: #ffffff; --soft: #57606a;
  --line: #d5dae0; --panel: #f5f7f9; --good: #1a7f37; --bad: #b42318; --warn: #8a5a00;
  --c0: #0b5cad; --c1: #c2410c; --c2: #11806a; --c3: #8b1d82; --c4: #7a6a00; --c5: #4b4b9f;
  --c6: #a11d44; --c7: #4d5761; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ec; --paper: #14171a; --soft: #a0a8b0;
  --line: #343a41; --panel: #1d2125; --good: #4cc36d; --bad: #ff7b6b; --warn: #e0b040;
  --c0: #6cb2ff; --c1: #ff9a57; --c2: #45d1b0; --c3: #e48be0; --c4: #d9c84a; --c5: #a9a9ff;
  --c6: #ff86a5; --c7: #b7c0c8; } }
body { font: 15px/1.45 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  margin: 0 auto; padding: 1.5rem; max-width: 62rem; }
h1 { font-size: 1.5rem; margin: 0 0 .2rem; } h2 { font-size: 1.1rem; margin: 1.8rem 0 .5rem; }
p { margin: .3rem 0; } .soft { color: var(--soft); overflow-wrap: anywhere; }
.verdict { display: inline-block; font-weight: 700; padding: .25rem .8rem; border-radius: .4rem;
  border: 2px solid currentColor; margin: .8rem 0 .3rem; }
.good { color: var(--good); } .bad { color: var(--bad); } .warn { color: var(--warn); }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); gap: .7rem;
  margin: 1rem 0; }
.figures div { background: var(--panel); border: 1px solid var(--line); border-radius: .4rem;
  padding: .6rem .8rem; } .figures b { display: block; font-size: 1.35rem; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .25rem .6rem; border-bottom: 1px solid var(--line); }
th:first-child, td:first-child { text-align: left; } td.text { text-align: left; }
.wide { overflow-x: auto; } tr.actual td { color: var(--soft); }
pre { background: var(--panel); border: 1px solid var(--line); border-radius: .4rem;
  padding: .8rem; overflow-x: auto; font-size: .8rem; }
svg { width: 100%; height: auto; display: block; } svg text { fill: var(--ink); font-size: 12px; }
svg .grid { stroke: var(--line); stroke-width: 1; } svg .axis { stroke: var(--soft); }
svg polyline { fill: none; stroke-width: 1.8; } svg .dashed { stroke-dasharray: 5 4; }
svg .bar { fill: var(--c1); }
.c0 { stroke: var(--c0); } .c1 { stroke: var(--c1); } .c2 { stroke: var(--c2); }
.c3 { stroke: var(--c3); } .c4 { stroke: var(--c4); } .c5 { stroke: var(--c5); }
.c6 { stroke: var(--c6); } .c7 { stroke: var(--c7); }
@media print { :root { --ink: #000; --paper: #fff; --soft: #444; --line: #bbb; --panel: #fff;
  --good: #1a7f37; --bad: #b42318; --warn: #8a5a00; --c0: #0b5cad; --c1: #c2410c; --c2: #11806a;
  --c3: #8b1d82; --c4: #7a6a00; --c5: #4b4b9f; --c6: #a11d44; --c7: #4d5761; }
  body { font-size: 11px; padding: 0; } svg, table, .figures div { break-inside: avoid; }
  pre { white-space: pre-wrap; } }
)";

std::string Element(const char* name, const std::string& inside, const char* kind = "") {
  const std::string attribute = *kind == 0 ? "" : std::string(" class=\"") + kind + "\"";
  return std::string("<") + name + attribute + ">" + inside + "</" + name + ">\n";
}

std::string Cells(const std::vector<std::string>& cells, const char* name) {
  std::string row;
  for (const std::string& cell : cells) row += Element(name, Escaped(cell));
  return row;
}

std::string VerdictBox(const Verdict& verdict) {
  const char* kind = verdict.outcome == Outcome::kValid           ? "good"
                     : verdict.outcome == Outcome::kFailObjective ? "bad"
                                                                  : "warn";
  std::string box =
      Element("p", Escaped(VerdictText(verdict)), (std::string("verdict ") + kind).c_str());
  for (const std::string& reason : verdict.reasons) box += Element("p", Escaped(reason));
  return box;
}

std::string Figure(const std::string& value, const std::string& what) {
  return "<div><b>" + Escaped(value) + "</b>" + Escaped(what) + "</div>\n";
}

std::string Figures(const Result& r) {
  std::string figures;
  if (r.search) {
    for (const Goal& g : r.search->goals) {
      figures += Figure(FormatRate(g.rate_per_s) + "/s", "maximum, " + g.goal);
    }
  }
  if (r.load.offered_per_s > 0) {
    figures += Figure(FormatRate(r.load.offered_per_s), "connections/s offered");
  }
  figures += Figure(FormatRate(r.load.ok_per_s), "connections/s ok");
  figures +=
      Figure(FormatShare(FailedShare(r.counts)), "failed (" + GroupDigits(r.counts.failed) + ")");
  if (!r.latency.empty()) {
    figures += Figure(FormatNs(r.latency[0].second.intended.ValueAtQuantile(0.99)),
                      "p99 of " + r.latency[0].first);
  }
  figures += Figure(FormatShare(BusiestCore(r.generator)), "busiest core of the generator");
  return "<div class=\"figures\">\n" + figures + "</div>\n";
}

std::string LatencyTable(const Result& r) {
  std::vector<std::string> head = {"state"};
  for (const auto& [name, quantile] : kPercentiles) {
    head.emplace_back(std::string(name).substr(0, std::string(name).size() - 3));
  }
  head.emplace_back("max");
  std::string rows = Element("tr", Cells(head, "th"));
  const auto row = [&rows](const std::string& state, const Histogram& histogram, bool actual) {
    std::vector<std::string> cells = {state};
    for (const auto& [name, quantile] : kPercentiles) {
      cells.push_back(histogram.count() == 0 ? "-" : FormatNs(histogram.ValueAtQuantile(quantile)));
    }
    cells.push_back(histogram.count() == 0 ? "-" : FormatNs(histogram.max()));
    rows += Element("tr", Cells(cells, "td"), actual ? "actual" : "");
  };
  for (const auto& [state, latency] : r.latency) {
    row(state, latency.intended, false);
    if (!(latency.actual == latency.intended)) row(state + ", from actual", latency.actual, true);
  }
  return "<div class=\"wide\"><table>\n" + rows + "</table></div>\n";
}

std::string Configuration(const Result& r) {
  std::string rows;
  for (const auto& [key, value] : r.configuration.items()) {
    rows += Element(
        "tr",
        Element("td", Escaped(key)) +
            Element("td", Escaped(value.is_string() ? value.get<std::string>() : value.dump()),
                    "text"));
  }
  return rows.empty() ? "" : "<table>\n" + rows + "</table>\n";
}

std::string EscapedLines(const std::string& text) {
  std::string escaped;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    escaped += Escaped(std::string_view(text).substr(at, end - at)) + "\n";
    at = end + 1;
  }
  return escaped;
}

std::string Section(const char* title, const std::string& inside) {
  return inside.empty() ? "" : Element("h2", title) + inside;
}

}  // namespace

std::string HtmlPage(const Result& r) {
  const std::string name = r.run.name.empty() ? r.run.id : r.run.name;
  std::string load =
      r.load.target + " - " + r.load.loop + " loop, " + r.load.arrival + ", close " + r.load.close +
      ", " + FormatDuration(Duration::Nanoseconds(r.window.end_unix_ns - r.window.start_unix_ns));
  std::string machine = r.machine.host + ", " + r.machine.cpu + ", " + r.machine.device + ", " +
                        r.machine.kernel + ", " + r.machine.dpdk;
  std::string page = "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n";
  page += "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n";
  page += "<title>" + Escaped(name) + " - Millrace</title>\n<style>" + kStyle + "</style>\n";
  page += "</head>\n<body>\n" + Element("h1", Escaped(name));
  page += Element("p", Escaped(load));
  page +=
      Element("p", Escaped(r.run.id + ", " + FormatUnixNs(r.window.start_unix_ns) + ", " + machine),
              "soft");
  page += VerdictBox(r.verdict) + Figures(r);
  page += Section("Connections per second", RatePlot(r));
  page += Section("Latency by percentile", LatencyPlot(r));
  page += Section("Latency by state, from the intended start", LatencyTable(r));
  page += Section("Failed connections by reason", FailurePlot(r));
  page += Section("Everything as text", Element("pre", EscapedLines(ShowResult(r))));
  page += Section("Configuration", Configuration(r));
  std::string words;
  for (const std::string& word : r.run.command_line) words += (words.empty() ? "" : " ") + word;
  page += Element("p", Escaped("millrace " + r.run.version + ": " + words), "soft");
  return page + "</body>\n</html>\n";
}

}  // namespace millrace::apps

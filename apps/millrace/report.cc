// apps/millrace/report.cc - `millrace report`: results shown, compared, merged and converted.

#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "apps/common/exit_code.h"
#include "apps/common/flags.h"
#include "apps/millrace/subcommand.h"
#include "apps/result/diff.h"
#include "apps/result/html.h"
#include "apps/result/merge.h"
#include "apps/result/result_files.h"
#include "apps/result/run_folder.h"
#include "apps/result/show.h"
#include "apps/result/write_file.h"

namespace millrace::apps {
namespace {

constexpr const char* kResultsHelp =
    "result.json files, run folders, folders of run folders, or - for the standard input";

int Finish(const absl::Status& status) { return status.ok() ? kPass : Report(status); }

Subcommand AddShow(CLI::App& report) {
  CLI::App* app = report.add_subcommand("show", "results as text");
  auto paths = std::make_shared<std::vector<std::string>>();
  app->add_option("results", *paths, kResultsHelp)->required()->type_name("RESULT");
  auto list = std::make_shared<std::string>();
  app->add_option("--percentiles", *list, "of latencies: 50,90,99.9")->type_name("LIST");
  return {app, [paths, list](StopSignals&) -> int {
            const PercentileColumns columns = ParsePercentiles(*list);
            if (columns.empty() && !list->empty()) {
              return ReportUsage(
                  absl::StrCat("--percentiles \"", *list, "\": write 50,90,99,99.9, rising"));
            }
            const auto results = ReadResults(*paths);
            if (!results.ok()) return Report(results.status());
            std::string text;
            for (const Result& result : *results) {
              text += (text.empty() ? "" : "\n\n") + ShowResult(result, columns);
            }
            return Finish(WriteFile("-", text));
          }};
}

struct DiffFlags {
  std::string base, now;
  double max_regress = 0;
  bool json = false;
};

int RunDiff(const DiffFlags& flags) {
  const auto base = ReadResults({&flags.base, 1});
  if (!base.ok()) return Report(base.status());
  const auto now = ReadResults({&flags.now, 1});
  if (!now.ok()) return Report(now.status());
  const auto diff = DiffResults(*base, *now, {.max_regress = flags.max_regress});
  if (!diff.ok()) return Report(diff.status());
  const std::string text = flags.json ? DiffJson(*diff).dump(2) + "\n" : DiffText(*diff);
  if (absl::Status written = WriteFile("-", text); !written.ok()) return Report(written);
  return diff->regression() ? kRegression : kPass;
}

Subcommand AddDiff(CLI::App& report) {
  CLI::App* app = report.add_subcommand(
      "diff", "what changed between repeats of two things, and how sure that is");
  auto flags = std::make_shared<DiffFlags>();
  app->add_option("base", flags->base, "a result, or a folder of repeats")
      ->required()
      ->type_name("BASE");
  app->add_option("new", flags->now, "what to compare with it")->required()->type_name("NEW");
  AddParsed(*app, {"--max-regress", "PART", "a change for the worse up to this is none", "0%"},
            &flags->max_regress, "a part below 100 % (write 3%, 0.03)", ParseShare);
  app->add_flag("--json", flags->json, "JSON instead of text");
  app->footer(
      "Exit code 6 when a metric is worse, so sure that with 95 % probability none of the\n"
      "verdicts is a false alarm. With fewer than three runs of a side nothing is judged; give\n"
      "five of each.");
  return {app, [flags](StopSignals&) { return RunDiff(*flags); }};
}

Subcommand AddMerge(CLI::App& report) {
  CLI::App* app = report.add_subcommand("merge", "one result from those of ranks that ran at once");
  auto paths = std::make_shared<std::vector<std::string>>();
  auto output = std::make_shared<std::string>("-");
  app->add_option("results", *paths, kResultsHelp)->required()->type_name("RESULT");
  app->add_option("-o,--output", *output, "a new run folder (default: JSON to the standard output)")
      ->type_name("DIR");
  return {app, [paths, output](StopSignals&) -> int {
            const auto results = ReadResults(*paths);
            if (!results.ok()) return Report(results.status());
            const auto merged = MergeResults(*results);
            if (!merged.ok()) return Report(merged.status());
            if (*output == "-") return Finish(WriteResult(*merged, "-"));
            return Finish(WriteRunFolder(*merged, ShowResult(*merged), *output));
          }};
}

Subcommand AddExport(CLI::App& report) {
  CLI::App* app =
      report.add_subcommand("export", "series as CSV and histograms as .hgrm, into a folder");
  auto path = std::make_shared<std::string>();
  auto output = std::make_shared<std::string>();
  app->add_option("result", *path, "a result.json, its folder, or -")
      ->required()
      ->type_name("RESULT");
  app->add_option("-o,--output", *output, "the folder to write to")->required()->type_name("DIR");
  return {app, [path, output](StopSignals&) -> int {
            const auto result = ReadResult(*path);
            if (!result.ok()) return Report(result.status());
            return Finish(WriteRunFolder(*result, ShowResult(*result), *output));
          }};
}

Subcommand AddHtml(CLI::App& report) {
  CLI::App* app = report.add_subcommand("html", "a result as one page that opens offline");
  auto path = std::make_shared<std::string>();
  auto output = std::make_shared<std::string>("-");
  app->add_option("result", *path, "a result.json, its folder, or -")
      ->required()
      ->type_name("RESULT");
  app->add_option("-o,--output", *output, "the file to write (default: the standard output)")
      ->type_name("FILE");
  return {app, [path, output](StopSignals&) -> int {
            const auto result = ReadResult(*path);
            if (!result.ok()) return Report(result.status());
            return Finish(WriteFile(*output, HtmlPage(*result)));
          }};
}

}  // namespace

std::vector<Subcommand> AddReport(CLI::App& program) {
  CLI::App* report =
      program.add_subcommand("report", "results: show, compare, merge, draw, convert");
  std::vector<Subcommand> all = {AddShow(*report), AddDiff(*report), AddMerge(*report),
                                 AddHtml(*report), AddExport(*report)};
  for (Subcommand& subcommand : all) subcommand.stops_by_itself = false;
  return all;
}

}  // namespace millrace::apps

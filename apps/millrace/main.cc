// apps/millrace/main.cc - the program: finds the subcommand and runs it.

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <string>
#include <vector>

#include "apps/common/exit_code.h"
#include "apps/common/flags.h"
#include "apps/config/settings.h"
#include "apps/millrace/subcommand.h"

namespace millrace::apps {
namespace {

// The parsed subcommand, or of a subcommand's the innermost; the program itself when there is none.
CLI::App& Chosen(CLI::App& program) {
  const std::vector<CLI::App*> parsed = program.get_subcommands();
  return parsed.empty() ? program : Chosen(*parsed.front());
}

// "--rate: is given twice", where CLI11 says "--rate: At Most 1 required but received 2".
std::string Sentence(const CLI::ParseError& error) {
  const std::string what = error.what();
  const size_t at = what.find(": At Most 1 required but received ");
  return at == std::string::npos ? what : what.substr(0, at) + ": is given twice";
}

// The first word as "--output=": CLI11 would take the next word for its value, whatever that is.
std::string WithoutValue(const std::vector<std::string>& words) {
  for (const std::string& word : words) {
    if (word == "--") break;
    if (word.starts_with("--") && word.find('=') == word.size() - 1) return word;
  }
  return "";
}

int ExitOf(CLI::App& program, const Settings& settings, const CLI::ParseError& error) {
  if (error.get_exit_code() == static_cast<int>(CLI::ExitCodes::Success)) {
    program.exit(error);  // --help, --version
    return kPass;
  }
  CLI::App& app = Chosen(program);
  const std::vector<std::string> unknown = app.remaining();
  if (!unknown.empty()) return ReportUsage(UnknownOptionMessage(app, unknown.front()));
  return ReportUsage(settings.Located(app, Sentence(error)));
}

// Runs the subcommand that the words of the command line, read with `settings`, have chosen.
int RunChosen(CLI::App& program, const Settings& settings,
              const std::vector<Subcommand>& subcommands) {
  const CLI::App& app = Chosen(program);
  const CLI::Option* const dry_run = app.get_option_no_throw("--dry-run");
  if (dry_run != nullptr && dry_run->count() > 0) {
    std::fputs(settings.Resolved(app).c_str(), stdout);
  }
  const bool only_describe = Settings::OnlyDescribe(app);
  for (const Subcommand& subcommand : subcommands) {
    if (!subcommand.app->parsed()) continue;
    if (only_describe) return subcommand.check ? subcommand.check() : kPass;
    StopSignals signals(subcommand.stops_by_itself);
    return subcommand.run(signals);
  }
  std::fputs(app.help().c_str(), stdout);
  return kUsage;
}

int Run(int argc, char** argv) {
  CLI::App program("TCP in user space for work that opens and closes connections fast", "millrace");
  program.set_version_flag("--version", "millrace " MILLRACE_VERSION);
  program.footer(
      "First steps: `millrace demo` needs no NIC, no root and no huge pages.\n"
      "Every option is also a key of a file (--config) and a variable: --rate, rate, "
      "MILLRACE_RATE.");
  const std::vector<Subcommand> subcommands =
      AddSubcommands(program, std::make_shared<ServeFlags>());
  const std::vector<std::string> given = WordsOf({argv, argv + argc});
  if (const std::string word = WithoutValue(given); !word.empty()) {
    return ReportUsage(word.substr(0, word.size() - 1) + ": is empty");
  }
  const absl::StatusOr<Settings> settings =
      Settings::Load(program, given, [](const char* n) { return std::getenv(n); });
  if (!settings.ok()) return Report(settings.status());
  std::vector<std::string> words(settings->words().rbegin(), settings->words().rend());
  try {
    program.parse(words);  // wants them reversed
  } catch (const CLI::ParseError& error) {
    return ExitOf(program, *settings, error);
  }
  return RunChosen(program, *settings, subcommands);
}

}  // namespace
}  // namespace millrace::apps

int main(int argc, char** argv) {
  try {
    return millrace::apps::Run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "millrace: internal error: %s\n", error.what());
    return millrace::apps::kInternal;
  }
}

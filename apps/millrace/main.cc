// apps/millrace/main.cc - the program: finds the subcommand and runs it.

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "apps/common/exit_code.h"
#include "apps/common/flags.h"
#include "apps/millrace/subcommand.h"

namespace millrace::apps {
namespace {

// The parsed subcommand, or of a subcommand's the innermost; the program itself when there is none.
CLI::App& Chosen(CLI::App& program) {
  const std::vector<CLI::App*> parsed = program.get_subcommands();
  return parsed.empty() ? program : Chosen(*parsed.front());
}

int ExitOf(CLI::App& program, const CLI::ParseError& error) {
  if (error.get_exit_code() == static_cast<int>(CLI::ExitCodes::Success)) {
    program.exit(error);  // --help, --version
    return kPass;
  }
  CLI::App& app = Chosen(program);
  const std::vector<std::string> unknown = app.remaining();
  if (!unknown.empty()) return ReportUsage(UnknownOptionMessage(app, unknown.front()));
  return ReportUsage(error.what());
}

int Run(int argc, char** argv) {
  CLI::App program("TCP in user space for work that opens and closes connections fast", "millrace");
  program.set_version_flag("--version", "millrace " MILLRACE_VERSION);
  program.footer("First steps: `millrace demo` needs no NIC, no root and no huge pages.");
  std::vector<Subcommand> subcommands{AddDemo(program), AddServe(program), AddGet(program)};
  for (Subcommand& report : AddReport(program)) subcommands.push_back(std::move(report));
  for (const Subcommand& subcommand : subcommands) ReadEnvironment(*subcommand.app);
  try {
    program.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return ExitOf(program, error);
  }
  StopSignals signals;
  for (const Subcommand& subcommand : subcommands) {
    if (subcommand.app->parsed()) return subcommand.run(signals);
  }
  std::fputs(Chosen(program).help().c_str(), stdout);
  return kUsage;
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

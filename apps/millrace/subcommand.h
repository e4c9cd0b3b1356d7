// apps/millrace/subcommand.h - what main knows of a subcommand.
#ifndef MILLRACE_APPS_MILLRACE_SUBCOMMAND_H_
#define MILLRACE_APPS_MILLRACE_SUBCOMMAND_H_

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "apps/common/stop_signals.h"
#include "apps/millrace/serve_flags.h"

namespace millrace::apps {

struct Subcommand {
  CLI::App* app;
  // Runs it with the flags that were parsed; returns the exit code.
  std::function<int(StopSignals& signals)> run;
  // Looks for SIGINT and SIGTERM by itself; otherwise they end the program, as they do any.
  bool stops_by_itself = true;
  // What --dry-run does besides showing the settings: checks that they fit together. Empty:
  // nothing.
  std::function<int()> check = nullptr;
};

Subcommand AddDemo(CLI::App& program);
Subcommand AddServe(CLI::App& program, std::shared_ptr<ServeFlags> flags);
Subcommand AddGet(CLI::App& program);
std::vector<Subcommand> AddConfig(CLI::App& program);
std::vector<Subcommand> AddCtl(CLI::App& program);
std::vector<Subcommand> AddDoctor(CLI::App& program);
std::vector<Subcommand> AddLoad(CLI::App& program);
std::vector<Subcommand> AddReport(CLI::App& program);

// All of them, and --config. The flags of `serve` go to `serve`.
std::vector<Subcommand> AddSubcommands(CLI::App& program, std::shared_ptr<ServeFlags> serve);

// The words behind the program's name. Called as millrace-load or millrace-server, by a link, the
// first of them is the subcommand.
std::vector<std::string> WordsOf(const std::vector<std::string>& command_line);

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_MILLRACE_SUBCOMMAND_H_

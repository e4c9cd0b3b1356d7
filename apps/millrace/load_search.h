// apps/millrace/load_search.h - the subcommands of `load` that make many runs.
#ifndef MILLRACE_APPS_MILLRACE_LOAD_SEARCH_H_
#define MILLRACE_APPS_MILLRACE_LOAD_SEARCH_H_

#include <CLI/CLI.hpp>

#include "apps/millrace/subcommand.h"

namespace millrace::apps {

Subcommand AddFindMax(CLI::App& load);
Subcommand AddSweep(CLI::App& load);

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_MILLRACE_LOAD_SEARCH_H_

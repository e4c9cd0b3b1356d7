// config/check.h - what is wrong with a file of settings.
#ifndef MILLRACE_APPS_CONFIG_CHECK_H_
#define MILLRACE_APPS_CONFIG_CHECK_H_

#include <CLI/CLI.hpp>

#include "absl/status/status.h"
#include "apps/config/config_file.h"

namespace millrace::apps {

// Whether there is a subcommand for each table, an option for each key, and a value of its kind:
// kInvalidArgument, "FILE:LINE:COLUMN: unknown key ... (did you mean ...?)".
absl::Status CheckNames(CLI::App& program, const ConfigFile& file);

// That, and each value as each subcommand it is for takes it.
absl::Status CheckConfig(CLI::App& program, const ConfigFile& file);

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_CONFIG_CHECK_H_

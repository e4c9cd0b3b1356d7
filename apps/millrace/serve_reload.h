// millrace/serve_reload.h - reads the configuration of a running `serve` again.
#ifndef MILLRACE_APPS_MILLRACE_SERVE_RELOAD_H_
#define MILLRACE_APPS_MILLRACE_SERVE_RELOAD_H_

#include <CLI/CLI.hpp>

#include "absl/status/statusor.h"
#include "apps/serve/serve_control.h"

namespace millrace::apps {

// From the words of this process's command line, its environment, and the file that they name now.
// `running`: `serve` as it was parsed at the start. A mistake in the file is an error, and nothing
// has changed.
absl::StatusOr<ServeReload> ReloadServe(const CLI::App& running);

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_MILLRACE_SERVE_RELOAD_H_

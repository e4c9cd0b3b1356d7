#include "apps/millrace/subcommand.h"
namespace millrace::apps {
Subcommand AddServe(CLI::App& program) { return {program.add_subcommand("serve", ""), [](StopSignals&) { return 1; }}; }
}

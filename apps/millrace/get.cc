#include "apps/millrace/subcommand.h"
namespace millrace::apps {
Subcommand AddGet(CLI::App& program) { return {program.add_subcommand("get", ""), [](StopSignals&) { return 1; }}; }
}

// apps/millrace/config.cc - `millrace config`: what is wrong with a file of settings, and what may
// stand in one.

#include <memory>
#include <string>
#include <vector>

#include "apps/common/exit_code.h"
#include "apps/config/check.h"
#include "apps/config/settings.h"
#include "apps/millrace/subcommand.h"
#include "apps/result/write_file.h"

namespace millrace::apps {

std::vector<Subcommand> AddConfig(CLI::App& program) {
  CLI::App* config = program.add_subcommand("config", "settings in files: check one, schema");
  CLI::App* check = config->add_subcommand("check", "say what is wrong with a file of settings");
  CLI::App* schema = config->add_subcommand("schema", "JSON Schema of such files, for editors");
  auto file = std::make_shared<std::string>();
  check->add_option("file", *file, "the file")->required()->type_name("FILE");
  const auto run_check = [&program, file](StopSignals&) -> int {
    const auto read = ReadConfig(*file);
    if (!read.ok()) return Report(read.status());
    const absl::Status checked = CheckConfig(program, *read);
    return checked.ok() ? kPass : Report(checked);
  };
  const auto print_schema = [&program](StopSignals&) -> int {
    const absl::Status written = WriteFile("-", ConfigSchema(program).dump(2) + "\n");
    return written.ok() ? kPass : Report(written);
  };
  return {{check, run_check, false}, {schema, print_schema, false}};
}

}  // namespace millrace::apps

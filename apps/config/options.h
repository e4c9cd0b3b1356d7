// config/options.h - what the options of a subcommand are called in files and in the environment.
#ifndef MILLRACE_APPS_CONFIG_OPTIONS_H_
#define MILLRACE_APPS_CONFIG_OPTIONS_H_

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace millrace::apps {

// "load.run"; "" of the program.
std::string TableOf(const CLI::App& app);
// The key of an option in a file: its long name, or the name of a positional; "" for --help and
// what else is no setting.
std::string KeyOf(const CLI::Option& option);
// The variable of an option: "MILLRACE_RATE".
std::string VariableOf(const CLI::Option& option);
// The option of that key, or null.
const CLI::Option* OptionOf(const CLI::App& app, const std::string& key);

// --flag, which takes no value.
bool IsFlag(const CLI::Option& option);
// A list, or an option that may be repeated.
bool TakesSeveral(const CLI::Option& option);

// All subcommands that run something: those without subcommands of their own.
std::vector<CLI::App*> LeavesOf(CLI::App& program);
// The names of the subcommands that lead to `app`, its own last.
std::vector<std::string> WordsTo(const CLI::App& app);

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_CONFIG_OPTIONS_H_

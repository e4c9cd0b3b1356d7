// config/words.h - words of a command line: which options they give, before they are parsed, and
// what a file says as such words.
#ifndef MILLRACE_APPS_CONFIG_WORDS_H_
#define MILLRACE_APPS_CONFIG_WORDS_H_

#include <CLI/CLI.hpp>
#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "apps/config/config_file.h"

namespace millrace::apps {

struct ScannedWords {
  CLI::App* leaf = nullptr;               // the subcommand that would run; null: none
  size_t leaf_words = 0;                  // words up to its name
  std::vector<const CLI::Option*> given;  // of it; a positional too
  std::string config;                     // the value of --config
};

// Follows CLI11's rules: --name VALUE, --name=VALUE, -n VALUE, -nVALUE; an option that takes
// several values takes all words up to the next one with a dash, behind = too; all behind "--" is
// positional. Words that mean nothing are left for the parser to complain about.
ScannedWords ScanWords(CLI::App& program, const std::vector<std::string>& words);

// What the file says for `leaf`, by key: its own table before the top. Keys of other subcommands
// may be among them.
std::map<std::string, const Setting*> SettingsOf(const CLI::App& leaf, const ConfigFile& file);

// `setting` as words for `option`: --key=value behind `flags`, the values of a positional behind
// `bare`.
void AppendWords(const Setting& setting, const CLI::Option& option, std::vector<std::string>& bare,
                 std::vector<std::string>& flags);

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_CONFIG_WORDS_H_

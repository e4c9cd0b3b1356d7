// config/settings.h - what a subcommand runs with: command line, environment, file, default.
//
// A declaration of an option (apps/common/flags.h) is all that there is to do: --rate is then the
// key `rate` of a file and MILLRACE_RATE of the environment. The first of command line,
// environment, table of the subcommand, top of the file and default counts. Settings of a file are
// put among the words of the command line, so that to the subcommand a value from a file is given
// like any other.
#ifndef MILLRACE_APPS_CONFIG_SETTINGS_H_
#define MILLRACE_APPS_CONFIG_SETTINGS_H_

#include <CLI/CLI.hpp>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace millrace::apps {

// Of --config and of the --dry-run that AddConfigOptions adds.
inline constexpr const char* kConfigGroup = "Configuration";

// Adds --config to every leaf and, where there is none, --dry-run; every option reads its variable.
void AddConfigOptions(CLI::App& program);

class Settings {
 public:
  using Environment = std::function<const char*(const char* name)>;  // std::getenv

  // `words`: of the command line, without the program. Reads the file that --config or
  // MILLRACE_CONFIG names, if any. kInvalidArgument when it cannot be read, has a key that no
  // subcommand has, or a value of the wrong kind: "FILE:LINE:COLUMN: what".
  static absl::StatusOr<Settings> Load(CLI::App& program, const std::vector<std::string>& words,
                                       const Environment& environment);

  // The words to parse: those of the file that count, and the command line's.
  const std::vector<std::string>& words() const { return words_; }
  // A complaint of the parser about an option, with where its value came from in front.
  std::string Located(const CLI::App& app, const std::string& complaint) const;
  // Whether `app`, parsed, is to be described and not run: a --dry-run that it did not declare.
  static bool OnlyDescribe(const CLI::App& app);
  // What `app`, parsed, runs with: a file that --config reads back, sources behind each line.
  std::string Resolved(const CLI::App& app) const;

 private:
  std::string SourceOf(const CLI::Option& option) const;

  Environment environment_;
  std::vector<std::string> words_;
  std::map<std::string, std::string> places_;  // key of an option that the file gave -> place
  std::vector<const CLI::Option*> given_;      // on the command line
};

// JSON Schema (draft 7) of the files that `program` reads, for editors.
nlohmann::ordered_json ConfigSchema(CLI::App& program);

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_CONFIG_SETTINGS_H_

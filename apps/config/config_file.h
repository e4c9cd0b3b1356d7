// config/config_file.h - settings read from a file of TOML, or of JSON with the same keys: values,
// and where they stand.
//
//   dev = "afpacket:eth1"        # for every subcommand that has --dev
//   [load.run]                   # for `millrace load run` alone; wins
//   rate = "1.2M"
//   slo = ["connect.p99<1ms", "errors<1e-5"]
#ifndef MILLRACE_APPS_CONFIG_CONFIG_FILE_H_
#define MILLRACE_APPS_CONFIG_CONFIG_FILE_H_

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"

namespace millrace::apps {

struct Setting {
  std::string table;  // "load.run"; "" at the top
  std::string key;    // "rate"
  std::vector<std::string> values;
  bool boolean = false;  // values are "true" or "false"
  bool list = false;
  std::string place;  // "cps.toml:7:8"
};

struct ConfigFile {
  std::vector<Setting> settings;
  std::vector<std::pair<std::string, std::string>> tables;  // name and place, empty ones too
};

// `name` stands for the file in messages. kInvalidArgument: "NAME:LINE:COLUMN: what is wrong".
absl::StatusOr<ConfigFile> ParseConfig(std::string_view text, const std::string& name);
absl::StatusOr<ConfigFile> ReadConfig(const std::string& path);

// `text` as a string of TOML, in quotes.
std::string TomlString(std::string_view text);

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_CONFIG_CONFIG_FILE_H_

// config/json_config.h - settings read from JSON, as programs write them: the same keys and tables
// as in TOML (config_file.h), an object for each table.
#ifndef MILLRACE_APPS_CONFIG_JSON_CONFIG_H_
#define MILLRACE_APPS_CONFIG_JSON_CONFIG_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "apps/config/config_file.h"

namespace millrace::apps {

// Tables nest like subcommands.
inline constexpr size_t kTableDepthMax = 3;

// Whether a file of settings is JSON: it begins with a brace, which no TOML does.
bool LooksLikeJson(std::string_view text);

// As ParseConfig; a setting's place is that of its key.
absl::StatusOr<ConfigFile> ParseJsonConfig(std::string_view text, const std::string& name);

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_CONFIG_JSON_CONFIG_H_

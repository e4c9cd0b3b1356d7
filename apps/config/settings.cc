#include "apps/config/settings.h"

#include <algorithm>

#include "apps/common/flags.h"
#include "apps/config/check.h"
#include "apps/config/options.h"
#include "apps/config/words.h"

namespace millrace::apps {
namespace {

// What was given, as TOML.
std::string ValueText(const CLI::Option& option) {
  const std::vector<std::string> values = option.results();
  if (IsFlag(option)) return values.front();  // "true" or "false"
  if (!TakesSeveral(option)) return TomlString(values.back());
  std::string list;
  for (const std::string& value : values) list += (list.empty() ? "" : ", ") + TomlString(value);
  return "[" + list + "]";
}

// Where the name of an option stands in a complaint, npos when it does not.
size_t NameAt(const std::string& complaint, const std::string& name) {
  const size_t at = complaint.find(name);
  if (at == std::string::npos) return at;
  const size_t end = at + name.size();
  const char next = end < complaint.size() ? complaint[end] : ' ';
  const bool goes_on = next == '-' || (next >= 'a' && next <= 'z') || (next >= '0' && next <= '9');
  return goes_on ? std::string::npos : at;
}

}  // namespace

void AddConfigOptions(CLI::App& program) {
  for (CLI::App* app : LeavesOf(program)) {
    if (app->get_option_no_throw("--config") == nullptr) {
      app->add_option("--config",
                      "read settings from a file of TOML or JSON; keys are long options")
          ->type_name("FILE")
          ->group(kConfigGroup);
    }
    if (app->get_option_no_throw("--dry-run") == nullptr) {
      app->add_flag("--dry-run")
          ->description("print what it would run with, and stop")
          ->group(kConfigGroup);
    }
    for (CLI::Option* option : app->get_options()) {
      if (!KeyOf(*option).empty()) option->envname(VariableOf(*option));
      // Mostly a variable of a shell that is not set: what was asked for would be left out.
      const auto empty = [](const std::string& text) { return text.empty() ? "is empty" : ""; };
      if (!IsFlag(*option)) option->check(empty);
    }
  }
}

absl::StatusOr<Settings> Settings::Load(CLI::App& program, const std::vector<std::string>& words,
                                        const Environment& environment) {
  Settings settings;
  settings.environment_ = environment;
  settings.words_ = words;
  const ScannedWords scanned = ScanWords(program, words);
  settings.given_ = scanned.given;
  if (scanned.leaf == nullptr) return settings;
  std::string path = scanned.config;
  const char* variable = environment("MILLRACE_CONFIG");
  if (path.empty() && variable != nullptr) path = variable;
  if (path.empty()) return settings;

  const absl::StatusOr<ConfigFile> file = ReadConfig(path);
  if (!file.ok()) return file.status();
  if (absl::Status names = CheckNames(program, *file); !names.ok()) return names;
  std::vector<std::string> bare, flags;
  for (const auto& [key, setting] : SettingsOf(*scanned.leaf, *file)) {
    const CLI::Option* option = OptionOf(*scanned.leaf, key);
    if (option == nullptr) continue;  // another subcommand's
    const char* value = environment(VariableOf(*option).c_str());
    const bool given =
        std::find(scanned.given.begin(), scanned.given.end(), option) != scanned.given.end();
    if (given || (value != nullptr && *value != 0)) continue;
    settings.places_[key] = setting->place;
    AppendWords(*setting, *option, bare, flags);
  }
  const auto at = [&settings](size_t i) {
    return settings.words_.begin() + static_cast<ptrdiff_t>(i);
  };
  // At the end, since a list takes the words behind it; but what is behind "--" is no option.
  const auto end = std::find(at(scanned.leaf_words), settings.words_.end(), "--");
  settings.words_.insert(end, flags.begin(), flags.end());
  settings.words_.insert(at(scanned.leaf_words), bare.begin(), bare.end());
  return settings;
}

std::string Settings::SourceOf(const CLI::Option& option) const {
  if (std::find(given_.begin(), given_.end(), &option) != given_.end()) return "command line";
  const auto place = places_.find(KeyOf(option));
  return place != places_.end() ? place->second : VariableOf(option);
}

std::string Settings::Located(const CLI::App& app, const std::string& complaint) const {
  size_t first = std::string::npos;
  const CLI::Option* about = nullptr;
  for (const CLI::Option* option : app.get_options()) {
    if (KeyOf(*option).empty() || option->count() == 0) continue;
    const std::string name = option->get_lnames().empty() ? KeyOf(*option) : "--" + KeyOf(*option);
    const size_t at = NameAt(complaint, name);
    if (at >= first) continue;
    first = at;
    about = option;
  }
  if (about == nullptr || SourceOf(*about) == "command line") return complaint;
  return SourceOf(*about) + ": " + complaint;
}

bool Settings::OnlyDescribe(const CLI::App& app) {
  const CLI::Option* const dry_run = app.get_option_no_throw("--dry-run");
  return dry_run != nullptr && dry_run->count() > 0 && dry_run->get_group() == kConfigGroup;
}

std::string Settings::Resolved(const CLI::App& app) const {
  std::string text =
      "# " + CommandOf(app) + " as resolved; --config reads this back\n[" + TableOf(app) + "]\n";
  for (const CLI::Option* option : app.get_options()) {
    const std::string key = KeyOf(*option);
    if (key.empty()) continue;
    if (option->count() == 0) {
      const std::string standard = option->get_default_str();
      if (!standard.empty()) text += "# " + key + " = " + TomlString(standard) + "  # default\n";
      continue;
    }
    text += key + " = " + ValueText(*option) + "  # " + SourceOf(*option) + "\n";
  }
  return text;
}

}  // namespace millrace::apps

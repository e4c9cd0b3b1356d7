#include "apps/config/check.h"

#include <algorithm>
#include <string>
#include <vector>

#include "apps/common/units.h"
#include "apps/config/options.h"
#include "apps/config/words.h"

namespace millrace::apps {
namespace {

std::string InTable(const std::string& table) {
  return table.empty() ? " at the top" : " in [" + table + "]";
}

std::string DidYouMean(const std::string& word, const std::vector<std::string>& names) {
  const std::string near = Nearest(word, names);
  return near.empty() ? "" : " (did you mean \"" + near + "\"?)";
}

// What of `setting` no value of `option` can be; "" for nothing.
std::string KindError(const Setting& setting, const CLI::Option& option) {
  const std::string start = setting.place + ": " + setting.key + ": ";
  if (setting.boolean != IsFlag(option)) {
    return start + (IsFlag(option) ? "is true or false" : "takes a value, not true or false");
  }
  if (setting.list && !TakesSeveral(option)) return start + "takes one value, not a list";
  for (const std::string& value : setting.values) {
    if (value.empty()) return start + "is empty";
  }
  return "";
}

absl::Status CheckTables(CLI::App& program, const ConfigFile& file) {
  std::vector<std::string> tables;
  for (const CLI::App* leaf : LeavesOf(program)) tables.push_back(TableOf(*leaf));
  for (const auto& [table, place] : file.tables) {
    const bool known = std::any_of(tables.begin(), tables.end(), [&name = table](const auto& t) {
      return t == name || t.starts_with(name + ".");
    });
    if (known) continue;
    return absl::InvalidArgumentError(place + ": there is no subcommand for [" + table + "]" +
                                      DidYouMean(table, tables));
  }
  return absl::OkStatus();
}

// While it lives, nothing is required and the environment is not read.
class Relaxed {
 public:
  explicit Relaxed(CLI::App& app) {
    for (CLI::Option* option : app.get_options()) {
      if (option->get_required()) required_.push_back(option);
      options_.push_back(option);
      option->required(false);
      option->envname("");
    }
  }
  ~Relaxed() {
    for (CLI::Option* option : required_) option->required();
    for (CLI::Option* option : options_) {
      if (!KeyOf(*option).empty()) option->envname(VariableOf(*option));
    }
  }
  Relaxed(const Relaxed&) = delete;
  Relaxed& operator=(const Relaxed&) = delete;

 private:
  std::vector<CLI::Option*> required_, options_;
};

}  // namespace

absl::Status CheckNames(CLI::App& program, const ConfigFile& file) {
  if (absl::Status tables = CheckTables(program, file); !tables.ok()) return tables;
  for (const Setting& setting : file.settings) {
    std::vector<std::string> keys;
    const CLI::Option* found = nullptr;
    for (CLI::App* leaf : LeavesOf(program)) {
      if (!setting.table.empty() && TableOf(*leaf) != setting.table) continue;
      for (const CLI::Option* option : leaf->get_options()) {
        keys.push_back(KeyOf(*option));
        if (keys.back() == setting.key) found = option;
      }
    }
    if (found == nullptr) {
      return absl::InvalidArgumentError(setting.place + ": unknown key \"" + setting.key + "\"" +
                                        InTable(setting.table) + DidYouMean(setting.key, keys));
    }
    if (const std::string wrong = KindError(setting, *found); !wrong.empty()) {
      return absl::InvalidArgumentError(wrong);
    }
  }
  return absl::OkStatus();
}

absl::Status CheckConfig(CLI::App& program, const ConfigFile& file) {
  if (absl::Status names = CheckNames(program, file); !names.ok()) return names;
  for (CLI::App* leaf : LeavesOf(program)) {
    const Relaxed relaxed(*leaf);
    for (const auto& [key, setting] : SettingsOf(*leaf, file)) {
      const CLI::Option* option = OptionOf(*leaf, key);
      if (option == nullptr) continue;
      std::vector<std::string> words = WordsTo(*leaf), flags;
      AppendWords(*setting, *option, words, flags);
      words.insert(words.end(), flags.begin(), flags.end());
      std::reverse(words.begin(), words.end());  // as CLI11 wants them
      try {
        program.parse(words);
      } catch (const CLI::ParseError& error) {
        return absl::InvalidArgumentError(setting->place + ": " + error.what());
      }
    }
  }
  return absl::OkStatus();
}

}  // namespace millrace::apps

#include "apps/config/words.h"

#include <string_view>

#include "apps/config/options.h"

namespace millrace::apps {
namespace {

// An option that a word names, with what is written behind its name in the same word.
struct Named {
  const CLI::Option* option = nullptr;
  std::string_view value;
  bool has_value = false;
};

Named NamedBy(const CLI::App& app, std::string_view word) {
  const size_t equals = word.find('=');
  const std::string name(word.substr(0, equals));
  for (const CLI::Option* option : app.get_options()) {
    if (word.starts_with("--")) {
      if (!option->check_name(name)) continue;
      const bool has_value = equals != std::string_view::npos;
      return {option, has_value ? word.substr(equals + 1) : std::string_view(), has_value};
    }
    for (const std::string& letter : option->get_snames()) {
      if (word.substr(1, 1) == letter) return {option, word.substr(2), word.size() > 2};
    }
  }
  return {};
}

const CLI::Option* PositionalOf(const CLI::App& app) {
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_positional() && !KeyOf(*option).empty()) return option;
  }
  return nullptr;
}

CLI::App* SubcommandOf(CLI::App& app, const std::string& name) {
  for (CLI::App* below : app.get_subcommands([](const CLI::App*) { return true; })) {
    if (below->get_name() == name) return below;
  }
  return nullptr;
}

bool IsOption(const std::string& word) { return word.size() > 1 && word[0] == '-'; }

// Takes the option at `at` and its values; returns the place of the word behind them.
size_t TakeOption(const std::vector<std::string>& words, size_t at, ScannedWords& scanned) {
  const Named named = NamedBy(*scanned.leaf, words[at++]);
  if (named.option == nullptr) return at;
  scanned.given.push_back(named.option);
  const bool is_config = named.option->check_name("--config");
  if (is_config) scanned.config = named.value;
  const int wanted = named.option->get_items_expected_max() - (named.has_value ? 1 : 0);
  for (int taken = 0; taken < wanted && at < words.size() && !IsOption(words[at]); ++taken) {
    if (is_config) scanned.config = words[at];
    ++at;
  }
  return at;
}

}  // namespace

ScannedWords ScanWords(CLI::App& program, const std::vector<std::string>& words) {
  ScannedWords scanned;
  CLI::App* app = &program;
  size_t at = 0;
  for (; at < words.size() && !IsOption(words[at]); ++at) {
    CLI::App* below = SubcommandOf(*app, words[at]);
    if (below == nullptr) break;
    app = below;
  }
  if (app == &program || !LeavesOf(*app).empty()) return scanned;
  scanned.leaf = app;
  scanned.leaf_words = at;
  const CLI::Option* const positional = PositionalOf(*app);
  bool options_over = false;
  while (at < words.size()) {
    if (words[at] == "--" && !options_over) {
      options_over = true;
      ++at;
    } else if (IsOption(words[at]) && !options_over) {
      at = TakeOption(words, at, scanned);
    } else {
      if (positional != nullptr) scanned.given.push_back(positional);
      ++at;
    }
  }
  return scanned;
}

std::map<std::string, const Setting*> SettingsOf(const CLI::App& leaf, const ConfigFile& file) {
  std::map<std::string, const Setting*> settings;
  for (const std::string& table : {std::string(), TableOf(leaf)}) {
    for (const Setting& setting : file.settings) {
      if (setting.table == table) settings[setting.key] = &setting;
    }
  }
  return settings;
}

void AppendWords(const Setting& setting, const CLI::Option& option, std::vector<std::string>& bare,
                 std::vector<std::string>& flags) {
  for (const std::string& value : setting.values) {
    if (option.get_lnames().empty()) {
      bare.push_back(value);
    } else {
      flags.push_back("--" + setting.key + "=" + value);
    }
  }
}

}  // namespace millrace::apps

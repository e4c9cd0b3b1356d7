#include "apps/config/options.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace millrace::apps {

std::string TableOf(const CLI::App& app) {
  if (app.get_parent() == nullptr) return "";
  const std::string above = TableOf(*app.get_parent());
  return above.empty() ? app.get_name() : above + "." + app.get_name();
}

std::string KeyOf(const CLI::Option& option) {
  constexpr std::array<std::string_view, 4> kNoSettings{"help", "version", "config", "dry-run"};
  const std::string key =
      option.get_lnames().empty() ? option.get_name(true) : option.get_lnames().front();
  const bool none = std::find(kNoSettings.begin(), kNoSettings.end(), key) != kNoSettings.end();
  return none ? "" : key;
}

std::string VariableOf(const CLI::Option& option) {
  std::string variable = "MILLRACE_";
  for (const char c : KeyOf(option)) {
    variable += c == '-' ? '_' : c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  }
  return variable;
}

std::vector<CLI::App*> LeavesOf(CLI::App& program) {
  std::vector<CLI::App*> leaves;
  for (CLI::App* app : program.get_subcommands([](const CLI::App*) { return true; })) {
    const std::vector<CLI::App*> below = LeavesOf(*app);
    leaves.insert(leaves.end(), below.begin(), below.end());
    if (below.empty()) leaves.push_back(app);
  }
  return leaves;
}

bool IsFlag(const CLI::Option& option) { return option.get_items_expected_max() == 0; }

bool TakesSeveral(const CLI::Option& option) {
  return option.get_items_expected_max() > 1 ||
         option.get_multi_option_policy() != CLI::MultiOptionPolicy::Throw;
}

const CLI::Option* OptionOf(const CLI::App& app, const std::string& key) {
  for (const CLI::Option* option : app.get_options()) {
    if (KeyOf(*option) == key) return option;
  }
  return nullptr;
}

std::vector<std::string> WordsTo(const CLI::App& app) {
  if (app.get_parent() == nullptr) return {};
  std::vector<std::string> words = WordsTo(*app.get_parent());
  words.push_back(app.get_name());
  return words;
}

}  // namespace millrace::apps

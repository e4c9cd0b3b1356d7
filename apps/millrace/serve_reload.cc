#include "apps/millrace/serve_reload.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "apps/config/settings.h"
#include "apps/millrace/load_output.h"
#include "apps/millrace/serve_flags.h"
#include "apps/millrace/subcommand.h"

namespace millrace::apps {
namespace {

// What a reload changes at once: what listens, and how it answers.
constexpr std::array<std::string_view, 4> kListening{"--port", "--http", "--echo", "--discard"};
constexpr std::array<std::string_view, 3> kSettings{"--rate-cap", "--delay", "--error"};

bool CountsAtOnce(std::string_view name) {
  return std::find(kListening.begin(), kListening.end(), name) != kListening.end() ||
         std::find(kSettings.begin(), kSettings.end(), name) != kSettings.end();
}

std::vector<std::string> OthersThatDiffer(const CLI::App& running, CLI::App& now) {
  std::vector<std::string> names;
  for (const CLI::Option* option : now.get_options()) {
    const std::string name = option->get_name();
    if (CountsAtOnce(name)) continue;
    const CLI::Option* const before = running.get_option_no_throw(name);
    if (before != nullptr && before->results() != option->results()) names.push_back(name);
  }
  return names;
}

}  // namespace

absl::StatusOr<ServeReload> ReloadServe(const CLI::App& running) {
  CLI::App program;
  auto flags = std::make_shared<ServeFlags>();
  AddSubcommands(program, flags);
  std::vector<std::string> words = WordsOf(CommandLine());
  const auto settings =
      Settings::Load(program, words, [](const char* name) { return std::getenv(name); });
  if (!settings.ok()) return settings.status();
  CLI::App* const serve = program.get_subcommand(running.get_name());
  words.assign(settings->words().rbegin(), settings->words().rend());
  try {
    program.parse(words);
  } catch (const CLI::ParseError& error) {
    return absl::InvalidArgumentError(settings->Located(*serve, error.what()));
  }
  ServeReload reload;
  const auto options = OptionsOf(*flags, &reload.listening);
  if (!options.ok()) return options.status();
  reload.options = *options;
  reload.settings = nlohmann::ordered_json::object();
  for (const std::string_view name : kSettings) {
    const std::vector<std::string> given = serve->get_option(std::string(name))->results();
    if (!given.empty()) reload.settings[std::string(name)] = given.front();
  }
  reload.at_start = OthersThatDiffer(running, *serve);
  reload.exchange_differs =
      std::any_of(reload.at_start.begin(), reload.at_start.end(), [](const std::string& name) {
        return name == "--respond" || name == "--chargen" || name == "--close-after";
      });
  return reload;
}

}  // namespace millrace::apps

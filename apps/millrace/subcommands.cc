#include "apps/config/settings.h"
#include "apps/millrace/subcommand.h"

namespace millrace::apps {

std::vector<Subcommand> AddSubcommands(CLI::App& program, std::shared_ptr<ServeFlags> serve) {
  std::vector<Subcommand> subcommands{AddDemo(program), AddServe(program, std::move(serve)),
                                      AddGet(program)};
  for (const auto& add : {AddLoad, AddReport, AddConfig, AddDoctor, AddCtl}) {
    for (Subcommand& part : add(program)) subcommands.push_back(std::move(part));
  }
  AddConfigOptions(program);
  return subcommands;
}

std::vector<std::string> WordsOf(const std::vector<std::string>& command_line) {
  if (command_line.empty()) return {};
  std::vector<std::string> words(command_line.begin() + 1, command_line.end());
  const std::string& path = command_line.front();
  const std::string name = path.substr(path.rfind('/') + 1);
  if (name == "millrace-load") words.insert(words.begin(), "load");
  if (name == "millrace-server") words.insert(words.begin(), "serve");
  return words;
}

}  // namespace millrace::apps

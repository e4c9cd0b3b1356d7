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

}  // namespace millrace::apps

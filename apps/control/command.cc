#include "apps/control/command.h"

#include <array>
#include <sstream>
#include <vector>

#include "apps/common/units.h"

namespace millrace::apps {
namespace {

struct Form {
  ControlVerb verb;
  const char* name;
  const char* arguments;
  const char* help;
  size_t words_min, words_max;  // behind the name
};

constexpr std::array<Form, 8> kForms{{
    {ControlVerb::kCount, "count", "", "connections by state, and all counters", 0, 0},
    {ControlVerb::kList, "list", "[N]", "connections, at most N (100)", 0, 1},
    {ControlVerb::kListeners, "listeners", "", "the ports that are open", 0, 0},
    {ControlVerb::kListen, "listen", "PORT [SERVICE] [backlog=N]",
     "open a port, or change what is there", 1, 3},
    {ControlVerb::kClose, "close", "PORT", "close a port; its connections go on", 1, 1},
    {ControlVerb::kDrain, "drain", "[TIME]",
     "close all ports, then all connections by FIN, and by RST what is left after TIME (--grace)",
     0, 1},
    {ControlVerb::kReload, "reload", "", "read the file of --config again and open its ports", 0,
     0},
    {ControlVerb::kHelp, "help", "", "this list", 0, 0},
}};

absl::Status Wrong(const std::string& what) { return absl::InvalidArgumentError(what); }

const Form* FormOf(std::string_view name) {
  for (const Form& form : kForms) {
    if (name == form.name) return &form;
  }
  return nullptr;
}

absl::Status Unknown(const std::string& word) {
  std::vector<std::string> names;
  for (const Form& form : kForms) names.emplace_back(form.name);
  const std::string near = Nearest(word, names);
  return Wrong("no command \"" + word + "\"; " +
               (near.empty() ? "`help` lists what there is" : "did you mean " + near + "?"));
}

absl::Status SetPort(const std::string& word, ControlCommand* command) {
  const auto port = ParseCount(word);
  if (!port || *port == 0 || *port > 65'535) return Wrong("\"" + word + "\" is no port");
  command->port = static_cast<uint16_t>(*port);
  return absl::OkStatus();
}

// "http", "backlog=100", in any order.
absl::Status SetListener(const std::string& word, ControlCommand* command) {
  constexpr std::string_view kBacklog = "backlog=";
  if (!word.starts_with(kBacklog)) {
    if (!command->service.empty()) return Wrong("two services for one port: \"" + word + "\"");
    command->service = word;
    return absl::OkStatus();
  }
  const auto backlog = ParseCount(word.substr(kBacklog.size()));
  if (!backlog || *backlog == 0 || *backlog > UINT32_MAX) {
    return Wrong("\"" + word + "\": write backlog=N, N at least 1");
  }
  command->backlog = static_cast<uint32_t>(*backlog);
  return absl::OkStatus();
}

absl::Status SetArgument(size_t place, const std::string& word, ControlCommand* command) {
  switch (command->verb) {
    case ControlVerb::kList: {
      const auto rows = ParseCount(word);
      if (!rows || *rows == 0 || *rows > ControlCommand::kRowsMax) {
        return Wrong("\"" + word + "\" is no number of connections from 1 to " +
                     std::to_string(ControlCommand::kRowsMax));
      }
      command->rows = static_cast<uint32_t>(*rows);
      return absl::OkStatus();
    }
    case ControlVerb::kListen:
      return place == 0 ? SetPort(word, command) : SetListener(word, command);
    case ControlVerb::kClose:
      return SetPort(word, command);
    case ControlVerb::kDrain:
      command->grace = ParseDuration(word);
      if (command->grace && *command->grace <= Duration::Seconds(3600)) return absl::OkStatus();
      return Wrong("\"" + word + "\" is no time of at most an hour; write 500ms, 5s");
    default:
      return absl::OkStatus();
  }
}

}  // namespace

absl::StatusOr<ControlCommand> ParseControlCommand(std::string_view line) {
  std::istringstream stream{std::string(line)};
  std::string name;
  if (!(stream >> name)) return Wrong("an empty line is no command; `help` lists what there is");
  const Form* const form = FormOf(name);
  if (form == nullptr) return Unknown(name);
  ControlCommand command{.verb = form->verb};
  size_t place = 0;
  for (std::string word; stream >> word; ++place) {
    if (place == form->words_max) return Wrong("too many words: \"" + word + "\"");
    if (absl::Status set = SetArgument(place, word, &command); !set.ok()) return set;
  }
  if (place < form->words_min) return Wrong("write " + name + " " + form->arguments);
  return command;
}

std::string ControlHelp() {
  constexpr size_t kColumn = 36;
  std::string text;
  for (const Form& form : kForms) {
    std::string line = std::string(form.name) + " " + form.arguments;
    line.resize(kColumn, ' ');
    text += line + form.help + "\n";
  }
  return text;
}

}  // namespace millrace::apps

// apps/millrace/ctl.cc - `millrace ctl SOCKET COMMAND...`: asks a running `serve`.

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "apps/common/exit_code.h"
#include "apps/common/report.h"
#include "apps/control/command.h"
#include "apps/control/control_socket.h"
#include "apps/millrace/subcommand.h"
#include "millrace/dpdk/clock.h"

namespace millrace::apps {
namespace {

using Json = nlohmann::ordered_json;

constexpr Duration kPatience =
    Duration::Seconds(10);  // but for a drain, which has a time of its own

struct CtlFlags {
  std::string socket;
  std::vector<std::string> words;
  bool json = false;
};

// A line from `fd`, without its end.
absl::StatusOr<std::string> ReadLine(int fd, int64_t end_ns, StopSignals& signals) {
  constexpr int kTickMs = 100;
  std::string text;
  std::array<char, 4096> octets{};
  while (text.find('\n') == std::string::npos) {
    if (signals.Wait(Duration())) return absl::CancelledError("interrupted");
    if (dpdk::MonotonicNs() > end_ns) return absl::DeadlineExceededError("no answer");
    pollfd ready{.fd = fd, .events = POLLIN, .revents = 0};
    if (poll(&ready, 1, kTickMs) <= 0) continue;
    const ssize_t count = recv(fd, octets.data(), octets.size(), 0);
    if (count <= 0) return absl::UnavailableError("it ended before it answered");
    text.append(octets.data(), static_cast<size_t>(count));
  }
  return text.substr(0, text.find('\n'));
}

std::string ValueText(const Json& value) {
  return value.is_string() ? value.get<std::string>() : value.dump();
}

// Columns as wide as what is in them.
std::string TableText(const Json& rows) {
  if (rows.empty()) return "";
  std::vector<std::vector<std::string>> lines(1);
  for (const auto& [name, value] : rows.front().items()) lines[0].push_back(name);
  for (const Json& row : rows) {
    lines.emplace_back();
    for (const auto& [name, value] : row.items()) lines.back().push_back(ValueText(value));
  }
  std::vector<size_t> widths(lines[0].size());
  for (const auto& line : lines) {
    for (size_t i = 0; i < line.size(); ++i) widths[i] = std::max(widths[i], line[i].size());
  }
  std::string text;
  for (auto& line : lines) {
    for (size_t i = 0; i < line.size(); ++i) {
      if (i + 1 < line.size()) line[i].resize(widths[i] + 2, ' ');
      text += line[i];
    }
    text += "\n";
  }
  return text;
}

std::string ReplyText(const Json& reply) {
  std::string text;
  for (const auto& [name, value] : reply.items()) {
    if (name == "ok") continue;
    if (name == "help") {
      text += value.get<std::string>();
    } else if (value.is_object()) {
      text += name + "\n" + NumbersText(value);
    } else if (value.is_array() && !value.empty() && value.front().is_object()) {
      text += name + "\n" + TableText(value);
    } else if (value.is_array()) {
      text += name;
      for (const Json& one : value) text += " " + ValueText(one);
      text += value.empty() ? " none\n" : "\n";
    } else {
      text += name + " " + ValueText(value) + "\n";
    }
  }
  return text;
}

absl::Status Ask(const CtlFlags& flags, const std::string& line, Duration patience,
                 StopSignals& signals) {
  const absl::StatusOr<int> fd = ControlSocket::Connect(flags.socket);
  if (!fd.ok()) return fd.status();
  const std::string sent = line + "\n";
  const bool all =
      send(*fd, sent.data(), sent.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(sent.size());
  const auto read = all ? ReadLine(*fd, dpdk::MonotonicNs() + patience.ns(), signals)
                        : absl::UnavailableError("it takes no command");
  close(*fd);
  if (!read.ok()) {
    return absl::UnavailableError(flags.socket + ": " + std::string(read.status().message()));
  }
  const Json reply = Json::parse(*read, nullptr, false);
  if (!reply.is_object()) return absl::UnavailableError(flags.socket + ": that is no `serve`");
  if (flags.json) std::printf("%s\n", read->c_str());
  if (!reply.value("ok", false)) return absl::FailedPreconditionError(reply.value("error", "?"));
  if (!flags.json) std::fputs(ReplyText(reply).c_str(), stdout);
  return absl::OkStatus();
}

int Run(const CtlFlags& flags, StopSignals& signals) {
  std::string line;
  for (const std::string& word : flags.words) line += (line.empty() ? "" : " ") + word;
  const absl::StatusOr<ControlCommand> command = ParseControlCommand(line);
  if (!command.ok()) return Report(command.status());
  const Duration patience =
      command->verb == ControlVerb::kDrain ? Duration::Seconds(2 * 3600) : kPatience;
  const absl::Status asked = Ask(flags, line, patience, signals);
  return asked.ok() ? kPass : Report(asked);
}

}  // namespace

std::vector<Subcommand> AddCtl(CLI::App& program) {
  CLI::App* app = program.add_subcommand("ctl", "ask a running `serve --control SOCKET`");
  auto flags = std::make_shared<CtlFlags>();
  app->add_option("socket", flags->socket, "where it listens")->type_name("PATH")->required();
  app->add_option("command", flags->words, "count, list, listeners, listen, close, drain, reload")
      ->type_name("WORD")
      ->required();
  app->add_flag("--json", flags->json, "the reply as it comes, a line of JSON");
  app->footer("Commands:\n" + ControlHelp());
  return {{app, [flags](StopSignals& signals) { return Run(*flags, signals); }}};
}

}  // namespace millrace::apps

// apps/millrace/load_profile.cc - `millrace load profile`: runs the subcommand that a profile
// names, once for each of its paths, each in a process of its own: DPDK starts once in a process.

#include "apps/millrace/load_profile.h"

#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "apps/common/exit_code.h"
#include "apps/load/profile.h"
#include "apps/load/target.h"

namespace millrace::apps {
namespace {

struct ProfileFlags {
  std::string name, target, folder;
  Profile given;  // what is a key of profiles, and so an option too
};

std::string Program() {
  std::error_code error;
  return std::filesystem::read_symlink("/proc/self/exe", error).string();
}

int List() {
  for (const Profile& profile : ListProfiles(ProfileFolders(Program()))) {
    std::printf("%-26s %s\n", profile.name.c_str(), profile.about.c_str());
  }
  return kPass;
}

// --rate of `more` or MILLRACE_RATE.
bool IsGiven(const std::string& option, const std::vector<std::string>& more) {
  const std::string flag = "--" + option;
  const bool word = std::any_of(more.begin(), more.end(), [&](const std::string& w) {
    return w == flag || w.starts_with(flag + "=");
  });
  std::string variable = "MILLRACE_" + option;
  for (char& c : variable) c = c == '-' ? '_' : static_cast<char>(std::toupper(c));
  return word || std::getenv(variable.c_str()) != nullptr;
}

// Runs `words` and waits for the end. A signal to us is one to it. The exit code.
int RunProcess(std::vector<std::string> words, StopSignals& signals) {
  std::string program = Program();
  std::vector<char*> arguments{program.data()};
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  pid_t child = 0;
  if (posix_spawn(&child, program.c_str(), nullptr, nullptr, arguments.data(), environ) != 0) {
    return Report(absl::ResourceExhaustedError("cannot start " + program));
  }
  int status = 0;
  while (waitpid(child, &status, WNOHANG) == 0) {
    if (signals.Wait(Duration::Milliseconds(50))) kill(child, SIGINT);
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : static_cast<int>(kInternal);
}

int Run(const ProfileFlags& flags, const std::vector<std::string>& more, StopSignals& signals) {
  if (flags.name.empty()) return List();
  absl::StatusOr<Profile> profile = FindProfile(flags.name, ProfileFolders(Program()));
  if (!profile.ok()) return Report(profile.status());
  if (flags.target.empty()) {
    return ReportUsage(profile->name + " (" + profile->about + ") needs a target: http://10.2.0.1");
  }
  Target target;
  if (std::string wrong = ParseTarget(flags.target, &target); !wrong.empty()) {
    return ReportUsage(wrong);
  }
  if (target.path != "/" || flags.target.ends_with('/') || target.weight != 1) {
    return ReportUsage("\"" + flags.target + "\": the profile names the paths; write http://" +
                       target.host);
  }
  if (!flags.given.command.empty()) profile->command = flags.given.command;
  if (!flags.given.paths.empty()) profile->paths = flags.given.paths;
  for (const std::string& option : profile->needs) {
    if (!IsGiven(option, more)) {
      return ReportUsage(profile->name + " (" + profile->about + ") needs --" + option);
    }
  }
  if (profile->paths.size() > 1 && IsGiven("json", more)) {
    return ReportUsage("--json: " + profile->name + " has " +
                       std::to_string(profile->paths.size()) +
                       " paths, and each its own result; write -o DIR, or one --path");
  }
  int worst = kPass;
  for (const std::string& path : profile->paths) {
    // Not among the results, which --json - writes to the standard output.
    std::fprintf(stderr, "profile   %s %s\n", profile->name.c_str(), path.c_str());
    const int code = RunProcess(WordsOf(*profile, flags.target, path, flags.folder, more), signals);
    worst = std::max(worst, code);
    // A mistake or a missing device is the same for all.
    if (code == kInterrupted || code == kUsage || code == kEnvironment) break;
  }
  return worst;
}

}  // namespace

Subcommand AddProfile(CLI::App& load) {
  CLI::App* app = load.add_subcommand(
      "profile", "a test that others have defined, as rfc9411:tcp-cps; without a name: lists them");
  auto flags = std::make_shared<ProfileFlags>();
  app->add_option("profile", flags->name, "rfc9411:tcp-cps, or a file")->type_name("NAME");
  app->add_option("target", flags->target, "http://10.2.0.1, without a path")->type_name("TARGET");
  app->add_option("-o,--output", flags->folder, "folder of a folder for each path")
      ->type_name("DIR");
  app->add_option("--command", flags->given.command, "subcommand of `load` that it runs")
      ->type_name("NAME");
  app->add_option("--path", flags->given.paths, "a run for each")->type_name("PATH");
  app->add_option("--about", flags->given.about, "what it is, for the list")->type_name("TEXT");
  app->add_option("--need", flags->given.needs, "options that have to be given")
      ->type_name("OPTION");
  app->footer("Options of the subcommand that it runs follow the target: --dev, --ip, --duration.");
  app->allow_extras();
  return {app,
          [app, flags](StopSignals& signals) { return Run(*flags, app->remaining(), signals); }};
}

}  // namespace millrace::apps

#include "apps/load/profile.h"

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "apps/common/units.h"
#include "apps/config/config_file.h"

namespace millrace::apps {
namespace {

namespace fs = std::filesystem;

absl::StatusOr<Profile> ReadProfile(const std::string& name, const std::string& file) {
  absl::StatusOr<ConfigFile> config = ReadConfig(file);
  if (!config.ok()) return config.status();
  Profile profile{.name = name, .file = file};
  for (const Setting& setting : config->settings) {
    if (setting.table != "load.profile" || setting.values.empty()) continue;
    if (setting.key == "about") profile.about = setting.values.front();
    if (setting.key == "command") profile.command = setting.values.front();
    if (setting.key == "path") profile.paths = setting.values;
    if (setting.key == "need") profile.needs = setting.values;
  }
  if (profile.command.empty()) {
    return absl::InvalidArgumentError(file + ": is no profile: [load.profile] has no command");
  }
  if (profile.paths.empty()) profile.paths.emplace_back();
  return profile;
}

// "GROUP:TEST" of ".../GROUP/TEST.toml".
std::string NameOf(const fs::path& file) {
  return file.parent_path().filename().string() + ":" + file.stem().string();
}

}  // namespace

std::vector<std::string> ProfileFolders(const std::string& program) {
  const fs::path folder = fs::path(program).parent_path();
  std::vector<std::string> folders;
  for (const char* up : {"..", "../.."}) {
    folders.push_back((folder / up / "share/millrace/profiles").lexically_normal().string());
  }
  folders.emplace_back("/usr/share/millrace/profiles");
  return folders;
}

std::vector<Profile> ListProfiles(const std::vector<std::string>& folders) {
  std::vector<Profile> profiles;
  for (const std::string& folder : folders) {
    std::error_code error;
    for (const auto& entry : fs::recursive_directory_iterator(folder, error)) {
      if (entry.path().extension() != ".toml") continue;
      absl::StatusOr<Profile> profile = ReadProfile(NameOf(entry.path()), entry.path().string());
      if (profile.ok()) profiles.push_back(*std::move(profile));
    }
    if (!profiles.empty()) break;
  }
  std::sort(profiles.begin(), profiles.end(),
            [](const Profile& a, const Profile& b) { return a.name < b.name; });
  return profiles;
}

absl::StatusOr<Profile> FindProfile(const std::string& name,
                                    const std::vector<std::string>& folders) {
  if (name.find('/') != std::string::npos || name.ends_with(".toml")) {
    return ReadProfile(name, name);
  }
  std::vector<std::string> names;
  for (Profile& profile : ListProfiles(folders)) {
    if (profile.name == name) return std::move(profile);
    names.push_back(profile.name);
  }
  if (names.empty()) {
    return absl::InvalidArgumentError("there are no profiles in " + folders.front() +
                                      "; give the path of a file");
  }
  const std::string near = Nearest(name, names);
  return absl::InvalidArgumentError("\"" + name + "\" is no profile" +
                                    (near.empty() ? ": `millrace load profile` lists them"
                                                  : " (did you mean \"" + near + "\"?)"));
}

std::vector<std::string> WordsOf(const Profile& profile, const std::string& target,
                                 const std::string& path, const std::string& folder,
                                 const std::vector<std::string>& more) {
  std::vector<std::string> words{"load", profile.command, target + path, "--config", profile.file};
  if (!folder.empty()) {
    const size_t name = path.find_first_not_of('/');
    const std::string last = name == std::string::npos ? "" : "/" + path.substr(name);
    words.insert(words.end(), {"--output", folder + last});
  }
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

}  // namespace millrace::apps

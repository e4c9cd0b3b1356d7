// load/profile.h - load profiles: configuration files that come with the program, each for one
// test that others have defined.
//
// "GROUP:TEST" is share/millrace/profiles/GROUP/TEST.toml. Its table [load.profile] says
// which subcommand of `load` it runs, once for each path; the table of that subcommand is read by
// --config like any other, so command line and environment win.
#ifndef MILLRACE_APPS_LOAD_PROFILE_H_
#define MILLRACE_APPS_LOAD_PROFILE_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace millrace::apps {

struct Profile {
  std::string name;     // "GROUP:TEST", or as the user wrote it
  std::string file;     // where it was found
  std::string about;    // one line
  std::string command;  // of `load`: "find-max"
  std::vector<std::string> paths;
  std::vector<std::string> needs;  // options without which it means nothing: "rate"
};

// Folders with profiles, those beside `program` (the path of the executable) first: of an
// installation, or of the source that it was built in.
std::vector<std::string> ProfileFolders(const std::string& program);

// All profiles of the first of `folders` that there is, by name.
std::vector<Profile> ListProfiles(const std::vector<std::string>& folders);

// By name, or by the path of a file (with a slash, or ending in .toml). kInvalidArgument when there
// is none, or it is no profile.
absl::StatusOr<Profile> FindProfile(const std::string& name,
                                    const std::vector<std::string>& folders);

// The words behind `millrace` for one of the profile's runs. `target`: as the user wrote it,
// without a path; "" for `path`: none. `folder`: for the results, "" for none.
std::vector<std::string> WordsOf(const Profile& profile, const std::string& target,
                                 const std::string& path, const std::string& folder,
                                 const std::vector<std::string>& more);

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_LOAD_PROFILE_H_

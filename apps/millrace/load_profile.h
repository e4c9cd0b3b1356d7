// apps/millrace/load_profile.h - `millrace load profile`: tests that others have defined.
#ifndef MILLRACE_APPS_MILLRACE_LOAD_PROFILE_H_
#define MILLRACE_APPS_MILLRACE_LOAD_PROFILE_H_

#include <CLI/CLI.hpp>

#include "apps/millrace/subcommand.h"

namespace millrace::apps {

Subcommand AddProfile(CLI::App& load);

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_MILLRACE_LOAD_PROFILE_H_

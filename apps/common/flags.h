// apps/common/flags.h - command line options with units, and their error messages.
//
// Every option can also be given in the environment and in a file: apps/config/settings.h.
#ifndef MILLRACE_APPS_COMMON_FLAGS_H_
#define MILLRACE_APPS_COMMON_FLAGS_H_

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <utility>

#include "apps/common/units.h"
#include "millrace/base/time.h"

namespace millrace::apps {

// What one line of help says after the option's name.
struct FlagText {
  const char* name;  // "--duration"
  const char* unit;  // "TIME"
  const char* help;
  std::string standard;  // the default, as the user would write it
};

// Adds an option that `parse` (text -> optional<T>) reads into *value. `what` ends the sentence
// '... is not'.
template <class T, class Parse>
CLI::Option* AddParsed(CLI::App& app, const FlagText& text, T* value, const std::string& what,
                       Parse parse) {
  const std::string name = text.name;
  CLI::Option* option = app.add_option_function<std::string>(
      name,
      [=](const std::string& word) {
        const auto parsed = parse(word);
        if (!parsed) {
          throw CLI::ValidationError(name, "\"" + word + "\" is not " + what);
        }
        *value = static_cast<T>(*parsed);
      },
      text.help);
  option->type_name(text.unit);
  if (!text.standard.empty()) option->default_str(text.standard);
  return option;
}

// Has `wrong` look at each value of `option` while it is read; it returns "" or what is wrong. So
// `config check` and --dry-run see it too, and the complaint says where in a file the value stands.
inline CLI::Option* CheckBy(CLI::Option* option,
                            std::function<std::string(const std::string&)> wrong) {
  return option->check(std::move(wrong));
}

// What a value is not: "a time from 1s to 4m (write 200ms, 5s, 2m)"; with `high` "": "of 1s or
// more".
inline std::string WithinText(const char* kind, const std::string& low, const std::string& high,
                              const std::string& examples) {
  const std::string range =
      high.empty() ? " of " + low + " or more" : " from " + low + " to " + high;
  return std::string(kind) + range + (examples.empty() ? "" : " (write " + examples + ")");
}

inline CLI::Option* AddDuration(CLI::App& app, const FlagText& text, Duration* value, Duration low,
                                Duration high) {
  return AddParsed(app, text, value,
                   WithinText("a time", AsTyped(low), AsTyped(high), "200ms, 5s, 2m"),
                   [low, high](const std::string& word) -> std::optional<Duration> {
                     const auto parsed = ParseDuration(word);
                     if (!parsed || *parsed < low || *parsed > high) return std::nullopt;
                     return parsed;
                   });
}

template <class T>
CLI::Option* AddSize(CLI::App& app, const FlagText& text, T* value, uint64_t low, uint64_t high) {
  return AddParsed(app, text, value,
                   WithinText("a size", AsTypedSize(low), AsTypedSize(high), "1, 512, 64k, 1m"),
                   [low, high](const std::string& word) -> std::optional<uint64_t> {
                     const auto parsed = ParseSize(word);
                     if (!parsed || *parsed < low || *parsed > high) return std::nullopt;
                     return parsed;
                   });
}

template <class T>
CLI::Option* AddCount(CLI::App& app, const FlagText& text, T* value, uint64_t low = 0,
                      uint64_t high = std::numeric_limits<T>::max()) {
  constexpr uint64_t kHighest = uint64_t{1} << 53;  // ParseCount
  const std::string most = high < kHighest ? GroupDigits(high) : "";
  return AddParsed(
      app, text, value,
      WithinText("a whole number", GroupDigits(low), most, high < 1'500'000 ? "" : "64, 20k, 1.5M"),
      [low, high](const std::string& word) -> std::optional<uint64_t> {
        const auto parsed = ParseCount(word);
        if (!parsed || *parsed < low || *parsed > high) return std::nullopt;
        return parsed;
      });
}

inline CLI::Option* AddRate(CLI::App& app, const FlagText& text, double* value) {
  return AddParsed(app, text, value, "a rate above 0 (write 500, 20k, 1.2M: per second)",
                   [](const std::string& word) { return ParseRate(word); });
}

// "millrace", "millrace report show": what the user writes to get to `app`.
inline std::string CommandOf(const CLI::App& app) {
  if (app.get_parent() == nullptr) return "millrace";
  return CommandOf(*app.get_parent()) + " " + app.get_name();
}

// What is wrong with `unknown`: the option it was probably meant to be.
inline std::string UnknownOptionMessage(CLI::App& app, const std::string& unknown) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
  for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; })) {
    names.push_back(sub->get_name());
  }
  const std::string near = Nearest(unknown.substr(0, unknown.find('=')), names);
  return "unknown argument " + unknown +
         (near.empty() ? "; `" + CommandOf(app) + " --help` lists what there is"
                       : "; did you mean " + near + "?");
}

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_COMMON_FLAGS_H_

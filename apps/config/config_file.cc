#include "apps/config/config_file.h"

#include <toml++/toml.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <optional>
#include <utility>

#include "apps/common/read_file.h"
#include "apps/config/json_config.h"

namespace millrace::apps {
namespace {

std::string PlaceOf(const std::string& file, const toml::source_position& at) {
  return file + ":" + std::to_string(at.line) + ":" + std::to_string(at.column);
}

// A number as people write it: without an exponent.
std::string NumberText(double value) {
  std::array<char, 512> text;
  const auto end =
      std::to_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
  return {text.data(), end.ptr};
}

std::optional<std::string> ScalarText(const toml::node& node) {
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* number = node.as_integer()) return std::to_string(number->get());
  if (const auto* number = node.as_floating_point()) return NumberText(number->get());
  if (const auto* truth = node.as_boolean()) return truth->get() ? "true" : "false";
  return std::nullopt;
}

class Reader {
 public:
  explicit Reader(std::string file) : file_(std::move(file)) {}

  // Visits a table; the first thing that is wrong stays in error().
  void Read(const toml::table& table, const std::string& name, size_t depth) {
    for (const auto& [key, node] : table) {
      if (!error_.empty()) return;
      const std::string word(key.str());
      const std::string place = PlaceOf(file_, key.source().begin);
      if (const toml::table* inner = node.as_table()) {
        const std::string path = name.empty() ? word : name + "." + word;
        if (depth == kTableDepthMax) {
          Fail(place, "[" + path + "]: no subcommand is so deep");
          return;
        }
        file_content_.tables.emplace_back(path, place);
        Read(*inner, path, depth + 1);
      } else {
        Take({.table = name, .key = word, .place = PlaceOf(file_, node.source().begin)}, node);
      }
    }
  }
  const std::string& error() const { return error_; }
  ConfigFile Finish() { return std::move(file_content_); }

 private:
  void Fail(const std::string& place, const std::string& what) {
    if (error_.empty()) error_ = place + ": " + what;
  }
  void Take(Setting setting, const toml::node& node) {
    setting.boolean = node.is_boolean();
    setting.list = node.is_array();
    if (const toml::array* list = node.as_array()) {
      for (const toml::node& element : *list) {
        const auto text = ScalarText(element);
        if (!text || element.is_boolean()) {
          return Fail(PlaceOf(file_, element.source().begin),
                      setting.key + ": a list has strings and numbers");
        }
        setting.values.push_back(*text);
      }
    } else if (const auto text = ScalarText(node)) {
      setting.values.push_back(*text);
    } else {
      return Fail(setting.place, setting.key + ": write a string, a number, true, false or a list");
    }
    file_content_.settings.push_back(std::move(setting));
  }

  std::string file_, error_;
  ConfigFile file_content_;
};

}  // namespace

absl::StatusOr<ConfigFile> ParseConfig(std::string_view text, const std::string& name) {
  if (LooksLikeJson(text)) return ParseJsonConfig(text, name);
  try {
    const toml::table table = toml::parse(text, name);
    Reader reader(name);
    reader.Read(table, "", 0);
    if (!reader.error().empty()) return absl::InvalidArgumentError(reader.error());
    return reader.Finish();
  } catch (const toml::parse_error& error) {
    return absl::InvalidArgumentError(PlaceOf(name, error.source().begin) + ": " +
                                      std::string(error.description()));
  }
}

absl::StatusOr<ConfigFile> ReadConfig(const std::string& path) {
  const absl::StatusOr<std::string> text = ReadFile(path);
  return text.ok() ? ParseConfig(*text, path) : text.status();
}

std::string TomlString(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    const auto octet = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += c;
    } else if (octet < 0x20 || octet == 0x7f) {
      std::array<char, 8> escape;
      std::snprintf(escape.data(), escape.size(), "\\u%04X", octet);
      quoted += escape.data();
    } else {
      quoted += c;
    }
  }
  return quoted + "\"";
}

}  // namespace millrace::apps

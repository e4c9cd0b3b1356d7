#include "apps/config/json_config.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <iterator>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

namespace millrace::apps {
namespace {

// Goes through a text, and lets others see how far it is: the parser tells no places.
class Reading {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  Reading(const char* at, const char** seen) : at_(at), seen_(seen) {}
  reference operator*() const { return *at_; }
  Reading& operator++() {
    *seen_ = ++at_;
    return *this;
  }
  bool operator==(const Reading& other) const { return at_ == other.at_; }
  bool operator!=(const Reading& other) const { return at_ != other.at_; }

 private:
  const char* at_;
  const char** seen_;
};

// What the parser calls; false ends it.
class Handler {
 public:
  Handler(std::string_view text, const std::string& name, const char* const& seen)
      : text_(text), name_(name), seen_(seen) {}

  bool start_object(size_t) {
    if (in_list_) return Fail(place_, key_ + kNoList);
    if (!begun_) {
      begun_ = true;
      return true;
    }
    tables_.push_back(key_);
    if (tables_.size() > kTableDepthMax) {
      return Fail(place_, "[" + Table() + "]: no subcommand is so deep");
    }
    file_.tables.emplace_back(Table(), place_);
    return true;
  }
  bool end_object() {
    if (!tables_.empty()) tables_.pop_back();
    return true;
  }
  bool key(std::string& word) {
    key_ = word;
    // The text has been read up to the quote behind it.
    const auto behind = static_cast<size_t>(seen_ - text_.data());
    place_ = PlaceOf(behind - std::min(behind, word.size() + 2));
    return true;
  }
  bool start_array(size_t) {
    if (in_list_) return Fail(place_, key_ + kNoList);
    in_list_ = true;
    return Add({.table = Table(), .key = key_, .list = true, .place = place_});
  }
  bool end_array() {
    in_list_ = false;
    return true;
  }
  bool string(std::string& word) { return Take(word); }
  bool number_integer(int64_t number) { return Take(std::to_string(number)); }
  bool number_unsigned(uint64_t number) { return Take(std::to_string(number)); }
  bool number_float(double number, const std::string&) {
    std::array<char, 512> digits;  // without an exponent, as the options read numbers
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number,
                                   std::chars_format::fixed);
    return Take({digits.data(), end.ptr});
  }
  bool boolean(bool truth) {
    if (in_list_) return Fail(place_, key_ + kNoList);
    return Add({.table = Table(),
                .key = key_,
                .values = {truth ? "true" : "false"},
                .boolean = true,
                .place = place_});
  }
  bool null() { return Fail(place_, key_ + ": write a string, a number, true, false or a list"); }
  bool binary(std::vector<uint8_t>&) { return null(); }
  bool parse_error(size_t, const std::string&, const nlohmann::json::exception& error) {
    const std::string what = error.what();  // "[...] parse error at line 1, column 2: what"
    const size_t colon = what.find(": ");
    const auto at = static_cast<size_t>(seen_ - text_.data());
    return Fail(PlaceOf(at == 0 ? 0 : at - 1),
                "no JSON: " + (colon == std::string::npos ? what : what.substr(colon + 2)));
  }

  const std::string& error() const { return error_; }
  ConfigFile Finish() { return std::move(file_); }

 private:
  static constexpr const char* kNoList = ": a list has strings and numbers";

  std::string Table() const {
    std::string name;
    for (const std::string& part : tables_) name += (name.empty() ? "" : ".") + part;
    return name;
  }
  std::string PlaceOf(size_t offset) const {
    const std::string_view before = text_.substr(0, offset);
    const auto line = 1 + std::count(before.begin(), before.end(), '\n');
    const size_t column = offset - (before.rfind('\n') + 1);  // npos + 1 is 0
    return name_ + ":" + std::to_string(line) + ":" + std::to_string(column + 1);
  }
  bool Fail(const std::string& place, const std::string& what) {
    if (error_.empty()) error_ = place + ": " + what;
    return false;
  }
  bool Take(const std::string& value) {
    if (in_list_) {
      file_.settings.back().values.push_back(value);
      return true;
    }
    return Add({.table = Table(), .key = key_, .values = {value}, .place = place_});
  }
  bool Add(Setting setting) {
    const bool twice = std::any_of(
        file_.settings.begin(), file_.settings.end(),
        [&](const auto& s) { return s.table == setting.table && s.key == setting.key; });
    if (twice) return Fail(place_, key_ + ": is given twice");
    file_.settings.push_back(std::move(setting));
    return true;
  }

  std::string_view text_;
  const std::string& name_;
  const char* const& seen_;
  ConfigFile file_;
  std::vector<std::string> tables_;  // in which the parser is
  std::string key_, place_, error_;
  bool begun_ = false, in_list_ = false;
};

}  // namespace

bool LooksLikeJson(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t\r\n");
  return first != std::string_view::npos && text[first] == '{';
}

absl::StatusOr<ConfigFile> ParseJsonConfig(std::string_view text, const std::string& name) {
  const char* seen = text.data();
  Handler handler(text, name, seen);
  const Reading begin(text.data(), &seen), end(text.data() + text.size(), &seen);
  const bool parsed = nlohmann::json::sax_parse(begin, end, &handler);
  if (!parsed || !handler.error().empty()) return absl::InvalidArgumentError(handler.error());
  return handler.Finish();
}

}  // namespace millrace::apps

// apps/result/field_reader.h - JSON to values, by the fields that result_fields.h lists.
//
// The first thing that is wrong is kept as "path: what"; the rest is then skipped.
#ifndef MILLRACE_APPS_RESULT_FIELD_READER_H_
#define MILLRACE_APPS_RESULT_FIELD_READER_H_

#include <limits>
#include <nlohmann/json.hpp>
#include <string>

#include "apps/result/result_fields.h"

namespace millrace::apps {

class FieldReader {
 public:
  using Json = nlohmann::ordered_json;

  // `path` of `json` in the document: "" or "latency.connect.". `error` outlives the reader.
  FieldReader(const Json& json, std::string path, std::string& error)
      : json_(json), path_(std::move(path)), error_(error) {}

  template <class T>
  void operator()(const char* name, T& value, const char*) {
    if (!error_.empty()) return;
    const auto found = json_.find(name);
    if (found == json_.end()) {
      error_ = path_ + name + ": is missing";
    } else {
      Get(*found, path_ + name, value);
    }
  }
  template <class T>
  void operator()(const char* name, std::optional<T>& value, const char*) {
    const auto found = json_.find(name);
    if (error_.empty() && found != json_.end()) Get(*found, path_ + name, value.emplace());
  }

 private:
  bool Expect(bool is, const std::string& path, const char* what) {
    if (error_.empty() && !is) error_ = path + ": is no " + what;
    return error_.empty();
  }

  template <class T>
  void Get(const Json& json, const std::string& path, T& value) {
    if constexpr (std::same_as<T, Json>) {
      if (Expect(json.is_object(), path, "object")) value = json;
    } else if constexpr (std::same_as<T, std::string>) {
      if (Expect(json.is_string(), path, "text")) value = json.get<std::string>();
    } else if constexpr (std::same_as<T, bool>) {
      if (Expect(json.is_boolean(), path, "true or false")) value = json.get<bool>();
    } else if constexpr (std::same_as<T, double>) {
      if (Expect(json.is_number(), path, "number")) value = json.get<double>();
    } else if constexpr (std::integral<T>) {
      GetWhole(json, path, value);
    } else if constexpr (std::is_enum_v<T>) {
      GetEnum(json, path, value);
    } else if (Expect(json.is_object(), path, "object")) {
      FieldReader reader(json, path + ".", error_);
      Fields(reader, value);
    }
  }
  template <class T>
  void GetWhole(const Json& json, const std::string& path, T& value) {
    // The parser makes every number from 0 an unsigned one; a program may also have put signed
    // ones.
    const bool is_unsigned = json.is_number_unsigned();
    if constexpr (std::unsigned_integral<T>) {
      const bool whole = is_unsigned || (json.is_number_integer() && json.get<int64_t>() >= 0);
      if (!Expect(whole, path, "whole number from 0")) return;
      const auto number = json.get<uint64_t>();
      if (Expect(number <= std::numeric_limits<T>::max(), path, "number that fits")) {
        value = static_cast<T>(number);
      }
    } else {
      static_assert(std::same_as<T, int64_t>);
      const bool fits =
          json.is_number_integer() && !(is_unsigned && json.get<uint64_t>() > INT64_MAX);
      if (Expect(fits, path, "whole number that fits")) value = json.get<int64_t>();
    }
  }
  template <class T>
  void GetEnum(const Json& json, const std::string& path, T& value) {
    const auto names = NamesOf(value);
    for (size_t i = 0; i < names.size(); ++i) {
      if (json == names[i]) {
        value = static_cast<T>(i);
        return;
      }
    }
    error_ = path + ": " + json.dump() + " is not known";
  }
  template <class T>
  void Get(const Json& json, const std::string& path, std::vector<T>& values) {
    if (!Expect(json.is_array(), path, "list")) return;
    for (size_t i = 0; i < json.size() && error_.empty(); ++i) {
      Get(json[i], path + "[" + std::to_string(i) + "]", values.emplace_back());
    }
  }
  template <class T>
  void Get(const Json& json, const std::string& path, ByName<T>& values) {
    if (!Expect(json.is_object(), path, "object")) return;
    for (const auto& [name, entry] : json.items()) {
      if (!error_.empty()) return;
      values.emplace_back(name, T());
      Get(entry, path + "." + name, values.back().second);
    }
  }
  // What a histogram is made from.
  struct Parts {
    uint32_t significant_digits = 0;
    uint64_t highest_ns = 0, count = 0, sum_ns = 0, min_ns = 0, max_ns = 0;
    std::vector<std::vector<uint64_t>> buckets;
  };
  template <class V>
  friend void Fields(V& visit, Parts& v) {
    visit("significant_digits", v.significant_digits, "");
    visit("highest_ns", v.highest_ns, "");
    visit("count", v.count, "");
    visit("sum_ns", v.sum_ns, "");
    visit("min_ns", v.min_ns, "");
    visit("max_ns", v.max_ns, "");
    visit("buckets", v.buckets, "");
  }
  void Get(const Json& json, const std::string& path, Histogram& histogram) {
    Parts parts;
    Get(json, path, parts);
    const bool layout = parts.significant_digits >= 1 && parts.significant_digits <= 5 &&
                        parts.highest_ns >= 1 && parts.highest_ns <= INT64_MAX;
    if (!Expect(layout, path, "layout of a histogram")) return;
    histogram = Histogram(static_cast<int>(parts.significant_digits), parts.highest_ns);
    bool sound = true;
    for (const std::vector<uint64_t>& bucket : parts.buckets) {
      sound = sound && bucket.size() == 2 && histogram.RestoreCounter(bucket[0], bucket[1]);
    }
    sound = sound && histogram.count() == parts.count &&
            histogram.RestoreTotals(parts.sum_ns, parts.min_ns, parts.max_ns);
    Expect(sound, path, "histogram: its count, least and most must agree with its buckets");
  }

  const Json& json_;
  std::string path_;
  std::string& error_;
};

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_RESULT_FIELD_READER_H_

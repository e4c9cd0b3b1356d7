#include "apps/result/series_csv.h"

#include "apps/result/result_fields.h"

namespace millrace::apps {
namespace {

struct CsvNames {
  std::string line;
  template <class T>
  void operator()(const char* name, const T&, const char*) {
    line += (line.empty() ? "" : ",") + std::string(name);
  }
};

struct CsvValues {
  std::string line;
  template <class T>
  void operator()(const char*, const T& value, const char*) {
    // The shortest text that reads back as the same number, whatever the locale.
    line += (line.empty() ? "" : ",") + nlohmann::json(value).dump();
  }
};

}  // namespace

std::string SeriesCsv(const Result& result) {
  CsvNames names;
  const Interval none;
  Fields(names, none);
  std::string text = names.line + "\n";
  for (const Interval& interval : result.series) {
    CsvValues values;
    Fields(values, interval);
    text += values.line + "\n";
  }
  return text;
}

}  // namespace millrace::apps

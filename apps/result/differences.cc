#include "apps/result/differences.h"

#include <set>

#include "apps/result/result_json.h"

namespace millrace::apps {
namespace {

using Json = nlohmann::ordered_json;

// What says how a run was made: path and value of each leaf.
Json CircumstancesOf(const Result& r) {
  Result bare;
  bare.configuration = r.configuration;
  bare.machine = r.machine;
  bare.run.version = r.run.version;
  bare.run.labels = r.run.labels;
  bare.load.target = r.load.target;
  bare.load.loop = r.load.loop;
  bare.load.arrival = r.load.arrival;
  bare.load.close = r.load.close;
  bare.rank.count = r.rank.count;
  return ToJson(bare).flatten();
}

// "/machine/core_list/1" as people write it.
std::string PathOf(const std::string& pointer) {
  std::string path = pointer.substr(1);
  for (char& c : path) {
    if (c == '/') c = '.';
  }
  return path;
}

// The values of one leaf on one side, in words: "a", or "a or b" when it varies.
struct Values {
  std::set<std::string> all;

  void Add(const Json& circumstances, const std::string& pointer) {
    const auto found = circumstances.find(pointer);
    if (found == circumstances.end()) {
      all.insert("(none)");
    } else {
      all.insert(found->is_string() ? found->get<std::string>() : found->dump());
    }
  }
  std::string text() const {
    std::string text;
    for (const std::string& value : all) text += (text.empty() ? "" : " or ") + value;
    return text;
  }
};

}  // namespace

void FindDifferences(const std::vector<const Result*>& base, const std::vector<const Result*>& now,
                     std::vector<std::string>& different, std::vector<std::string>& notes) {
  std::vector<Json> a, b;
  std::vector<std::string> pointers;  // in the order of the document
  std::set<std::string> known;
  const auto take = [&](const std::vector<const Result*>& runs, std::vector<Json>& side) {
    for (const Result* r : runs) {
      side.push_back(CircumstancesOf(*r));
      for (const auto& [pointer, value] : side.back().items()) {
        if (known.insert(pointer).second) pointers.push_back(pointer);
      }
    }
  };
  take(base, a);
  take(now, b);
  for (const std::string& pointer : pointers) {
    Values left, right;
    for (const Json& circumstances : a) left.Add(circumstances, pointer);
    for (const Json& circumstances : b) right.Add(circumstances, pointer);
    const std::string path = PathOf(pointer);
    if (left.all != right.all) {
      different.push_back(path + ": " + left.text() + " -> " + right.text());
    } else if (left.all.size() > 1) {
      notes.push_back(path + " varies on both sides: " + left.text());
    }
  }
}

}  // namespace millrace::apps

#include "apps/machine/files.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <fstream>
#include <system_error>

namespace millrace::apps {

std::string ReadSmall(const std::filesystem::path& path) {
  constexpr size_t kBytesMax = 1 << 20;
  std::ifstream file(path, std::ios::binary);
  std::string text;
  std::array<char, 4096> part;
  while (text.size() < kBytesMax && file) {
    file.read(part.data(), part.size());
    text.append(part.data(), static_cast<size_t>(file.gcount()));
  }
  text.resize(text.find_last_not_of(" \t\r\n") + 1);  // npos + 1 is 0
  return text;
}

std::string ValueOf(std::string_view text, std::string_view label) {
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    if (line.starts_with(label)) {
      line.remove_prefix(label.size());
      line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
      return std::string(line);
    }
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return "";
}

uint64_t NumberOf(std::string_view text) {
  uint64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

bool Exists(const std::filesystem::path& path) {
  std::error_code ignored;
  return std::filesystem::exists(path, ignored);
}

std::vector<std::string> NamesIn(const std::filesystem::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (std::filesystem::directory_iterator at(folder, error), end; !error && at != end;
       at.increment(error)) {
    names.push_back(at->path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::string LinkName(const std::filesystem::path& path) {
  std::error_code error;
  const std::filesystem::path target = std::filesystem::read_symlink(path, error);
  return error ? "" : target.filename().string();
}

}  // namespace millrace::apps

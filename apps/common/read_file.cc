#include "apps/common/read_file.h"

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

namespace millrace::apps {

// Not by an iterator over a stream: of a folder that throws.
absl::StatusOr<std::string> ReadFile(const std::string& path) {
  const auto fail = [&path] {
    return absl::InvalidArgumentError("cannot read " + path + ": " + std::strerror(errno));
  };
  const std::unique_ptr<FILE, int (*)(FILE*)> file(std::fopen(path.c_str(), "rb"), &std::fclose);
  if (file == nullptr) return fail();
  std::string text;
  std::array<char, 65'536> part;
  while (const size_t count = std::fread(part.data(), 1, part.size(), file.get())) {
    text.append(part.data(), count);
  }
  if (std::ferror(file.get()) != 0) return fail();
  return text;
}

}  // namespace millrace::apps

// fuzz/replay_main.cc - runs a fuzz target over a folder of inputs, without libFuzzer.
//
// Every file is given to the target whole, and cut short at every length: the prefixes of a good
// input are the inputs that find reads behind the end.
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

void Replay(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  const std::vector<char> content{std::istreambuf_iterator<char>(stream), {}};
  for (size_t length = 0; length <= content.size(); ++length) {
    const auto exact = std::make_unique<uint8_t[]>(length);
    for (size_t i = 0; i < length; ++i) exact[i] = static_cast<uint8_t>(content[i]);
    LLVMFuzzerTestOneInput(exact.get(), length);
  }
}

}  // namespace

int main(int argc, char** argv) {
  int files = 0;
  for (int i = 1; i < argc; ++i) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(argv[i])) {
      if (!entry.is_regular_file()) continue;
      Replay(entry.path());
      ++files;
    }
  }
  std::printf("%d inputs replayed\n", files);
  return files == 0 ? 1 : 0;  // an empty corpus is a mistake in the call
}

// fuzz/fuzz_input.h - the octets of a fuzzer's input, handed out in pieces.
#ifndef MILLRACE_TESTS_FUZZ_FUZZ_INPUT_H_
#define MILLRACE_TESTS_FUZZ_FUZZ_INPUT_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>

namespace millrace::fuzz {

// Octets on the heap in a block of exactly their size, so that AddressSanitizer sees every access
// outside of it; the fuzzer's own buffer may be larger than what it gives.
struct ExactBytes {
  std::unique_ptr<std::byte[]> data;
  uint32_t length = 0;
};

class Input {
 public:
  Input(const uint8_t* data, size_t size) : data_(data), left_(size) {}

  bool empty() const { return left_ == 0; }

  // The next octet; 0 when there is none left.
  uint8_t Octet() {
    if (left_ == 0) return 0;
    --left_;
    return *data_++;
  }

  // The rest, but at most `limit` octets.
  ExactBytes Take(size_t limit) {
    const size_t length = left_ < limit ? left_ : limit;
    ExactBytes bytes{std::make_unique<std::byte[]>(length), static_cast<uint32_t>(length)};
    if (length != 0) std::memcpy(bytes.data.get(), data_, length);
    data_ += length;
    left_ -= length;
    return bytes;
  }

 private:
  const uint8_t* data_;
  size_t left_;
};

}  // namespace millrace::fuzz

#endif  // MILLRACE_TESTS_FUZZ_FUZZ_INPUT_H_

// base/endian.h - big-endian (network order) loads and stores at any alignment (MUST-64).
#ifndef MILLRACE_BASE_ENDIAN_H_
#define MILLRACE_BASE_ENDIAN_H_

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace millrace {

inline uint8_t LoadU8(const std::byte* p) { return static_cast<uint8_t>(*p); }

inline uint16_t LoadBe16(const std::byte* p) {
  uint16_t v;
  std::memcpy(&v, p, sizeof v);
  return __builtin_bswap16(v);
}

inline uint32_t LoadBe32(const std::byte* p) {
  uint32_t v;
  std::memcpy(&v, p, sizeof v);
  return __builtin_bswap32(v);
}

inline void StoreU8(std::byte* p, unsigned v) { *p = static_cast<std::byte>(v); }

inline void StoreBe16(std::byte* p, uint16_t v) {
  v = __builtin_bswap16(v);
  std::memcpy(p, &v, sizeof v);
}

inline void StoreBe32(std::byte* p, uint32_t v) {
  v = __builtin_bswap32(v);
  std::memcpy(p, &v, sizeof v);
}

}  // namespace millrace

#endif  // MILLRACE_BASE_ENDIAN_H_

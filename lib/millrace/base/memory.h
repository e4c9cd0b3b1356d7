// base/memory.h - big zeroed regions for tables and pools, from huge pages when there are any.
//
// All memory of an engine is reserved at start; nothing is allocated on the packet path. A region
// of at least 2 MiB is mapped with MAP_HUGETLB, and when the machine has no free huge pages, as
// plain memory with transparent huge pages advised. Plain pages are touched only when used, so a
// large limit costs address space, not memory. Huge pages are cleared when the region is made (13
// GB/s, below 1 GB/s in a guest whose host gives the memory meanwhile), and lie on the NUMA node of
// the CPU that makes it.
#ifndef MILLRACE_BASE_MEMORY_H_
#define MILLRACE_BASE_MEMORY_H_

#include <cstddef>

namespace millrace {

class Region {
 public:
  enum class Pages { kPreferHuge, kPlain };

  Region() = default;
  // Maps `bytes` zeroed bytes. On failure data() is null (size 0); the caller reports it.
  explicit Region(size_t bytes, Pages pages = Pages::kPreferHuge);
  ~Region();
  Region(Region&& other) noexcept;
  Region& operator=(Region&& other) noexcept;
  Region(const Region&) = delete;
  Region& operator=(const Region&) = delete;

  std::byte* data() const { return data_; }
  size_t size() const { return size_; }
  bool huge() const { return huge_; }  // true when huge pages back it

 private:
  std::byte* data_ = nullptr;
  size_t size_ = 0;
  bool huge_ = false;
};

}  // namespace millrace

#endif  // MILLRACE_BASE_MEMORY_H_

#include "millrace/base/memory.h"

#include <sys/mman.h>

#include <utility>

namespace millrace {
namespace {

constexpr size_t kHugePageBytes = size_t{2} << 20;

size_t RoundUp(size_t bytes, size_t unit) { return (bytes + unit - 1) / unit * unit; }

}  // namespace

Region::Region(size_t bytes, Pages pages) {
  constexpr int kProtection = PROT_READ | PROT_WRITE;
  constexpr int kFlags = MAP_PRIVATE | MAP_ANONYMOUS;
  if (bytes == 0) return;
  if (pages == Pages::kPreferHuge && bytes >= kHugePageBytes) {
    // The kernel has set them aside for this, so they are taken now: clearing one takes 0.15 ms,
    // and 3 ms in a guest whose host has not given it yet; on the packet path that was 3 to 29 % of
    // the exchange (bench/results/tried.md).
    const size_t rounded = RoundUp(bytes, kHugePageBytes);
    void* p = mmap(nullptr, rounded, kProtection, kFlags | MAP_HUGETLB | MAP_POPULATE, -1, 0);
    if (p != MAP_FAILED) {
      data_ = static_cast<std::byte*>(p);
      size_ = rounded;
      huge_ = true;
      return;
    }
  }
  void* p = mmap(nullptr, bytes, kProtection, kFlags | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED) return;
  if (pages == Pages::kPreferHuge) (void)madvise(p, bytes, MADV_HUGEPAGE);
  data_ = static_cast<std::byte*>(p);
  size_ = bytes;
}

Region::~Region() {
  if (data_ != nullptr) munmap(data_, size_);
}

Region::Region(Region&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      huge_(std::exchange(other.huge_, false)) {}

Region& Region::operator=(Region&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  std::swap(huge_, other.huge_);
  return *this;
}

}  // namespace millrace

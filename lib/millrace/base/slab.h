// base/slab.h - a fixed number of equal objects, named by 32-bit index.
//
// Take and Give are O(1) and last-in first-out, so that the object handed out is the one that was
// returned last and is still in cache. Fresh objects are taken in address order, so memory that
// was never needed is never touched. Objects are trivially destructible; their bytes survive
// Give/Take except the first four, which hold the free list.
// Threading: one owner.
#ifndef MILLRACE_BASE_SLAB_H_
#define MILLRACE_BASE_SLAB_H_

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "millrace/base/check.h"
#include "millrace/base/memory.h"

namespace millrace {

inline constexpr uint32_t kNoIndex = 0xFFFF'FFFF;

template <class T>
class Slab {
  static_assert(std::is_trivially_destructible_v<T>);
  static_assert(sizeof(T) >= sizeof(uint32_t));

 public:
  Slab() = default;
  explicit Slab(uint32_t capacity, Region::Pages pages = Region::Pages::kPreferHuge)
      : region_(size_t{capacity} * sizeof(T), pages),
        objects_(reinterpret_cast<T*>(region_.data())),
        capacity_(region_.data() == nullptr ? 0 : capacity) {}
  Slab(Slab&& other) noexcept { *this = static_cast<Slab&&>(other); }
  Slab& operator=(Slab&& other) noexcept {
    region_ = static_cast<Region&&>(other.region_);
    objects_ = other.objects_;
    capacity_ = other.capacity_;
    fresh_ = other.fresh_;
    free_head_ = other.free_head_;
    used_ = other.used_;
    return *this;
  }

  // Index of an object with undefined contents, or kNoIndex when all are taken.
  uint32_t Take() {
    uint32_t index = free_head_;
    if (index != kNoIndex) [[likely]] {
      std::memcpy(&free_head_, static_cast<const void*>(&objects_[index]), sizeof free_head_);
    } else if (fresh_ < capacity_) {
      index = fresh_++;
    } else {
      return kNoIndex;
    }
    ++used_;
    return index;
  }

  // REQUIRES: `index` came from Take and was not given back since.
  void Give(uint32_t index) {
    MR_DCHECK(index < fresh_);
    MR_DCHECK(used_ > 0);
    std::memcpy(static_cast<void*>(&objects_[index]), &free_head_, sizeof free_head_);
    free_head_ = index;
    --used_;
  }

  T& operator[](uint32_t index) {
    MR_DCHECK(index < fresh_);
    return objects_[index];
  }
  const T& operator[](uint32_t index) const {
    MR_DCHECK(index < fresh_);
    return objects_[index];
  }
  // The quotient of a number that is known to be divisible: a shift, and a multiplication by the
  // inverse of what is odd of the size.
  uint32_t IndexOf(const T& object) const {
    constexpr int kShift = std::countr_zero(sizeof(T));
    constexpr auto kOdd = static_cast<uint32_t>(sizeof(T) >> kShift);
    const auto offset = static_cast<size_t>(reinterpret_cast<const std::byte*>(&object) -
                                            reinterpret_cast<const std::byte*>(objects_));
    return static_cast<uint32_t>(offset >> kShift) * InverseOf(kOdd);
  }

  const T* objects() const { return objects_; }  // null when there was no memory

  uint32_t capacity() const { return capacity_; }
  uint32_t used() const { return used_; }
  uint32_t free() const { return capacity_ - used_; }
  uint32_t touched() const { return fresh_; }  // indexes below this were taken at least once
  bool huge() const { return region_.huge(); }

 private:
  // Modulo 2^32, by Newton's method: each step doubles the bits that are right, at first three.
  static constexpr uint32_t InverseOf(uint32_t odd) {
    uint32_t inverse = odd;
    for (int bits = 3; bits < 32; bits *= 2) inverse *= 2 - odd * inverse;
    return inverse;
  }

  Region region_;
  T* objects_ = nullptr;
  uint32_t capacity_ = 0;
  uint32_t fresh_ = 0;
  uint32_t free_head_ = kNoIndex;
  uint32_t used_ = 0;
};

}  // namespace millrace

#endif  // MILLRACE_BASE_SLAB_H_

// stack/timer_wheel.h - hierarchical timer wheel over the slots of a slab (Varghese and Lauck).
//
// Contract. One entry per slab slot. Schedule only ever moves an entry earlier: when it is in the
// wheel at or before the wanted tick, nothing happens, so a deadline that moves out costs one
// compare. An entry therefore pops never later than asked for last, possibly earlier: the owner
// compares with its own deadline when it pops and schedules again. The wheel itself never fires an
// entry before the tick that the entry was scheduled for, and fires it in the first Advance at or
// after that tick, unless that one runs out of work; a tick that Advance has already passed fires
// with the next one.
//
// The entry belongs to the slab SLOT, not to the object's incarnation: an object may be given back
// while its entry is in the wheel, and the next owner of the slot finds it there (IsScheduled). It
// may pop for nothing. So the link must survive Give and Take: it must not lie in the object's
// first four bytes, and an object is made anew without touching it. All zeros is a link that is
// not in the wheel, as fresh slab memory is.
//
// Ticks are 32 bits that wrap; their length is the caller's business. REQUIRES: scheduled ticks
// and the tick of Advance are less than 2^31 apart. Ticks beyond the horizon of the top level are
// kept in its last slot and sorted again from there.
//
// Threading: one owner. Cost: Schedule and Cancel O(1); Advance O(entries touched) with at most
// kLevels touches per entry, whatever the time jumped over (occupancy bitmaps).
#ifndef MILLRACE_STACK_TIMER_WHEEL_H_
#define MILLRACE_STACK_TIMER_WHEEL_H_

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "millrace/base/check.h"
#include "millrace/base/slab.h"

namespace millrace::stack {

// Member of each object that has a timer. `prev` and `next` are slab index + 1, 0 is none; the
// first entry of a wheel slot has kTimerHead | slot in `prev`. prev != 0: in the wheel.
struct TimerLink {
  uint32_t prev = 0;
  uint32_t next = 0;
  uint32_t tick = 0;  // when the entry is due, valid in the wheel
};
inline constexpr uint32_t kTimerHead = 0x8000'0000;

inline bool IsScheduled(const TimerLink& link) { return link.prev != 0; }

// True when tick a is before tick b on the circle.
constexpr bool TickBefore(uint32_t a, uint32_t b) { return static_cast<int32_t>(a - b) < 0; }

// kLink is the member of T that holds the link. kLevels * kSlotBits is the log2 of the horizon.
template <class T, TimerLink T::*kLink, int kLevels, int kSlotBits>
class TimerWheel {
  static_assert(kLevels >= 1 && kSlotBits >= 6 && kLevels * kSlotBits <= 32);

 public:
  // All ticks before `first_tick` have passed.
  explicit TimerWheel(uint32_t first_tick = 0) : current_(first_tick) {}

  static bool IsScheduled(const TimerLink& link) { return stack::IsScheduled(link); }

  // Sees to it that the entry pops at `tick` or before; see the contract above.
  void Schedule(Slab<T>& slab, uint32_t index, uint32_t tick) { Schedule(slab, slab[index], tick); }
  void Schedule(Slab<T>& slab, T& object, uint32_t tick) {
    const TimerLink& link = object.*kLink;
    if (IsScheduled(link) && !TickBefore(tick, link.tick)) [[likely]]
      return;
    MoveEarlier(slab, slab.IndexOf(object), tick);
  }

  // Takes the entry out; nothing when it is not in.
  void Cancel(Slab<T>& slab, uint32_t index);

  // Pops entries that are due at `now_tick` and calls fire(index) for each, out of the wheel by
  // then. `fire` may call Schedule (also for this entry, for a tick after `now_tick`) and Cancel.
  // Touches at most `work_max` entries, fired or moved down a level, and returns how many; when
  // it returns `work_max` there may be more, which the next call takes up.
  template <class Fire>
  size_t Advance(Slab<T>& slab, uint32_t now_tick, size_t work_max, Fire&& fire);

  // Advance has nothing to do before this tick; nullopt when the wheel is empty.
  std::optional<uint32_t> NextTick() const;

  uint32_t size() const { return size_; }

 private:
  static constexpr uint32_t kSlotCount = 1u << kSlotBits;
  static constexpr uint32_t kWords = kSlotCount / 64;
  static constexpr uint32_t kTop = kLevels - 1;

  struct Event {
    uint32_t distance;  // ticks from current_ until the slot has to be worked on
    uint32_t slot;      // level * kSlotCount + slot, or kNoIndex
  };

  static constexpr uint32_t Shift(uint32_t level) {
    return level * static_cast<uint32_t>(kSlotBits);
  }
  uint32_t SlotFor(uint32_t tick) const;
  [[gnu::noinline]] void MoveEarlier(Slab<T>& slab, uint32_t index, uint32_t tick);
  void Link(Slab<T>& slab, uint32_t index, uint32_t tick);
  void Unlink(Slab<T>& slab, TimerLink& link);
  uint32_t FirstOccupied(uint32_t level, uint32_t from) const;
  Event NextEvent() const;

  // Every tick before current_ is done. An entry of level n > 0 lies in a slot whose range of
  // ticks does not contain current_, or begins there and is about to be moved down.
  uint32_t current_;
  uint32_t size_ = 0;
  std::array<uint64_t, kLevels * kWords> occupied_{};   // bit per slot
  std::array<uint32_t, kLevels * kSlotCount> heads_{};  // index + 1, 0 is none
};

// Inline definitions

template <class T, TimerLink T::*kLink, int kLevels, int kSlotBits>
void TimerWheel<T, kLink, kLevels, kSlotBits>::MoveEarlier(Slab<T>& slab, uint32_t index,
                                                           uint32_t tick) {
  TimerLink& link = slab[index].*kLink;
  if (IsScheduled(link)) {
    Unlink(slab, link);
    --size_;
  }
  Link(slab, index, tick);
  ++size_;
}

template <class T, TimerLink T::*kLink, int kLevels, int kSlotBits>
void TimerWheel<T, kLink, kLevels, kSlotBits>::Cancel(Slab<T>& slab, uint32_t index) {
  TimerLink& link = slab[index].*kLink;
  if (!IsScheduled(link)) return;
  Unlink(slab, link);
  --size_;
}

template <class T, TimerLink T::*kLink, int kLevels, int kSlotBits>
template <class Fire>
size_t TimerWheel<T, kLink, kLevels, kSlotBits>::Advance(Slab<T>& slab, uint32_t now_tick,
                                                         size_t work_max, Fire&& fire) {
  size_t work = 0;
  while (!TickBefore(now_tick, current_)) {
    const Event event = NextEvent();
    if (event.slot == kNoIndex || event.distance > now_tick - current_) {
      current_ = now_tick + 1;
      break;
    }
    current_ += event.distance;
    while (heads_[event.slot] != 0) {
      if (work == work_max) return work;
      ++work;
      const uint32_t index = heads_[event.slot] - 1;
      TimerLink& link = slab[index].*kLink;
      if (link.next != 0) __builtin_prefetch(&(slab[link.next - 1].*kLink));
      Unlink(slab, link);
      if (TickBefore(current_, link.tick) || event.slot >= kSlotCount) {
        Link(slab, index, link.tick);
      } else {
        --size_;
        fire(index);
      }
    }
  }
  return work;
}

template <class T, TimerLink T::*kLink, int kLevels, int kSlotBits>
std::optional<uint32_t> TimerWheel<T, kLink, kLevels, kSlotBits>::NextTick() const {
  const Event event = NextEvent();
  if (event.slot == kNoIndex) return std::nullopt;
  return current_ + event.distance;
}

// The slot for an entry: of the level of the highest digit in which `tick` differs from current_.
template <class T, TimerLink T::*kLink, int kLevels, int kSlotBits>
uint32_t TimerWheel<T, kLink, kLevels, kSlotBits>::SlotFor(uint32_t tick) const {
  if (TickBefore(tick, current_)) tick = current_;
  const uint32_t highest_bit = 31u - static_cast<uint32_t>(__builtin_clz((tick ^ current_) | 1));
  uint32_t level = highest_bit / static_cast<uint32_t>(kSlotBits);
  uint32_t number = tick >> Shift(std::min(level, kTop));
  if (level >= kTop) {
    // The top level goes round: an entry further away than its slots waits in the last of them.
    level = kTop;
    const uint32_t current_number = current_ >> Shift(kTop);
    const uint32_t ahead = (number - current_number) & (0xFFFF'FFFF >> Shift(kTop));
    if (ahead >= kSlotCount) number = current_number + kSlotCount - 1;
  }
  return level * kSlotCount + (number & (kSlotCount - 1));
}

template <class T, TimerLink T::*kLink, int kLevels, int kSlotBits>
void TimerWheel<T, kLink, kLevels, kSlotBits>::Link(Slab<T>& slab, uint32_t index, uint32_t tick) {
  MR_DCHECK(static_cast<void*>(&(slab[index].*kLink)) != static_cast<void*>(&slab[index]));
  const uint32_t slot = SlotFor(tick);
  const uint32_t head = heads_[slot];
  TimerLink& link = slab[index].*kLink;
  link = {.prev = kTimerHead | slot, .next = head, .tick = tick};
  if (head != 0) {
    (slab[head - 1].*kLink).prev = index + 1;
  } else {
    occupied_[slot / 64] |= uint64_t{1} << (slot % 64);
  }
  heads_[slot] = index + 1;
}

// Leaves link.tick as it is.
template <class T, TimerLink T::*kLink, int kLevels, int kSlotBits>
void TimerWheel<T, kLink, kLevels, kSlotBits>::Unlink(Slab<T>& slab, TimerLink& link) {
  if (link.next != 0) (slab[link.next - 1].*kLink).prev = link.prev;
  if ((link.prev & kTimerHead) != 0) {
    const uint32_t slot = link.prev & ~kTimerHead;
    heads_[slot] = link.next;
    if (link.next == 0) occupied_[slot / 64] &= ~(uint64_t{1} << (slot % 64));
  } else {
    (slab[link.prev - 1].*kLink).next = link.next;
  }
  link.prev = 0;
  link.next = 0;
}

// How many slots after `from` the first occupied one of the level is, going round; kSlotCount when
// the level is empty.
template <class T, TimerLink T::*kLink, int kLevels, int kSlotBits>
uint32_t TimerWheel<T, kLink, kLevels, kSlotBits>::FirstOccupied(uint32_t level,
                                                                 uint32_t from) const {
  const uint64_t* words = &occupied_[level * kWords];
  for (uint32_t i = 0; i <= kWords; ++i) {
    const uint32_t word = (from / 64 + i) % kWords;
    uint64_t bits = words[word];
    if (i == 0) bits &= ~uint64_t{0} << (from % 64);
    if (bits != 0) {
      const uint32_t slot = word * 64 + static_cast<uint32_t>(__builtin_ctzll(bits));
      return (slot - from) & (kSlotCount - 1);
    }
  }
  return kSlotCount;
}

template <class T, TimerLink T::*kLink, int kLevels, int kSlotBits>
typename TimerWheel<T, kLink, kLevels, kSlotBits>::Event
TimerWheel<T, kLink, kLevels, kSlotBits>::NextEvent() const {
  Event next{.distance = 0xFFFF'FFFF, .slot = kNoIndex};
  if (size_ == 0) return next;
  for (uint32_t level = 0; level < kLevels; ++level) {
    const uint32_t number = current_ >> Shift(level);
    const uint32_t ahead = FirstOccupied(level, number & (kSlotCount - 1));
    if (ahead == kSlotCount) continue;
    // The slot that current_ is in is due at once; the others when current_ reaches their start.
    const uint32_t start = (number + ahead) << Shift(level);
    const uint32_t distance = ahead == 0 ? 0 : start - current_;
    if (distance < next.distance) {
      next = {distance, level * kSlotCount + ((number + ahead) & (kSlotCount - 1))};
    }
  }
  return next;
}

}  // namespace millrace::stack

#endif  // MILLRACE_STACK_TIMER_WHEEL_H_

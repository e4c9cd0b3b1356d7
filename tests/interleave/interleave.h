// interleave/interleave.h - runs a few threads in every order their atomic operations can take.
//
// The threads are fibers of one thread. Before each atomic operation the running one may be
// replaced by any other; all choices are tried, one run of the program each, depth first. So a
// program of a few operations is checked exhaustively, not by luck.
// Memory orders count: each fiber and each atomic carries a vector clock; a release store hands the
// clock on, an acquire load takes it over, a relaxed one does not. `Plain` values complain about an
// access that no such chain orders after the last one from elsewhere: a data race, whatever the
// machine would make of it. Loads return the newest value: an older one is what an earlier turn of
// the same load would have seen, which another order of the run shows.
// One explorer at a time, on one thread.
#ifndef MILLRACE_TESTS_INTERLEAVE_INTERLEAVE_H_
#define MILLRACE_TESTS_INTERLEAVE_INTERLEAVE_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

namespace millrace::model {

inline constexpr size_t kFibersMax = 4;
using VectorClock = std::array<uint32_t, kFibersMax>;

// The choices of the run that is under way; what atomics and plain values talk to.
class Explorer {
 public:
  // Runs `program` once for every order. It is called at the start of each run, sets up its state
  // and returns the bodies of the threads; `after` looks at the state when all have ended.
  // Returns the number of runs. Stops at the first data race: see races().
  struct Program {
    std::vector<std::function<void()>> threads;
    std::function<void()> after;
  };
  uint64_t Explore(const std::function<Program()>& program);
  uint64_t races() const { return races_; }

  // For the values below. Null outside of the threads: then everything is ordered.
  static Explorer* Current();
  // Another fiber may run now.
  void Yield();
  // This fiber has nothing to do until another one has done something.
  void Pause();
  VectorClock& clock();
  size_t fiber() const { return running_; }
  void CountRace() { ++races_; }
  void Run(size_t fiber);

 private:
  struct Choice {
    uint32_t taken, count;
  };
  void RunOnce(Program& program);
  bool NextOrder();
  size_t Choose();

  std::vector<Choice> choices_;
  size_t depth_ = 0;
  size_t running_ = 0;
  uint64_t races_ = 0;
  uint32_t ended_ = 0, paused_ = 0;  // bit per fiber
  std::array<VectorClock, kFibersMax> clocks_{};
  Program* program_ = nullptr;
};

// Orders a load after the store it sees, when both ask for it.
void OnLoad(const VectorClock& released, bool acquire);
void OnStore(VectorClock& released, bool release);
void OnAccess(VectorClock& last_reads, VectorClock& last_writes, bool write);

// In place of std::atomic. Loads and stores only: all that the code under test uses.
template <class T>
class Atomic {
 public:
  Atomic(T value = T()) : value_(value) {}  // NOLINT: as std::atomic
  T load(std::memory_order order = std::memory_order_seq_cst) const {
    OnLoad(released_, order != std::memory_order_relaxed);
    return value_;
  }
  void store(T value, std::memory_order order = std::memory_order_seq_cst) {
    OnStore(released_, order != std::memory_order_relaxed);
    value_ = value;
  }

 private:
  T value_;
  VectorClock released_{};
};

// A value that is no atomic, for the slots of a ring.
template <class T>
class Plain {
 public:
  Plain(T value = T()) : value_(value) {}  // NOLINT: stands for a T
  Plain(const Plain& other) : value_(other.Get()) {}
  Plain& operator=(const Plain& other) {
    const T value = other.Get();
    OnAccess(reads_, writes_, true);
    value_ = value;
    return *this;
  }
  T Get() const {
    OnAccess(reads_, writes_, false);
    return value_;
  }

 private:
  T value_;
  mutable VectorClock reads_{}, writes_{};
};

}  // namespace millrace::model

#endif  // MILLRACE_TESTS_INTERLEAVE_INTERLEAVE_H_

#include "interleave/interleave.h"

#include <ucontext.h>

#include <algorithm>

#include "millrace/base/check.h"

namespace millrace::model {
namespace {

constexpr size_t kStackBytes = 64 * 1024;

// Fibers are a thing of the process: one explorer at a time.
struct Fibers {
  Explorer* explorer = nullptr;
  ucontext_t scheduler{};
  std::array<ucontext_t, kFibersMax> contexts{};
  std::array<std::vector<char>, kFibersMax> stacks;
};

Fibers& TheFibers() {
  // tidy: allow(mutable-global) makecontext passes no pointer to what it starts
  static Fibers fibers;
  return fibers;
}

void FiberMain(int fiber) { TheFibers().explorer->Run(static_cast<size_t>(fiber)); }

}  // namespace

Explorer* Explorer::Current() { return TheFibers().explorer; }

VectorClock& Explorer::clock() { return clocks_[running_]; }

void Explorer::Run(size_t fiber) {
  program_->threads[fiber]();
  ended_ |= 1u << fiber;
  paused_ = 0;  // others may have waited for this
  swapcontext(&TheFibers().contexts[fiber], &TheFibers().scheduler);
}

void Explorer::Yield() {
  const size_t self = running_;
  paused_ = 0;
  swapcontext(&TheFibers().contexts[self], &TheFibers().scheduler);
}

void Explorer::Pause() {
  paused_ |= 1u << running_;
  swapcontext(&TheFibers().contexts[running_], &TheFibers().scheduler);
}

// Which of the fibers that can run is next: as in the order that is tried, or the first.
size_t Explorer::Choose() {
  std::array<size_t, kFibersMax> ready{};
  uint32_t count = 0;
  for (size_t i = 0; i < program_->threads.size(); ++i) {
    if (((ended_ | paused_) >> i & 1) == 0) ready[count++] = i;
  }
  MR_CHECK(count > 0);  // else all wait for each other: a deadlock of the program
  if (depth_ == choices_.size()) choices_.push_back({0, count});
  MR_CHECK(choices_[depth_].count == count);  // the program does the same in the same order
  return ready[choices_[depth_++].taken];
}

void Explorer::RunOnce(Program& program) {
  Fibers& fibers = TheFibers();
  program_ = &program;
  depth_ = 0;
  ended_ = paused_ = 0;
  clocks_ = {};
  const size_t count = program.threads.size();
  MR_CHECK(count <= kFibersMax);
  for (size_t i = 0; i < count; ++i) {
    clocks_[i][i] = 1;
    fibers.stacks[i].resize(kStackBytes);
    getcontext(&fibers.contexts[i]);
    fibers.contexts[i].uc_stack.ss_sp = fibers.stacks[i].data();
    fibers.contexts[i].uc_stack.ss_size = kStackBytes;
    fibers.contexts[i].uc_link = nullptr;
    makecontext(&fibers.contexts[i], reinterpret_cast<void (*)()>(&FiberMain), 1,
                static_cast<int>(i));
  }
  fibers.explorer = this;
  while (ended_ != (1u << count) - 1) {
    running_ = Choose();
    swapcontext(&fibers.scheduler, &fibers.contexts[running_]);
  }
  fibers.explorer = nullptr;
  if (program.after) program.after();
}

// The next order in depth-first search; false when all were tried.
bool Explorer::NextOrder() {
  choices_.resize(depth_);
  while (!choices_.empty() && choices_.back().taken + 1 == choices_.back().count) {
    choices_.pop_back();
  }
  if (choices_.empty()) return false;
  ++choices_.back().taken;
  return true;
}

uint64_t Explorer::Explore(const std::function<Program()>& program) {
  choices_.clear();
  races_ = 0;
  uint64_t runs = 0;
  do {
    Program instance = program();
    RunOnce(instance);
    ++runs;
  } while (races_ == 0 && NextOrder());
  return runs;
}

void OnLoad(const VectorClock& released, bool acquire) {
  Explorer* const explorer = Explorer::Current();
  if (explorer == nullptr) return;
  explorer->Yield();
  if (!acquire) return;
  VectorClock& mine = explorer->clock();
  for (size_t i = 0; i < kFibersMax; ++i) mine[i] = std::max(mine[i], released[i]);
}

void OnStore(VectorClock& released, bool release) {
  Explorer* const explorer = Explorer::Current();
  if (explorer == nullptr) return;
  explorer->Yield();
  released = release ? explorer->clock() : VectorClock{};
  ++explorer->clock()[explorer->fiber()];
}

void OnAccess(VectorClock& last_reads, VectorClock& last_writes, bool write) {
  Explorer* const explorer = Explorer::Current();
  if (explorer == nullptr) return;
  const size_t self = explorer->fiber();
  const VectorClock& mine = explorer->clock();
  for (size_t i = 0; i < kFibersMax; ++i) {
    if (i == self) continue;
    if (last_writes[i] > mine[i] || (write && last_reads[i] > mine[i])) explorer->CountRace();
  }
  (write ? last_writes : last_reads)[self] = mine[self];
}

}  // namespace millrace::model

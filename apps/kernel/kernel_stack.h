// kernel/kernel_stack.h - polls a KernelEngine and calls the application: what stack/stack.h is to
// our own engine. An application makes and gets the same calls, with a KernelSocket and a
// KernelEngine in the place of a Socket and an Engine; it consumes all that it receives.
#ifndef MILLRACE_APPS_KERNEL_KERNEL_STACK_H_
#define MILLRACE_APPS_KERNEL_KERNEL_STACK_H_

#include <sys/epoll.h>

#include <cstddef>

#include "apps/kernel/kernel_engine.h"

namespace millrace::apps {

template <class App>
class KernelStack {
 public:
  // Both outlive the stack.
  KernelStack(KernelEngine& engine, App& app) : engine_(engine), app_(app) {}

  // Returns how much was done.
  size_t Poll(Instant now) {
    // What is added while they are handled waits for the next poll: others are due before.
    const auto again = engine_.TakeAgain();
    for (const epoll_event& event : engine_.Events()) {
      Handle(KernelEngine::IdOf(event), event.events);
    }
    for (const stack::ConnectionId& id : again) Handle(id, engine_.TakeAgainEvents(id));
    engine_.CountSome(now);
    app_.OnPoll(engine_, now);
    DeliverOver();  // of what it has aborted
    return engine_.TakeWork();
  }
  // Waits until there is something to do, but for the application's own deadlines.
  void Wait(Duration most) { engine_.Wait(most); }

 private:
  static constexpr int kReadsMax = 4;  // of a connection that has more than others, in one poll

  void Handle(stack::ConnectionId id, uint32_t events) {
    if (events != 0) Visit(id, events);
    DeliverOver();
  }

  void Visit(stack::ConnectionId id, uint32_t events) {
    if (!engine_.IsOpen(id)) return;
    if (engine_.FinishConnect(id, events)) app_.OnOpen(KernelSocket(&engine_, id));
    if (!engine_.IsConnected(id)) return;
    if ((events & EPOLLOUT) != 0) engine_.Flush(id);
    constexpr uint32_t kReadable = EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR;
    if ((events & kReadable) == 0 || Receive(id, events)) engine_.Settle(id, events);
  }

  // False when there is more to read than others should have to wait for.
  bool Receive(stack::ConnectionId id, uint32_t events) {
    const KernelSocket socket(&engine_, id);
    const bool to_the_end = (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
    for (int i = 0; i < kReadsMax; ++i) {
      const KernelEngine::ReadResult read = engine_.Receive(id);
      if (read.kind == KernelEngine::ReadKind::kEnd) app_.OnPeerClosed(socket);
      if (read.kind != KernelEngine::ReadKind::kData) return true;
      app_.OnReceive(socket, read.data);
      if (!engine_.IsOpen(id) || (!read.more && !to_the_end)) return true;
    }
    engine_.LookAgain(id, events);
    return false;
  }

  void DeliverOver() {
    KernelEngine::Over over;
    while (engine_.TakeOver(&over)) {
      app_.OnClose(KernelSocket(&engine_, over.id), over.reason);
      engine_.Release(over.id);
    }
  }

  KernelEngine& engine_;
  App& app_;
};

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_KERNEL_KERNEL_STACK_H_

// preload.cc - LD_PRELOAD for packetdrill: what it asks of the C library and the object cannot see.
//
//   getsockopt  goes to the object first, which knows its own descriptors
//   dlopen      loses RTLD_DEEPBIND: with it sanitizers refuse to load
//   mlockall    does nothing: without root, locked memory is too little for a thread's stack

#include <dlfcn.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <atomic>

#include "packetdrill/interface.h"

namespace {

using millrace::packetdrill::OptionHook;

struct Registration {
  std::atomic<OptionHook> hook{nullptr};
  void* user_data = nullptr;
};

Registration& TheRegistration() {
  static Registration* const registration = new Registration();  // outlives every caller
  return *registration;
}

template <class Function>
Function Next(const char* name) {
  return reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
}

}  // namespace

extern "C" {

void millrace_packetdrill_register(OptionHook hook, void* user_data) {
  TheRegistration().user_data = user_data;
  TheRegistration().hook = hook;
}

int getsockopt(int fd, int level, int name, void* value, socklen_t* length) noexcept {
  const OptionHook hook = TheRegistration().hook;
  int result = 0;
  if (hook != nullptr &&
      hook(TheRegistration().user_data, fd, level, name, value, length, &result)) {
    return result;
  }
  using Original = int (*)(int, int, int, void*, socklen_t*);
  return Next<Original>("getsockopt")(fd, level, name, value, length);
}

void* dlopen(const char* file, int mode) noexcept {
  using Original = void* (*)(const char*, int);
  return Next<Original>("dlopen")(file, mode & ~RTLD_DEEPBIND);
}

int mlockall(int) noexcept { return 0; }

}  // extern "C"

// interface.cc - the exported symbol, and a plain function for each member of Interface.

#include "packetdrill/interface.h"

#include <dlfcn.h>

#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "packetdrill/posix.h"

namespace millrace::packetdrill {
namespace {

Posix& Of(void* user_data) { return *static_cast<Posix*>(user_data); }

iovec Piece(const void* data, size_t size) { return {const_cast<void*>(data), size}; }

std::span<const iovec> Pieces(const iovec* pieces, int count) {
  return {pieces, static_cast<size_t>(count < 0 ? 0 : count)};
}

ssize_t ReceiveFrom(void* posix, int fd, void* data, size_t size, int flags, sockaddr*,
                    socklen_t* length) {
  const iovec piece = Piece(data, size);
  if (length != nullptr) *length = 0;  // a connected stream socket names nobody
  return Of(posix).Receive(fd, {&piece, 1}, flags);
}

ssize_t SendTo(void* posix, int fd, const void* data, size_t size, int flags,
               const sockaddr* address, socklen_t length) {
  const iovec piece = Piece(data, size);
  return Of(posix).Send(fd, {&piece, 1}, flags, FromSockaddr(address, length));
}

int Control(void* posix, int fd, int command, ...) {
  va_list arguments;
  va_start(arguments, command);
  const int argument = va_arg(arguments, int);
  va_end(arguments);
  return Of(posix).Fcntl(fd, command, argument);
}

int IoControl(void* posix, int fd, unsigned long request, ...) {
  va_list arguments;
  va_start(arguments, request);
  int* const value = va_arg(arguments, int*);
  va_end(arguments);
  return Of(posix).Ioctl(fd, request, value);
}

// For %{ }% blocks, by way of the preloaded library.
bool OnGetOption(void* posix, int fd, int level, int name, void* value, socklen_t* length,
                 int* result) {
  if (!Of(posix).Owns(fd)) return false;
  *result = Of(posix).GetOption(fd, level, name, value, length);
  return true;
}

// To the preloaded library, when there is one.
void Announce(OptionHook hook, void* user_data) {
  const auto announce = reinterpret_cast<RegisterFunction>(dlsym(RTLD_DEFAULT, kRegisterSymbol));
  if (announce != nullptr) announce(hook, user_data);
}

void FillOpening(Interface& out) {
  // packetdrill comes here when its second thread has ended. When it gives up it exits instead,
  // and what a call may still sleep in is left alone.
  out.release = [](void* p) {
    Announce(nullptr, nullptr);
    delete &Of(p);
  };
  out.socket = [](void* p, int domain, int type, int protocol) {
    return Of(p).Socket(domain, type, protocol);
  };
  out.bind = [](void* p, int fd, const sockaddr* address, socklen_t length) {
    return Of(p).Bind(fd, address, length);
  };
  out.listen = [](void* p, int fd, int backlog) { return Of(p).Listen(fd, backlog); };
  out.accept = [](void* p, int fd, sockaddr* address, socklen_t* length) {
    return Of(p).Accept(fd, address, length);
  };
  out.connect = [](void* p, int fd, const sockaddr* address, socklen_t length) {
    return Of(p).Connect(fd, address, length);
  };
  out.close = [](void* p, int fd) { return Of(p).Close(fd); };
  out.shutdown = [](void* p, int fd, int how) { return Of(p).Shutdown(fd, how); };
}

void FillReading(Interface& out) {
  out.read = [](void* p, int fd, void* data, size_t size) {
    return ReceiveFrom(p, fd, data, size, 0, nullptr, nullptr);
  };
  out.readv = [](void* p, int fd, const iovec* pieces, int count) {
    return Of(p).Receive(fd, Pieces(pieces, count), 0);
  };
  out.recv = [](void* p, int fd, void* data, size_t size, int flags) {
    return ReceiveFrom(p, fd, data, size, flags, nullptr, nullptr);
  };
  out.recvfrom = ReceiveFrom;
  out.recvmsg = [](void* p, int fd, msghdr* message, int flags) {
    return Of(p).ReceiveMessage(fd, message, flags);
  };
}

void FillWriting(Interface& out) {
  out.write = [](void* p, int fd, const void* data, size_t size) {
    return SendTo(p, fd, data, size, 0, nullptr, 0);
  };
  out.writev = [](void* p, int fd, const iovec* pieces, int count) {
    return Of(p).Send(fd, Pieces(pieces, count), 0);
  };
  out.send = [](void* p, int fd, const void* data, size_t size, int flags) {
    return SendTo(p, fd, data, size, flags, nullptr, 0);
  };
  out.sendto = SendTo;
  out.sendmsg = [](void* p, int fd, const msghdr* message, int flags) {
    const auto to =
        FromSockaddr(static_cast<const sockaddr*>(message->msg_name), message->msg_namelen);
    return Of(p).Send(fd, {message->msg_iov, message->msg_iovlen}, flags, to);
  };
}

void FillOptions(Interface& out) {
  out.fcntl = Control;
  out.ioctl = IoControl;
  out.getsockopt = [](void* p, int fd, int level, int name, void* value, socklen_t* length) {
    return Of(p).GetOption(fd, level, name, value, length);
  };
  out.setsockopt = [](void* p, int fd, int level, int name, const void* value, socklen_t length) {
    return Of(p).SetOption(fd, level, name, value, length);
  };
}

void FillReadiness(Interface& out) {
  out.poll = [](void* p, pollfd* entries, nfds_t count, int timeout_ms) {
    return Of(p).Poll({entries, count}, timeout_ms);
  };
  out.epoll_create = [](void* p, int) { return Of(p).EpollCreate(); };
  out.epoll_ctl = [](void* p, int epoll_fd, int operation, int fd, epoll_event* event) {
    return Of(p).EpollControl(epoll_fd, operation, fd, event);
  };
  out.epoll_wait = [](void* p, int epoll_fd, epoll_event* events, int events_max, int timeout_ms) {
    const auto room = static_cast<size_t>(events_max < 0 ? 0 : events_max);
    return Of(p).EpollWait(epoll_fd, {events, room}, timeout_ms);
  };
  // Not offered: they move pages between descriptors of the kernel.
  out.pipe = [](void*, int*) { return Fail(ENOSYS); };
  out.splice = [](void*, int, loff_t*, int, loff_t*, size_t, unsigned) -> ssize_t {
    return Fail(ENOSYS);
  };
}

void FillPacketsAndTime(Interface& out) {
  out.packet_in = [](void* p, const void* packet, size_t size) {
    return Of(p).PacketIn({static_cast<const std::byte*>(packet), size});
  };
  out.packet_out = [](void* p, void* packet, size_t* size, long long* time_us) {
    return Of(p).PacketOut({static_cast<std::byte*>(packet), *size}, size, time_us);
  };
  out.sleep_us = [](void* p, useconds_t duration_us) { return Of(p).SleepUs(duration_us); };
  out.time_of_day = [](void* p, timeval* now, struct timezone*) { return Of(p).TimeOfDay(now); };
}

}  // namespace
}  // namespace millrace::packetdrill

void packetdrill_interface_init(const char* flags, millrace::packetdrill::Interface* out) {
  namespace packetdrill = millrace::packetdrill;
  std::string error;
  const auto settings = packetdrill::Settings::Parse(flags, &error);
  if (!settings.has_value()) {
    std::fprintf(stderr, "%s\n", error.c_str());
    std::exit(EXIT_FAILURE);
  }
  *out = packetdrill::Interface();
  out->user_data = new packetdrill::Posix(*settings);
  packetdrill::FillOpening(*out);
  packetdrill::FillReading(*out);
  packetdrill::FillWriting(*out);
  packetdrill::FillOptions(*out);
  packetdrill::FillReadiness(*out);
  packetdrill::FillPacketsAndTime(*out);
  packetdrill::Announce(packetdrill::OnGetOption, out->user_data);
}

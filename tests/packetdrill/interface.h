// packetdrill/interface.h - what packetdrill's --so_filename asks of a shared object.
//
// packetdrill loads the object, calls packetdrill_interface_init once and from then on makes every
// call of a script through the members of Interface, in place of the system's. Results and errno
// are those of the POSIX call of the same name. The order of the members is packetdrill's.
// Threading: calls come from two threads, see blocking.h.
#ifndef MILLRACE_PACKETDRILL_INTERFACE_H_
#define MILLRACE_PACKETDRILL_INTERFACE_H_

#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/uio.h>

#include <cstddef>

namespace millrace::packetdrill {

// Every member takes `user_data` first.
struct Interface {
  void* user_data;
  void (*release)(void*);
  int (*socket)(void*, int domain, int type, int protocol);
  int (*bind)(void*, int fd, const sockaddr* address, socklen_t length);
  int (*listen)(void*, int fd, int backlog);
  int (*accept)(void*, int fd, sockaddr* address, socklen_t* length);
  int (*connect)(void*, int fd, const sockaddr* address, socklen_t length);
  ssize_t (*read)(void*, int fd, void* data, size_t size);
  ssize_t (*readv)(void*, int fd, const iovec* pieces, int count);
  ssize_t (*recv)(void*, int fd, void* data, size_t size, int flags);
  ssize_t (*recvfrom)(void*, int fd, void* data, size_t size, int flags, sockaddr* address,
                      socklen_t* length);
  ssize_t (*recvmsg)(void*, int fd, msghdr* message, int flags);
  ssize_t (*write)(void*, int fd, const void* data, size_t size);
  ssize_t (*writev)(void*, int fd, const iovec* pieces, int count);
  ssize_t (*send)(void*, int fd, const void* data, size_t size, int flags);
  ssize_t (*sendto)(void*, int fd, const void* data, size_t size, int flags,
                    const sockaddr* address, socklen_t length);
  ssize_t (*sendmsg)(void*, int fd, const msghdr* message, int flags);
  int (*fcntl)(void*, int fd, int command, ...);
  int (*ioctl)(void*, int fd, unsigned long request, ...);
  int (*close)(void*, int fd);
  int (*shutdown)(void*, int fd, int how);
  int (*getsockopt)(void*, int fd, int level, int name, void* value, socklen_t* length);
  int (*setsockopt)(void*, int fd, int level, int name, const void* value, socklen_t length);
  int (*poll)(void*, pollfd* entries, nfds_t count, int timeout_ms);
  // One whole IP packet to the stack, and the next one from it with its time. The second waits in
  // virtual time; a size of 0 says that nothing comes.
  int (*packet_in)(void*, const void* packet, size_t size);
  int (*packet_out)(void*, void* packet, size_t* size, long long* time_us);
  int (*sleep_us)(void*, useconds_t duration_us);
  int (*time_of_day)(void*, timeval* now, struct timezone* zone);
  int (*epoll_create)(void*, int size);
  int (*epoll_ctl)(void*, int epoll_fd, int operation, int fd, epoll_event* event);
  int (*epoll_wait)(void*, int epoll_fd, epoll_event* events, int events_max, int timeout_ms);
  int (*pipe)(void*, int fds[2]);
  ssize_t (*splice)(void*, int in, loff_t* in_offset, int out, loff_t* out_offset, size_t size,
                    unsigned flags);
};

static_assert(sizeof(Interface) == 33 * sizeof(void*));

// What packetdrill asks the C library and not the object, for %{ tcpi_... }% blocks: the library
// of preload.cc registers here and passes getsockopt on. False: not a socket of the object.
using OptionHook = bool (*)(void* user_data, int fd, int level, int name, void* value,
                            socklen_t* length, int* result);
inline constexpr char kRegisterSymbol[] = "millrace_packetdrill_register";
using RegisterFunction = void (*)(OptionHook hook, void* user_data);

}  // namespace millrace::packetdrill

// The exported symbol. `flags` is packetdrill's --so_flags, or null; see settings.h.
extern "C" void packetdrill_interface_init(const char* flags,
                                           millrace::packetdrill::Interface* out);

#endif  // MILLRACE_PACKETDRILL_INTERFACE_H_

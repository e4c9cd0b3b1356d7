// control/control_socket.h - a UNIX socket on which lines come in and a line each goes out.
//
// Nothing waits: whoever watches the workers polls it. A client has one line under way at a time;
// what it sends meanwhile waits in the kernel. Only the user whose process this is may connect.
// Bounds: kClientsMax clients, kLineMax octets of a line, one reply per client.
#ifndef MILLRACE_APPS_CONTROL_CONTROL_SOCKET_H_
#define MILLRACE_APPS_CONTROL_CONTROL_SOCKET_H_

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace millrace::apps {

class ControlSocket {
 public:
  static constexpr size_t kClientsMax = 16;
  static constexpr size_t kLineMax = 1024;

  struct Line {
    uint64_t client;
    std::string text;
  };

  // Takes the place of a socket file that nobody serves any more, and of nothing else.
  static absl::StatusOr<std::unique_ptr<ControlSocket>> Open(const std::string& path);
  // A connection to such a socket, blocking; the caller closes it.
  static absl::StatusOr<int> Connect(const std::string& path);
  ~ControlSocket();
  ControlSocket(const ControlSocket&) = delete;
  ControlSocket& operator=(const ControlSocket&) = delete;

  // Lines that are complete; each is to be answered by one Reply, now or later.
  std::vector<Line> Poll();
  // `line` without its end. Of a client that is gone: nothing happens.
  void Reply(uint64_t client, std::string_view line);

 private:
  struct Client {
    uint64_t id;
    int fd;
    std::string in, out;
    bool waits = false;   // for a reply
    bool at_end = false;  // it sends no more
    bool broken = false;  // to be closed
  };

  ControlSocket() = default;
  void Accept();
  void Receive(Client& client, std::vector<Line>& lines);
  void Send(Client& client);

  std::string path_;
  dev_t device_ = 0;  // of the socket that was made there
  ino_t inode_ = 0;
  int fd_ = -1;
  uint64_t next_id_ = 1;
  std::vector<Client> clients_;
};

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_CONTROL_CONTROL_SOCKET_H_

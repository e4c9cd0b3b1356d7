// differential/kernel_host.h - the Linux kernel's TCP behind a TUN device, one segment at a time.
//
// The process moves into a network namespace of its own, which goes away with it, and talks to the
// kernel in IP packets: a write into the device is processed before it returns, and what the kernel
// answers waits there to be read. Needs root and /dev/net/tun.
#ifndef MILLRACE_TESTS_DIFFERENTIAL_KERNEL_HOST_H_
#define MILLRACE_TESTS_DIFFERENTIAL_KERNEL_HOST_H_

#include <cstdint>
#include <string>
#include <vector>

#include "model/lockstep.h"

namespace millrace::differential {

class KernelHost {
 public:
  static constexpr uint32_t kAddress = 0x0A09'0001;  // 10.9.0.1, of the kernel; /16 is the peer's
  static constexpr uint16_t kListenPort = 80;

  KernelHost() = default;
  ~KernelHost();
  KernelHost(const KernelHost&) = delete;
  KernelHost& operator=(const KernelHost&) = delete;

  // Empty, or why it cannot be done here. Once per process.
  std::string Start();

  void Write(const std::vector<std::byte>& packet);
  // The next packet that the kernel sent; empty when there is none.
  std::vector<std::byte> Read();
  int listener() const { return listener_; }

 private:
  int tun_ = -1, listener_ = -1;
};

// One connection of the kernel's, the peer of which is the test; numbers are relative to the ISNs,
// as the model and the trace count them.
class KernelConnection {
 public:
  // `index` chooses the peer's address and port: no two connections of a run share them.
  KernelConnection(KernelHost& host, model::Opening opening, uint32_t index, uint32_t peer_isn);
  ~KernelConnection();
  KernelConnection(const KernelConnection&) = delete;
  KernelConnection& operator=(const KernelConnection&) = delete;

  void Receives(const model::Segment& segment);
  void Send(uint32_t octets);
  void Shutdown();
  void Abort();
  // What the kernel sent since, delayed ACKs made to go at once.
  std::vector<model::Segment> TakeSent();
  bool has_user() const { return socket_ >= 0; }
  // The next SYN of the kernel begins a new connection.
  void ForgetIsn() { isn_known_ = false; }

 private:
  void Accept();
  void Settle();

  KernelHost& host_;
  uint32_t peer_address_, peer_isn_;
  uint16_t peer_port_, local_port_;
  uint32_t isn_ = 0;
  bool isn_known_ = false;
  int socket_ = -1;
};

}  // namespace millrace::differential

#endif  // MILLRACE_TESTS_DIFFERENTIAL_KERNEL_HOST_H_

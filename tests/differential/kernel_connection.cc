#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>

#include "differential/kernel_host.h"
#include "millrace/base/endian.h"
#include "millrace/wire/checksum.h"
#include "millrace/wire/ipv4.h"
#include "millrace/wire/tcp_header.h"
#include "testing/trace.h"

namespace millrace::differential {
namespace {

using model::kAck;
using model::Segment;

sockaddr_in Address(uint32_t address, uint16_t port) {
  sockaddr_in name{};
  name.sin_family = AF_INET;
  name.sin_addr.s_addr = htonl(address);
  name.sin_port = htons(port);
  return name;
}

void SetInt(int socket, int level, int option, int value) {
  setsockopt(socket, level, option, &value, sizeof(value));
}

}  // namespace

KernelConnection::KernelConnection(KernelHost& host, model::Opening opening, uint32_t index,
                                   uint32_t peer_isn)
    : host_(host),
      peer_address_((KernelHost::kAddress & 0xFFFF'0000) + 2 + index / 50'000),
      peer_isn_(peer_isn),
      peer_port_(static_cast<uint16_t>(10'000 + index % 50'000)),
      local_port_(KernelHost::kListenPort) {
  if (opening == model::Opening::kPassive) return;
  local_port_ = 90;  // the same for all: the peers differ
  socket_ = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  SetInt(socket_, SOL_SOCKET, SO_REUSEADDR, 1);
  SetInt(socket_, IPPROTO_TCP, TCP_NODELAY, 1);
  sockaddr_in local = Address(KernelHost::kAddress, local_port_);
  sockaddr_in remote = Address(peer_address_, peer_port_);
  if (bind(socket_, reinterpret_cast<sockaddr*>(&local), sizeof(local)) != 0) std::abort();
  connect(socket_, reinterpret_cast<sockaddr*>(&remote), sizeof(remote));
}

KernelConnection::~KernelConnection() {
  Abort();
  TakeSent();
}

void KernelConnection::Receives(const Segment& segment) {
  wire::TcpFields fields{.source_port = peer_port_,
                         .destination_port = local_port_,
                         .seq = SeqNum(peer_isn_ + segment.seq),
                         .ack = SeqNum(segment.Has(kAck) ? isn_ + segment.ack : 0),
                         .flags = static_cast<wire::Flags>(segment.flags),
                         .window = static_cast<uint16_t>(segment.window),
                         .urgent = 0,
                         .options = {}};
  const uint16_t length = static_cast<uint16_t>(20 + segment.text);
  std::vector<std::byte> packet(20u + length);
  wire::EmitIpv4(packet.data(),
                 {.total_length = static_cast<uint16_t>(packet.size()),
                  .ttl = 64,
                  .protocol = wire::kIpProtocolTcp,
                  .source = peer_address_,
                  .destination = KernelHost::kAddress},
                 true);
  std::byte* const tcp = packet.data() + 20;
  wire::EmitTcp(tcp, fields);
  const std::string text = testing::Octets(segment.text);
  std::memcpy(tcp + 20, text.data(), text.size());
  StoreBe16(tcp + wire::kTcpChecksumAt,
            wire::TcpChecksumV4(peer_address_, KernelHost::kAddress, tcp, length));
  host_.Write(packet);
  if (local_port_ == KernelHost::kListenPort) Accept();
}

void KernelConnection::Accept() {
  sockaddr_in peer{};
  socklen_t length = sizeof(peer);
  const int accepted =
      accept4(host_.listener(), reinterpret_cast<sockaddr*>(&peer), &length, SOCK_NONBLOCK);
  if (accepted < 0) return;
  if (socket_ >= 0) close(socket_);  // of the incarnation before
  socket_ = accepted;
  SetInt(socket_, IPPROTO_TCP, TCP_NODELAY, 1);
}

void KernelConnection::Send(uint32_t octets) {
  const std::string text = testing::Octets(octets);
  if (send(socket_, text.data(), text.size(), MSG_NOSIGNAL) < 0) return;
}

void KernelConnection::Shutdown() { shutdown(socket_, SHUT_WR); }

void KernelConnection::Abort() {
  if (socket_ < 0) return;
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  setsockopt(socket_, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
  close(socket_);
  socket_ = -1;
}

void KernelConnection::Settle() {
  if (socket_ < 0) return;
  char text[4096];
  while (recv(socket_, text, sizeof(text), 0) > 0) {
  }
  SetInt(socket_, IPPROTO_TCP, TCP_QUICKACK, 1);
}

std::vector<Segment> KernelConnection::TakeSent() {
  Settle();
  std::vector<Segment> sent;
  for (std::vector<std::byte> packet = host_.Read(); !packet.empty(); packet = host_.Read()) {
    const std::byte* const ip = packet.data();
    const std::byte* const tcp = ip + 20;
    if (LoadU8(ip) != 0x45 || LoadU8(ip + wire::kIpv4ProtocolAt) != wire::kIpProtocolTcp) continue;
    // A late retransmission of another connection.
    if (LoadBe32(ip + wire::kIpv4DestinationAt) != peer_address_) continue;
    if (LoadBe16(tcp + wire::kTcpDestinationPortAt) != peer_port_) continue;
    const uint32_t header = (LoadU8(tcp + wire::kTcpDataOffsetAt) >> 4) * 4u;
    Segment s;
    s.flags = LoadU8(tcp + wire::kTcpFlagsAt) & 0x3F & ~model::kPsh;
    const uint32_t seq = LoadBe32(tcp + wire::kTcpSeqAt);
    if (s.Has(model::kSyn) && !isn_known_) {
      isn_ = seq;
      isn_known_ = true;
    }
    s.seq = seq - isn_;
    if (s.Has(kAck)) s.ack = LoadBe32(tcp + wire::kTcpAckAt) - peer_isn_;
    s.text = LoadBe16(ip + wire::kIpv4TotalLengthAt) - 20 - header;
    s.window = 0;
    sent.push_back(s);
  }
  return sent;
}

}  // namespace millrace::differential

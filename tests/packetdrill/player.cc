#include "packetdrill/player.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "millrace/base/endian.h"
#include "millrace/wire/checksum.h"
#include "millrace/wire/ipv4.h"
#include "millrace/wire/tcp_header.h"

namespace millrace::packetdrill {
namespace {

constexpr uint32_t kOurAddress = 0xC0A8'0001, kPeerAddress = 0xC000'0201, kPeerFirst = 7'000'000;

sockaddr_in AddressOf(uint32_t address, uint16_t port) {
  sockaddr_in in{};
  in.sin_family = AF_INET;
  in.sin_port = htons(port);
  in.sin_addr.s_addr = htonl(address);
  return in;
}

// packetdrill's own test: the third field of the thread's stat.
bool IsAsleep(int thread_id) {
  std::ifstream file("/proc/self/task/" + std::to_string(thread_id) + "/stat");
  std::string id, name, state;
  file >> id >> name >> state;
  return state == "S";
}

}  // namespace

std::ostream& operator<<(std::ostream& out, const Packet& p) {
  constexpr const char* kNames = "FSRP.U";
  for (int bit = 0; bit < 6; ++bit) {
    if ((p.flags >> bit & 1) != 0) out << kNames[bit];
  }
  return out << ' ' << p.seq << ':' << p.seq + p.length << '(' << p.length << ") ack " << p.ack
             << " at " << p.time_us << " us";
}

Player::Player(const char* flags) {
  const char* const path = std::getenv("MILLRACE_PACKETDRILL_OBJECT");
  library_ = dlopen(path == nullptr ? "./millrace-packetdrill.so" : path, RTLD_NOW | RTLD_LOCAL);
  if (library_ == nullptr) {
    ADD_FAILURE() << dlerror();
    std::abort();
  }
  using Init = void (*)(const char*, Interface*);
  reinterpret_cast<Init>(dlsym(library_, "packetdrill_interface_init"))(flags, &interface_);
}

Player::~Player() {
  if (thread_.joinable()) thread_.join();
  interface_.release(posix());
  dlclose(library_);
}

int64_t Player::NowUs() {
  timeval now{};
  interface_.time_of_day(posix(), &now, nullptr);
  return int64_t{now.tv_sec} * 1'000'000 + now.tv_usec;
}

void Player::Inject(const Packet& packet) {
  std::vector<std::byte> octets(wire::kIpv4HeaderBytes + wire::kTcpHeaderBytesMax + packet.length);
  std::byte* const tcp = octets.data() + wire::kIpv4HeaderBytes;
  wire::TcpFields fields{.source_port = kPeerPort,
                         .destination_port = kOurPort,
                         .seq = SeqNum(kPeerFirst + packet.seq),
                         .ack = SeqNum(our_first_ + packet.ack),
                         .flags = static_cast<wire::Flags>(packet.flags),
                         .window = packet.window};
  if (packet.mss != 0) fields.options.present |= wire::kMssOption;
  if (packet.window_scale != 0) fields.options.present |= wire::kWindowScaleOption;
  const std::array<wire::SackBlock, 2> cookie{};
  if (packet.cookie_bytes != 0) {
    fields.options.present |= wire::kFastOpenOption;
    fields.options.sack = cookie.data();
    fields.options.sack_count = static_cast<uint8_t>(2 + packet.cookie_bytes);
  }
  fields.options.mss = packet.mss;
  fields.options.window_scale = packet.window_scale;
  const auto length = static_cast<uint16_t>(wire::EmitTcp(tcp, fields) + packet.length);
  StoreBe16(tcp + wire::kTcpChecksumAt,
            wire::TcpChecksumV4(kPeerAddress, kOurAddress, tcp, length));
  const auto total = static_cast<uint16_t>(wire::kIpv4HeaderBytes + length);
  wire::EmitIpv4(octets.data(),
                 {.total_length = total,
                  .ttl = 64,
                  .protocol = wire::kIpProtocolTcp,
                  .source = kPeerAddress,
                  .destination = kOurAddress},
                 true);
  EXPECT_EQ(interface_.packet_in(posix(), octets.data(), total), 0);
}

std::optional<Packet> Player::Next() {
  std::vector<std::byte> octets(4096);
  size_t size = octets.size();
  long long time_us = 0;
  EXPECT_EQ(interface_.packet_out(posix(), octets.data(), &size, &time_us), 0);
  if (size == 0) return std::nullopt;
  const std::byte* const tcp = octets.data() + wire::kIpv4HeaderBytes;
  Packet packet;
  packet.flags = LoadU8(tcp + wire::kTcpFlagsAt);
  const uint32_t seq = LoadBe32(tcp + wire::kTcpSeqAt);
  if ((packet.flags & wire::kSyn) != 0 || !our_first_known_) our_first_ = seq;
  our_first_known_ = true;
  packet.seq = seq - our_first_;
  if ((packet.flags & wire::kAck) != 0) packet.ack = LoadBe32(tcp + wire::kTcpAckAt) - kPeerFirst;
  const uint32_t header = LoadU8(tcp + wire::kTcpDataOffsetAt) / 16 * 4u;
  packet.length = static_cast<uint32_t>(size) - wire::kIpv4HeaderBytes - header;
  packet.time_us = time_us;
  packet.window = LoadBe16(tcp + wire::kTcpWindowAt);
  return packet;
}

sockaddr_in Player::PeerAddress() { return AddressOf(kPeerAddress, kPeerPort); }
sockaddr_in Player::OurAddress() { return AddressOf(kOurAddress, kOurPort); }

int Player::Listen(int backlog) {
  const int fd = interface_.socket(posix(), AF_INET, SOCK_STREAM, IPPROTO_TCP);
  EXPECT_GE(fd, 0);
  const sockaddr_in address = OurAddress();
  const auto* generic = reinterpret_cast<const sockaddr*>(&address);
  EXPECT_EQ(interface_.bind(posix(), fd, generic, sizeof address), 0);
  EXPECT_EQ(interface_.listen(posix(), fd, backlog), 0);
  return fd;
}

int Player::Accept(int listener, Packet syn) {
  syn.flags = wire::kSyn;
  Inject(syn);
  EXPECT_EQ(Next(), (Packet{.flags = wire::kSyn | wire::kAck, .seq = 0, .ack = 1}));
  Sleep(10'000);
  Inject({.flags = wire::kAck, .seq = 1, .ack = 1, .window = syn.window});
  return interface_.accept(posix(), listener, nullptr, nullptr);
}

int Player::StartConnect() {
  const int fd = interface_.socket(posix(), AF_INET, SOCK_STREAM, IPPROTO_TCP);
  const sockaddr_in ours = OurAddress(), peer = PeerAddress();
  EXPECT_EQ(interface_.bind(posix(), fd, reinterpret_cast<const sockaddr*>(&ours), sizeof ours), 0);
  EXPECT_EQ(interface_.fcntl(posix(), fd, F_SETFL, O_RDWR | O_NONBLOCK), 0);
  EXPECT_EQ(interface_.connect(posix(), fd, reinterpret_cast<const sockaddr*>(&peer), sizeof peer),
            -1);
  EXPECT_EQ(errno, EINPROGRESS);
  EXPECT_EQ(Next(), (Packet{.flags = wire::kSyn}));
  return fd;
}

void Player::Begin(std::function<void()> call) {
  if (thread_.joinable()) thread_.join();
  done_ = false;
  thread_id_ = 0;
  thread_ = std::thread([this, call = std::move(call)] {
    thread_id_ = gettid();
    call();
    done_ = true;  // before the clock is read: from then on the main thread goes on
    end_us_ = NowUs();
  });
  while (thread_id_ == 0 || (!done_ && !IsAsleep(thread_id_))) std::this_thread::yield();
}

int64_t Player::Finish() {
  thread_.join();
  return end_us_;
}

}  // namespace millrace::packetdrill

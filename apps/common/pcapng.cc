#include "apps/common/pcapng.h"

#include <cerrno>
#include <cstring>

namespace millrace::apps {
namespace {

// The byte-order magic says which order this is.
template <class T>
void Append(std::string& block, T value) {
  block.append(reinterpret_cast<const char*>(&value), sizeof value);
}

constexpr size_t Padded(size_t bytes) { return (bytes + 3) & ~size_t{3}; }

void AppendPadded(std::string& block, std::string_view octets) {
  block += octets;
  block.append(Padded(octets.size()) - octets.size(), '\0');
}

void AppendOption(std::string& block, uint16_t code, std::string_view value) {
  Append(block, code);
  Append(block, static_cast<uint16_t>(value.size()));
  AppendPadded(block, value);
}

constexpr uint16_t kEndOfOptions = 0, kComment = 1;

// "Block Total Length" stands in front of the body and behind it.
std::string BlockOf(uint32_t type, const std::string& body) {
  const auto total = static_cast<uint32_t>(body.size() + 12);
  std::string block;
  Append(block, type);
  Append(block, total);
  block += body;
  Append(block, total);
  return block;
}

std::string SectionHeader(std::string_view program) {
  constexpr uint32_t kType = 0x0A0D'0D0A, kByteOrderMagic = 0x1A2B'3C4D;
  constexpr uint16_t kMajor = 1, kMinor = 0, kUserApplication = 4;
  constexpr int64_t kLengthNotSaid = -1;
  std::string body;
  Append(body, kByteOrderMagic);
  Append(body, kMajor);
  Append(body, kMinor);
  Append(body, kLengthNotSaid);
  AppendOption(body, kUserApplication, program);
  AppendOption(body, kEndOfOptions, "");
  return BlockOf(kType, body);
}

std::string InterfaceDescription(uint32_t snap_bytes) {
  constexpr uint32_t kType = 1;
  constexpr uint16_t kLinkTypeEthernet = 1, kReserved = 0, kTimeResolution = 9;
  constexpr std::string_view kNanoseconds = "\x09";  // ten to the minus nine
  std::string body;
  Append(body, kLinkTypeEthernet);
  Append(body, kReserved);
  Append(body, snap_bytes);
  AppendOption(body, kTimeResolution, kNanoseconds);
  AppendOption(body, kEndOfOptions, "");
  return BlockOf(kType, body);
}

std::string EnhancedPacket(const PcapngWriter::Packet& packet) {
  constexpr uint32_t kType = 6, kInterface = 0, kInbound = 1, kOutbound = 2;
  constexpr uint16_t kFlags = 2;
  const auto time_ns = static_cast<uint64_t>(packet.time_unix_ns);
  std::string body;
  Append(body, kInterface);
  Append(body, static_cast<uint32_t>(time_ns >> 32));
  Append(body, static_cast<uint32_t>(time_ns));
  Append(body, static_cast<uint32_t>(packet.frame.size()));
  Append(body, packet.length);
  AppendPadded(body, {reinterpret_cast<const char*>(packet.frame.data()), packet.frame.size()});
  std::string flags;
  Append(flags, packet.sent ? kOutbound : kInbound);
  AppendOption(body, kFlags, flags);
  if (!packet.comment.empty()) AppendOption(body, kComment, packet.comment);
  AppendOption(body, kEndOfOptions, "");
  return BlockOf(kType, body);
}

}  // namespace

PcapngWriter::PcapngWriter(const std::string& path, std::string_view program, uint32_t snap_bytes)
    : path_(path), file_(std::fopen(path.c_str(), "wbe")) {
  if (file_ == nullptr) error_ = errno;
  Put(SectionHeader(program));
  Put(InterfaceDescription(snap_bytes));
}

void PcapngWriter::Put(const std::string& block) {
  if (error_ != 0) return;
  if (std::fwrite(block.data(), 1, block.size(), file_.get()) != block.size()) error_ = errno;
  bytes_ += block.size();
}

void PcapngWriter::Write(const Packet& packet) { Put(EnhancedPacket(packet)); }

uint64_t PcapngWriter::BytesOf(const Packet& packet) {
  constexpr uint64_t kFixed = 12 + 20 + 8 + 4;  // block, its fields, flags, end of options
  const uint64_t comment = packet.comment.empty() ? 0 : 4 + Padded(packet.comment.size());
  return kFixed + Padded(packet.frame.size()) + comment;
}

absl::Status PcapngWriter::Close() {
  if (error_ == 0 && std::fflush(file_.get()) != 0) error_ = errno;
  file_.reset();
  if (error_ == 0) return absl::OkStatus();
  return absl::FailedPreconditionError("cannot write " + path_ + ": " + std::strerror(error_));
}

}  // namespace millrace::apps

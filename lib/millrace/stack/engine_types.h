// stack/engine_types.h - what the engine answers its callers with, and what it leaves for Stack to
// send. Values of one poll.
#ifndef MILLRACE_STACK_ENGINE_TYPES_H_
#define MILLRACE_STACK_ENGINE_TYPES_H_

#include <array>
#include <cstddef>
#include <cstdint>

#include "millrace/base/ip_address.h"
#include "millrace/stack/flow_key.h"
#include "millrace/stack/flow_table.h"
#include "millrace/stack/records.h"
#include "millrace/tcp/connection.h"
#include "millrace/tcp/half_open.h"
#include "millrace/wire/frame.h"

namespace millrace::stack {

enum class [[nodiscard]] ListenResult : uint8_t{kOk, kInUse, kNotOurs, kUnsupported};
enum class [[nodiscard]] ConnectResult : uint8_t{
    kOk,
    kNoPorts,      // every (address, port) for this destination is in use or in TIME-WAIT
    kNoMemory,     // the pool or the table is full
    kNoRoute,      // not on the attached network and no gateway, or no room for the neighbour
    kBadAddress,   // unspecified, multicast, broadcast or our own (MUST-46), or port 0
    kUnsupported,  // an address family that the engine does not carry
};
const char* ToString(ConnectResult result);
const char* ToString(ListenResult result);

// An answer that belongs to no connection block: SYN-ACK, RST, ACK from TIME-WAIT.
struct StatelessReply {
  FlowKey key;
  uint16_t neighbor;  // Neighbors::kNone: look the next hop up
  tcp::TxSegment segment;
};

// Small frames of the control path, built already but for the destination MAC address.
struct ControlFrame {
  static constexpr size_t kBytesMax = 128;
  uint16_t length = 0;
  std::array<std::byte, kBytesMax> bytes;
};

// Received packets to be sent back as they are now: echo replies built in place.
struct Bounce {
  wire::PacketHandle packet;
  uint32_t length;
};

// Packets parked for a neighbour whose address is now known.
struct Unparked {
  wire::PacketHandle packet;
  MacAddress destination;
};

// Where the pools keep their keys, by FlowKind: an address is computed where else there would be a
// branch over the kinds.
struct KeyPlace {
  const std::byte* first;
  size_t stride;
};

// Where the records of a kind would begin if their references, the kind included, were indexes.
struct RecordPlace {
  uintptr_t first;
  size_t stride;
};

// What is known of a received frame.
struct Parsed {
  wire::ParsedFrame frame;
  FlowKey key;
  uint64_t hash = 1;                    // one of FlowTable::Hash
  FlowTable::HomePlace home = nullptr;  // of the hash
  const FlowRef* place;    // where the table has an entry that may be the flow's, or null
  Connection* connection;  // the one that the entry names, or one that is nobody's
  uint64_t tuple_hash;     // of an opening SYN of no flow that was seen: see MayOpen

  // Whether `tuple_hash` was computed, together with those of the burst's other SYNs.
  bool MayOpen() const {
    return place == nullptr && tcp::IsOpeningSyn(frame.tcp) && frame.kind == wire::FrameKind::kTcp;
  }
};

// Where a flow over IPv4 went; the index counts in that era of the neighbours only.
struct LastHop {
  uint32_t destination_v4 = 0;  // 0: there was none
  uint32_t era = 0;
  uint16_t neighbor = 0;
};

// A walk over the connections while there is hardly any room for more (engine_pressure.cc).
struct Pressure {
  static constexpr uint8_t kNobody = UINT8_MAX;
  uint32_t cursor = 0;
  uint8_t threshold = kNobody;  // who has been stuck for so long goes
  uint8_t worst = 0;            // of those that stay
};

}  // namespace millrace::stack

#endif  // MILLRACE_STACK_ENGINE_TYPES_H_

// Two stacks over a link that cuts every large packet in pieces and loses, repeats and reorders
// them: without reassembly nothing large gets through, with it every octet does.

#include "testing/fragments.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "millrace/sim/host.h"
#include "millrace/sim/link.h"
#include "millrace/sim/world.h"
#include "millrace/stack/reassembling_port.h"
#include "testing/transfer.h"

namespace millrace::testing {
namespace {

constexpr uint64_t kOctets = 300'000;
constexpr uint32_t kPieceBytes = 552;  // behind the IP header
constexpr uint32_t kLongFrame = 640;   // beyond every piece with its headers

sim::SimPortOptions PortOf(uint8_t last) {
  sim::SimPortOptions options;
  options.capabilities.mac = {{2, 0, 0, 0, 0, last}};
  return options;
}

stack::EngineConfig ConfigOf(bool v6, const char* last) {
  stack::EngineConfig config;
  if (v6) {
    config.host_v6.address = *IpPrefix::Parse(std::string("2001:db8::") + last + "/64");
  } else {
    config.address = *IpPrefix::Parse(std::string("10.0.0.") + last + "/24");
  }
  config.limits = {.connections = 16,
                   .half_open = 16,
                   .time_wait = 64,
                   .send_extents = 4096,
                   .send_chunks = 4096,
                   .receive_nodes = 4096,
                   .recoveries = 16,
                   .sent_runs = 1024,
                   .address_pairs = 64};
  config.pages = Region::Pages::kPlain;
  return config;
}

// The receiver, whose port puts fragments together.
struct Receiver {
  using Port = stack::ReassemblingPort<sim::SimPort>;

  Receiver(sim::World& w, const stack::EngineConfig& config)
      : world(w),
        inner(PortOf(2)),
        port(inner, stack::ReassemblyConfig{.datagrams_max = 16}),
        stack(port, app, config, sim::DrawSecrets(w), w.now()),
        node(stack, inner) {
    world.Add(node);
  }
  ~Receiver() { world.Remove(node); }

  sim::World& world;
  sim::SimPort inner;
  Port port;
  BulkReceiver app;
  stack::Stack<Port, BulkReceiver> stack;
  sim::PolledNode<stack::Stack<Port, BulkReceiver>, sim::SimPort> node;
};

// Makes a router with a small MTU of a link: pieces of what is too long, in an order of the dice.
void CutOn(sim::Link& link, Prng& dice, uint32_t& next_id) {
  link.SetFilter([&link, &dice, &next_id](Instant now, const sim::Frame& frame) {
    if (frame.length() <= kLongFrame) return false;
    auto pieces = SplitFrame(frame.octets(), kPieceBytes, ++next_id);
    if (dice.Chance(0.3)) std::reverse(pieces.begin(), pieces.end());
    for (const auto& piece : pieces) link.Send(now, sim::Frame::CopyOf(piece));
    return true;
  });
}

void RunTransfer(bool v6, const sim::Impairment& impairment, uint64_t* timed_out) {
  sim::World world(impairment.seed);
  sim::Host<BulkSender> sender(world, PortOf(1), ConfigOf(v6, "1"), kOctets);
  Receiver receiver(world, ConfigOf(v6, "2"));
  sim::Cable cable(world, sender.port(), receiver.inner, impairment, {});
  Prng dice(impairment.seed);
  uint32_t next_id = 0;
  CutOn(cable.forward, dice, next_id);
  ASSERT_EQ(receiver.stack.engine().Listen({v6 ? IpAddress() : IpAddress::V4(0), 80}, 4),
            stack::ListenResult::kOk);
  world.RunFor(Duration::Seconds(2));  // duplicate address detection
  const Endpoint server{*IpAddress::Parse(v6 ? "2001:db8::2" : "10.0.0.2"), 80};
  ASSERT_EQ(sender.engine().Connect(server, 0, nullptr), stack::ConnectResult::kOk);
  sender.Wake();
  (void)world.RunUntil([&] { return receiver.app.closed == 1; },
                       world.now() + Duration::Seconds(600));
  ASSERT_EQ(receiver.app.received.size(), 1u);
  EXPECT_EQ(receiver.app.received[0], kOctets);
  EXPECT_EQ(receiver.app.wrong, 0u);
  const stack::ReassemblyCounters& c = receiver.port.reassembler().counters();
  EXPECT_GE(c.reassembled, kOctets / 1460);
  EXPECT_EQ(receiver.stack.engine().counters().dropped(wire::DropReason::kIpFragment), 0u);
  *timed_out += c.timed_out + c.evicted;
}

// IPL-01, IPL-03, over both families.
TEST(FragmentsSim, EveryOctetArrivesThroughALinkThatFragments) {
  uint64_t unfinished = 0;
  for (const bool v6 : {false, true}) {
    SCOPED_TRACE(v6 ? "IPv6" : "IPv4");
    for (uint64_t seed = 1; seed <= 20; ++seed) {
      SCOPED_TRACE(seed);
      sim::Impairment bad;
      bad.seed = seed;
      bad.delay = Duration::Milliseconds(5);
      if (seed > 1) {
        bad.loss = 0.01;
        bad.duplicate = 0.02;
        bad.reorder = 0.05;
        bad.corrupt = 0.002;
      }
      RunTransfer(v6, bad, &unfinished);
    }
  }
  EXPECT_GT(unfinished, 0u);  // datagrams that lost a piece
}

// IPL-01: without being asked for, no fragment is looked at.
TEST(FragmentsSim, FragmentsAreDroppedByDefault) {
  Transfer::Options options;
  options.octets = 5000;
  Transfer transfer(options);
  Prng dice(1);
  uint32_t next_id = 0;
  CutOn(transfer.cable().forward, dice, next_id);
  transfer.Open();
  // Full-size segments vanish until the sender takes the path for a black hole (RFC 8899).
  EXPECT_GT(transfer.Run(), 1.0);
  EXPECT_EQ(transfer.receiver().wrong, 0u);
  EXPECT_GE(transfer.receiver_engine().counters().dropped(wire::DropReason::kIpFragment), 6u);
}

}  // namespace
}  // namespace millrace::testing

// apps/common/port_layers.h - what stands between a stack and its device, as the flags say.
//
// From the device upwards: VLAN tags, a bad network, reassembly, with several workers the steering
// of each frame to its owner, and the recording of what the engine gets and sends.
// Threading: one worker. Cost: that of the layers that there are; see stack/any_port.h.
#ifndef MILLRACE_APPS_COMMON_PORT_LAYERS_H_
#define MILLRACE_APPS_COMMON_PORT_LAYERS_H_

#include <cstdint>
#include <deque>
#include <optional>
#include <utility>

#include "apps/common/recording_port.h"
#include "millrace/dpdk/dpdk_port.h"
#include "millrace/dpdk/vlan_port.h"
#include "millrace/sim/impaired_port.h"
#include "millrace/sim/impairment.h"
#include "millrace/stack/any_port.h"
#include "millrace/stack/reassembling_port.h"
#include "millrace/stack/steered_port.h"

namespace millrace::apps {

// Frames that an impaired port holds at most, per direction; the pool of packets must have room.
inline constexpr uint32_t kHeldPacketsMax = 8192;

// A worker's place among those that share a device.
struct SteeredPlace {
  const stack::Steering* steering;
  stack::HandOver* hand_over;
  uint32_t worker, queues;
};

struct LayerOptions {
  std::optional<uint16_t> vlan;               // 0..dpdk::kVlanIdMax
  std::optional<sim::Impairment> impairment;  // in both directions
  bool reassemble = false;                    // else fragments are dropped

  std::optional<SteeredPlace> place;   // with several workers
  FlightRecorder* recorder = nullptr;  // outlives the layers

  bool any() const {
    return vlan.has_value() || impairment.has_value() || reassemble || place.has_value() ||
           recorder != nullptr;
  }
};

class PortLayers {
 public:
  // `port` outlives the layers.
  PortLayers(dpdk::DpdkPort& port, const LayerOptions& options) : ports_{stack::AnyPort(port)} {
    if (options.vlan) Add(vlan_, port, *options.vlan);
    if (options.impairment) {
      Add(impaired_, top(), *options.impairment, *options.impairment, kHeldPacketsMax);
    }
    if (options.reassemble) Add(reassembling_, top(), stack::ReassemblyConfig());
    if (options.place) {
      const SteeredPlace& place = *options.place;
      Add(steered_, top(), *place.steering, *place.hand_over, place.worker, place.queues);
    }
    if (options.recorder != nullptr) Add(recording_, top(), *options.recorder);
  }
  PortLayers(const PortLayers&) = delete;
  PortLayers& operator=(const PortLayers&) = delete;

  // What the stack polls.
  stack::AnyPort& top() { return ports_.back(); }

  // visit(std::string name, uint64_t value) for the counters of the layers that there are.
  template <class Visit>
  void ForEachCounter(Visit&& visit) const {
    if (vlan_) vlan_->counters().ForEach(visit);
    if (reassembling_) reassembling_->reassembler().counters().ForEach(visit);
    if (steered_) steered_->counters().ForEach(visit);
  }
  // Frames that went through for other workers since the last call.
  size_t TakePassedOn() { return steered_ ? steered_->TakePassedOn() : 0; }

 private:
  template <class Layer, class... Arguments>
  void Add(std::optional<Layer>& layer, Arguments&&... arguments) {
    layer.emplace(std::forward<Arguments>(arguments)...);
    ports_.emplace_back(*layer);
  }

  std::deque<stack::AnyPort> ports_;  // each layer borrows the one below it
  std::optional<dpdk::VlanPort> vlan_;
  std::optional<sim::ImpairedPort<stack::AnyPort>> impaired_;
  std::optional<stack::ReassemblingPort<stack::AnyPort>> reassembling_;
  std::optional<stack::SteeredPort<stack::AnyPort>> steered_;
  std::optional<RecordingPort<stack::AnyPort>> recording_;
};

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_COMMON_PORT_LAYERS_H_

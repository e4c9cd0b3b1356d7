// apps/common/port_layers.h - what stands between a stack and its device, as the flags say.
//
// From the device upwards: a bad network, then reassembly of what it cut in pieces.
// Threading: one worker. Cost: that of the layers that there are; see stack/any_port.h.
#ifndef MILLRACE_APPS_COMMON_PORT_LAYERS_H_
#define MILLRACE_APPS_COMMON_PORT_LAYERS_H_

#include <cstdint>
#include <optional>
#include <string>

#include "millrace/sim/impaired_port.h"
#include "millrace/sim/impairment.h"
#include "millrace/stack/any_port.h"
#include "millrace/stack/reassembling_port.h"

namespace millrace::apps {

// Frames that an impaired port holds at most, per direction; the pool of packets must have room.
inline constexpr uint32_t kHeldPacketsMax = 8192;

struct LayerOptions {
  std::optional<sim::Impairment> impairment;  // in both directions
  bool reassemble = false;                    // else fragments are dropped

  bool any() const { return impairment.has_value() || reassemble; }
};

class PortLayers {
 public:
  // `port` outlives the layers.
  template <stack::Port P>
  PortLayers(P& port, const LayerOptions& options) : bottom_(port) {
    if (options.impairment) {
      impaired_.emplace(bottom_, *options.impairment, *options.impairment, kHeldPacketsMax);
      above_impaired_.emplace(*impaired_);
    }
    if (options.reassemble) {
      reassembling_.emplace(above_impaired_ ? *above_impaired_ : bottom_,
                            stack::ReassemblyConfig());
      above_reassembling_.emplace(*reassembling_);
    }
  }
  PortLayers(const PortLayers&) = delete;
  PortLayers& operator=(const PortLayers&) = delete;

  // What the stack polls.
  stack::AnyPort& top() {
    if (above_reassembling_) return *above_reassembling_;
    return above_impaired_ ? *above_impaired_ : bottom_;
  }

  // visit(std::string name, uint64_t value) for the counters of the layers that there are.
  template <class Visit>
  void ForEachCounter(Visit&& visit) const {
    if (!reassembling_) return;
    reassembling_->reassembler().counters().ForEach(visit);
  }

 private:
  stack::AnyPort bottom_;
  std::optional<sim::ImpairedPort<stack::AnyPort>> impaired_;
  std::optional<stack::AnyPort> above_impaired_;
  std::optional<stack::ReassemblingPort<stack::AnyPort>> reassembling_;
  std::optional<stack::AnyPort> above_reassembling_;
};

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_COMMON_PORT_LAYERS_H_

// load/port_targets.h - which targets are opened from which port, when there are several: those
// that are on its network or behind its gateway.
#ifndef MILLRACE_APPS_LOAD_PORT_TARGETS_H_
#define MILLRACE_APPS_LOAD_PORT_TARGETS_H_

#include <span>
#include <string>
#include <vector>

#include "apps/load/target.h"
#include "millrace/stack/engine_config.h"

namespace millrace::apps {

// True when an engine like this has a way to `address`. A router that may still introduce itself
// counts as one.
bool Reaches(const stack::EngineConfig& config, const IpAddress& address);

// Those of `targets` that a port opens to: all of them when it is the only one, which then says
// itself what it does not reach.
std::vector<Target> TargetsOf(const std::vector<Target>& targets, const stack::EngineConfig& config,
                              bool only_port);

// "" or what is wrong, as a sentence for the user: a target that no port reaches, or a port that
// reaches none.
std::string CheckPortTargets(const std::vector<Target>& targets,
                             std::span<const stack::EngineConfig> ports);

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_LOAD_PORT_TARGETS_H_

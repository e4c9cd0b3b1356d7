// sim/host.h - a simulated machine: port, shipped stack, application, and its place in the world.
#ifndef MILLRACE_SIM_HOST_H_
#define MILLRACE_SIM_HOST_H_

#include "millrace/sim/sim_port.h"
#include "millrace/sim/world.h"
#include "millrace/stack/stack.h"

namespace millrace::sim {

// Secrets drawn from the world's dice, so that the seed repeats the run.
inline stack::EngineSecrets DrawSecrets(World& world) {
  stack::EngineSecrets s;
  s.isn = {world.NextSeed(), world.NextSeed()};
  s.ports = {world.NextSeed(), world.NextSeed()};
  s.table = {{world.NextSeed(), world.NextSeed(), world.NextSeed(), world.NextSeed()}};
  s.neighbor = world.NextSeed();
  s.syn_cookie = {world.NextSeed(), world.NextSeed()};
  s.fast_open = {world.NextSeed(), world.NextSeed()};
  return s;
}

// Made in place, never moved: the world and the links keep pointers to it.
template <stack::App A>
class Host {
 public:
  template <class... AppArguments>
  Host(World& world, const SimPortOptions& port_options, const stack::EngineConfig& config,
       AppArguments&&... app_arguments)
      : world_(world),
        port_(port_options),
        app_(std::forward<AppArguments>(app_arguments)...),
        stack_(port_, app_, config, DrawSecrets(world), world.now()),
        node_(stack_, port_) {
    world.Add(node_);
  }
  ~Host() { world_.Remove(node_); }
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;

  SimPort& port() { return port_; }
  A& app() { return app_; }
  stack::Engine& engine() { return stack_.engine(); }
  stack::Stack<SimPort, A>& stack() { return stack_; }
  // To be called after a command from outside of Poll (Connect, Send, ...).
  void Wake() { node_.Wake(); }

 private:
  World& world_;
  SimPort port_;
  A app_;
  stack::Stack<SimPort, A> stack_;
  PolledNode<stack::Stack<SimPort, A>, SimPort> node_;
};

}  // namespace millrace::sim

#endif  // MILLRACE_SIM_HOST_H_

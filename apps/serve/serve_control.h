// serve/serve_control.h - what a running `serve` does when it is asked by its control socket.
//
// A reply is one line of JSON: {"ok": true, ...} or {"ok": false, "error": "..."}. What concerns
// connections is asked of the workers by messages and answered from snapshots; the ports that are
// open are known here. One change of them is under way at a time.
// Threading: the thread that watches the workers. Ends after they have.
#ifndef MILLRACE_APPS_SERVE_SERVE_CONTROL_H_
#define MILLRACE_APPS_SERVE_SERVE_CONTROL_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "apps/control/command.h"
#include "apps/control/control_desk.h"
#include "apps/control/control_socket.h"
#include "apps/serve/serve_app.h"

namespace millrace::apps {

// A configuration that was read again.
struct ServeReload {
  std::vector<Listening> listening;
  ServeOptions options;               // of which rate cap, delays and errors count at once
  nlohmann::ordered_json settings;    // those, as they are written, for the reply
  std::vector<std::string> at_start;  // options that have changed, but count at the next start only
  bool exchange_differs = false;      // among them: what an open raw port would answer
};

struct ServeControlOptions {
  std::vector<Listening> listening;  // that are open
  bool v4 = true, v6 = false;        // families that they are open for
  uint32_t backlog = 0;              // of a port, of all workers together
  Duration grace;                    // of a drain
  std::function<absl::StatusOr<ServeReload>()> reload;
  // Gives all workers their part; false when one has not taken the last two yet.
  std::function<bool(const ServeOptions&)> change;
};

class ServeControl {
 public:
  // Longer than a worker that works takes for any request.
  static constexpr Duration kPatience = Duration::Seconds(2);

  ServeControl(std::unique_ptr<ControlSocket> socket, std::vector<stack::Control*> workers,
               ServeControlOptions options);

  void Poll(Instant now);
  // How soon to call it again: soon while workers are asked.
  Duration interval() const { return Duration::Milliseconds(desk_.under_way() > 0 ? 1 : 10); }

 private:
  // A port to open (again), or to close.
  struct Change {
    bool open;
    Listening listening;
    uint32_t backlog;
  };
  using Reply = nlohmann::ordered_json;

  void Execute(uint64_t client, const ControlCommand& command, Instant now);
  void Count(uint64_t client, Instant now);
  void List(uint64_t client, uint32_t rows, Instant now);
  void Listen(uint64_t client, const ControlCommand& command, Instant now);
  void Close(uint64_t client, uint16_t port, Instant now);
  void Drain(uint64_t client, Duration grace, Instant now);
  void Reload(uint64_t client, Instant now);
  Reply Listeners() const;
  // Does `changes` one after the other, then replies `reply`.
  void Begin(uint64_t client, std::vector<Change> changes, Reply reply);
  void NextChange(Instant now);
  void EndChange(const Reply& reply);
  void Note(const Change& change);
  // Refuses when a worker does not answer.
  void Ask(uint64_t client, const stack::ControlRequest& request, Instant now,
           ControlDesk::Then then, uint32_t rows = 0);
  void Answer(uint64_t client, const Reply& reply);
  void Refuse(uint64_t client, const std::string& why);

  std::unique_ptr<ControlSocket> socket_;
  ControlDesk desk_;
  ServeControlOptions options_;
  std::vector<Listening> services_;  // one of each kind that was set up at start
  uint32_t drains_ = 0;              // under way
  // The change of ports that is under way.
  bool changing_ = false, asked_ = false;
  uint64_t changer_ = 0;
  std::vector<Change> changes_;
  size_t next_ = 0;
  Reply change_reply_;
};

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_SERVE_SERVE_CONTROL_H_

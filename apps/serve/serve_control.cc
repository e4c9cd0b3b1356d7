#include "apps/serve/serve_control.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>

#include "apps/common/report.h"

namespace millrace::apps {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kTooMuch = "too much is asked at a time: try again";

const Listening* FindPort(const std::vector<Listening>& all, uint16_t port) {
  const auto at =
      std::find_if(all.begin(), all.end(), [&](const Listening& l) { return l.port == port; });
  return at == all.end() ? nullptr : &*at;
}

std::string WorkersText(const std::vector<uint32_t>& workers) {
  std::string text = workers.size() == 1 ? "worker" : "workers";
  for (const uint32_t worker : workers) text += " " + std::to_string(worker);
  return text + (workers.size() == 1 ? " does" : " do") + " not answer";
}

Json OpenJson(const stack::EngineSnapshot& snapshot) {
  return {{"connections", snapshot.connections},
          {"half_open", snapshot.half_open},
          {"time_wait", snapshot.time_wait},
          {"close_wait", snapshot.close_wait}};
}

// Beside what can be added up: how long the oldest CLOSE-WAIT waits for us.
Json WithAge(Json open, Duration oldest_close_wait) {
  open["oldest_close_wait_s"] = Seconds(oldest_close_wait);
  return open;
}

Json CountersOf(const stack::EngineSnapshot& snapshot) {
  Json counters = Json::object();
  const auto add = [&](const std::string& name, uint64_t value) { counters[name] = value; };
  snapshot.counters.ForEach(add);
  snapshot.tcp_counters.ForEach(add);
  return counters;
}

Json RowJson(uint32_t worker, const stack::ConnectionRow& row) {
  return {{"worker", worker},
          {"local", row.local.ToString()},
          {"remote", row.remote.ToString()},
          {"state", tcp::ToString(row.state)},
          {"unread_bytes", row.unread_bytes},
          {"unsent_bytes", row.unsent_bytes}};
}

}  // namespace

ServeControl::ServeControl(std::unique_ptr<ControlSocket> socket,
                           std::vector<stack::Control*> workers, ServeControlOptions options)
    : socket_(std::move(socket)), desk_(std::move(workers)), options_(std::move(options)) {
  services_ = {
      {Service::kHttp, "http", 0}, {Service::kEcho, "echo", 0}, {Service::kDiscard, "discard", 0}};
  // The first that was asked for is what a port gets that does not say.
  for (const Listening& l : options_.listening) {
    const auto same = [&](const Listening& other) { return other.service == l.service; };
    std::erase_if(services_, same);
    services_.insert(services_.begin(), l);
  }
  if (options_.listening.empty()) return;
  const Service first = options_.listening.front().service;
  std::stable_partition(services_.begin(), services_.end(),
                        [&](const Listening& l) { return l.service == first; });
}

void ServeControl::Poll(Instant now) {
  for (const ControlSocket::Line& line : socket_->Poll()) {
    const absl::StatusOr<ControlCommand> command = ParseControlCommand(line.text);
    if (command.ok()) {
      Execute(line.client, *command, now);
    } else {
      Refuse(line.client, std::string(command.status().message()));
    }
  }
  desk_.Poll(now);
  if (changing_ && !asked_) NextChange(now);
}

void ServeControl::Execute(uint64_t client, const ControlCommand& command, Instant now) {
  const bool changes = command.verb == ControlVerb::kListen ||
                       command.verb == ControlVerb::kClose || command.verb == ControlVerb::kReload;
  if (changes && changing_) return Refuse(client, "another change of ports is under way");
  if (changes && drains_ > 0) return Refuse(client, "a drain is under way");
  switch (command.verb) {
    case ControlVerb::kHelp:
      return Answer(client, {{"help", ControlHelp()}});
    case ControlVerb::kCount:
      return Count(client, now);
    case ControlVerb::kList:
      return List(client, command.rows, now);
    case ControlVerb::kListeners:
      return Answer(client, Listeners());
    case ControlVerb::kListen:
      return Listen(client, command, now);
    case ControlVerb::kClose:
      return Close(client, command.port, now);
    case ControlVerb::kDrain:
      return Drain(client, command.grace.value_or(options_.grace), now);
    case ControlVerb::kReload:
      return Reload(client, now);
  }
}

void ServeControl::Count(uint64_t client, Instant now) {
  const stack::ControlRequest request{.kind = stack::ControlKind::kCount};
  Ask(client, request, now, [this, client](const ControlDesk::Answers& answers) {
    Json open, counters, workers = Json::array();
    Duration oldest;
    for (const stack::EngineSnapshot& snapshot : answers.snapshots) {
      AddUp(open, OpenJson(snapshot));
      AddUp(counters, CountersOf(snapshot));
      workers.push_back(WithAge(OpenJson(snapshot), snapshot.oldest_close_wait));
      oldest = std::max(oldest, snapshot.oldest_close_wait);
    }
    Json reply = WithAge(open, oldest);
    reply["workers"] = workers;
    for (const auto& [name, value] : counters.items()) {
      if (value != 0) reply["counters"][name] = value;
    }
    Answer(client, reply);
  });
}

void ServeControl::List(uint64_t client, uint32_t rows, Instant now) {
  const stack::ControlRequest request{.kind = stack::ControlKind::kList};
  Ask(
      client, request, now,
      [this, client, rows](const ControlDesk::Answers& answers) {
        Json list = Json::array();
        // In turn of every worker, so that none is left out.
        for (size_t k = 0; k < rows; ++k) {
          for (uint32_t i = 0; i < answers.rows.size() && list.size() < rows; ++i) {
            if (k < answers.rows[i].size()) list.push_back(RowJson(i, answers.rows[i][k]));
          }
        }
        Answer(client, {{"connections", list}});
      },
      rows);
}

void ServeControl::Listen(uint64_t client, const ControlCommand& command, Instant now) {
  const std::string& name = command.service;
  const auto service = std::find_if(services_.begin(), services_.end(), [&](const Listening& l) {
    return name.empty() || l.name == name;
  });
  if (service == services_.end()) {
    std::string known;
    for (const Listening& l : services_) known += (known.empty() ? "" : ", ") + std::string(l.name);
    return Refuse(client,
                  "no service \"" + name + "\" was set up at the start; there are " + known);
  }
  const Listening* const open = FindPort(options_.listening, command.port);
  if (open == nullptr && options_.listening.size() == stack::ListenerTable::kListenersMax / 2) {
    return Refuse(client, "there is no room for another port");
  }
  // An open port keeps its service when none is named.
  Listening listening = open != nullptr && name.empty() ? *open : *service;
  listening.port = command.port;
  const uint32_t backlog = command.backlog != 0 ? command.backlog : options_.backlog;
  Begin(client, {{true, listening, backlog}},
        {{"port", command.port}, {"service", listening.name}});
  NextChange(now);
}

void ServeControl::Close(uint64_t client, uint16_t port, Instant now) {
  const Listening* const open = FindPort(options_.listening, port);
  if (open == nullptr) return Refuse(client, "port " + std::to_string(port) + " is not open");
  Begin(client, {{false, *open, 0}}, {{"port", port}});
  NextChange(now);
}

void ServeControl::Drain(uint64_t client, Duration grace, Instant now) {
  if (changing_) return Refuse(client, "a change of ports is under way");
  const stack::ControlRequest request{.kind = stack::ControlKind::kDrain, .grace = grace};
  const auto over = [this, client](const ControlDesk::Answers& answers) {
    --drains_;
    uint64_t reset = 0;
    for (const stack::ControlAnswer& answer : answers.answers) reset += answer.count;
    if (!answers.silent.empty()) return Refuse(client, WorkersText(answers.silent));
    Answer(client, {{"reset", reset}});
  };
  if (!desk_.Ask({&request, 1}, grace + kPatience, now, over)) return Refuse(client, kTooMuch);
  ++drains_;
  options_.listening.clear();
}

void ServeControl::Reload(uint64_t client, Instant now) {
  absl::StatusOr<ServeReload> read = options_.reload();
  if (!read.ok()) return Refuse(client, std::string(read.status().message()));
  if (read->exchange_differs) {
    // What its ports would answer is decided at the start: those that are open stay.
    const auto exchange = [](const Listening& l) { return l.service == Service::kExchange; };
    std::erase_if(read->listening, exchange);
    std::copy_if(options_.listening.begin(), options_.listening.end(),
                 std::back_inserter(read->listening), exchange);
  }
  std::vector<Change> changes;
  Json opened = Json::array(), closed = Json::array();
  for (const Listening& l : options_.listening) {
    if (FindPort(read->listening, l.port) != nullptr) continue;
    changes.push_back({false, l, 0});
    closed.push_back(l.port);
  }
  for (const Listening& l : read->listening) {
    const Listening* const open = FindPort(options_.listening, l.port);
    if (open != nullptr && open->service == l.service) continue;
    changes.push_back({true, l, options_.backlog});
    opened.push_back(l.port);
  }
  if (read->listening.size() > stack::ListenerTable::kListenersMax / 2) {
    return Refuse(client, "there is no room for that many ports");
  }
  if (!options_.change(read->options)) return Refuse(client, kTooMuch);
  Begin(client, std::move(changes),
        {{"opened", opened},
         {"closed", closed},
         {"settings", read->settings},
         {"at_next_start", read->at_start}});
  NextChange(now);
}

Json ServeControl::Listeners() const {
  Json list = Json::array();
  for (const Listening& l : options_.listening) {
    list.push_back({{"port", l.port}, {"service", l.name}});
  }
  return {{"listeners", list}};
}

void ServeControl::Begin(uint64_t client, std::vector<Change> changes, Reply reply) {
  changing_ = true;
  asked_ = false;
  changer_ = client;
  changes_ = std::move(changes);
  next_ = 0;
  change_reply_ = std::move(reply);
}

void ServeControl::NextChange(Instant now) {
  if (next_ == changes_.size()) return EndChange(change_reply_);
  const Change& change = changes_[next_];
  std::array<stack::ControlRequest, 2> requests;
  size_t count = 0;
  for (const bool v6 : {false, true}) {
    if (!(v6 ? options_.v6 : options_.v4)) continue;
    requests[count++] = {
        .kind = change.open ? stack::ControlKind::kListen : stack::ControlKind::kCloseListener,
        .endpoint = {v6 ? IpAddress() : IpAddress::V4(0), change.listening.port},
        .backlog = change.backlog,
        .user_data = static_cast<uint64_t>(change.listening.service)};
  }
  // When the desk is full, the next turn tries again.
  asked_ = desk_.Ask({requests.data(), count}, kPatience, now,
                     [this](const ControlDesk::Answers& answers) {
                       asked_ = false;
                       const Change& done = changes_[next_++];
                       const auto worked = [](const stack::ControlAnswer& answer) {
                         return answer.listen == stack::ListenResult::kOk;
                       };
                       // Also of one that some worker could not do, so that it can be tried again,
                       // or taken back.
                       if (std::any_of(answers.answers.begin(), answers.answers.end(), worked)) {
                         Note(done);
                       }
                       if (!answers.silent.empty()) {
                         return EndChange({{"ok", false}, {"error", WorkersText(answers.silent)}});
                       }
                       for (const stack::ControlAnswer& answer : answers.answers) {
                         if (answer.listen == stack::ListenResult::kOk) continue;
                         return EndChange({{"ok", false},
                                           {"error", "port " + std::to_string(done.listening.port) +
                                                         ": " + stack::ToString(answer.listen)}});
                       }
                     });
}

void ServeControl::EndChange(const Reply& reply) {
  changing_ = false;
  Answer(changer_, reply);
}

void ServeControl::Note(const Change& change) {
  std::vector<Listening>& all = options_.listening;
  std::erase_if(all, [&](const Listening& l) { return l.port == change.listening.port; });
  if (change.open) all.push_back(change.listening);
}

void ServeControl::Ask(uint64_t client, const stack::ControlRequest& request, Instant now,
                       ControlDesk::Then then, uint32_t rows) {
  const auto told = [this, client, then = std::move(then)](const ControlDesk::Answers& answers) {
    if (answers.silent.empty()) return then(answers);
    Refuse(client, WorkersText(answers.silent));
  };
  if (!desk_.Ask({&request, 1}, kPatience, now, told, rows)) Refuse(client, kTooMuch);
}

void ServeControl::Answer(uint64_t client, const Reply& reply) {
  Json line = {{"ok", true}};
  line.update(reply);
  // An error may quote octets that are no text.
  socket_->Reply(client, line.dump(-1, ' ', true, Json::error_handler_t::replace));
}

void ServeControl::Refuse(uint64_t client, const std::string& why) {
  Answer(client, {{"ok", false}, {"error", why}});
}

}  // namespace millrace::apps

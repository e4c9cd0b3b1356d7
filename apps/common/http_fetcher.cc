#include "apps/common/http_fetcher.h"

#include <algorithm>
#include <utility>

namespace millrace::apps {
namespace {

uint64_t NsBetween(Instant start, Instant end) {
  return static_cast<uint64_t>(std::max<int64_t>(0, (end - start).ns()));
}

}  // namespace

std::optional<HttpUrl> HttpUrl::Parse(std::string_view text) {
  constexpr std::string_view kScheme = "http://";
  if (!text.starts_with(kScheme)) return std::nullopt;
  text.remove_prefix(kScheme.size());
  HttpUrl url;
  const size_t slash = text.find('/');
  url.host = text.substr(0, slash);
  if (slash != std::string_view::npos) url.path = text.substr(slash);
  for (const char c : url.path) {
    if (static_cast<unsigned char>(c) <= 0x20 || c == 0x7F) return std::nullopt;
  }
  // A colon behind the bracket of an IPv6 address, or the only one.
  const size_t bracket = url.host.rfind(']');
  const bool has_port =
      url.host.find(':', bracket == std::string::npos ? 0 : bracket) != std::string::npos;
  const std::optional<Endpoint> server = Endpoint::Parse(has_port ? url.host : url.host + ":80");
  if (!server || server->port == 0) return std::nullopt;
  url.server = *server;
  return url;
}

void FetchResult::Add(const FetchResult& other) {
  load.Add(other.load);
  http_failed += other.http_failed;
  incomplete += other.incomplete;
  if (other.last_status != 0) last_status = other.last_status;
  body_bytes += other.body_bytes;
  write_failed = write_failed || other.write_failed;
  if (!other.error.empty()) error = other.error;
}

HttpFetcher::HttpFetcher(const FetchPlan& plan, LiveLoad& live)
    : plan_(plan),
      live_(live),
      request_("GET " + plan.url.path + " HTTP/1.1\r\nHost: " + plan.url.host +
               "\r\nUser-Agent: millrace\r\nAccept: */*\r\nConnection: close\r\n\r\n"),
      flows_(plan.concurrency) {
  for (uint32_t i = plan.concurrency; i > 0; --i) free_.push_back(i - 1);
}

void HttpFetcher::Fail(std::string why) { result_.error = std::move(why); }

void HttpFetcher::OnOpen(stack::Socket socket) {
  Flow& flow = Of(socket);
  flow.opened = now_;
  if (!std::exchange(reached_, true)) start_ = flow.started;
  result_.load.connect_ns.Record(NsBetween(flow.started, now_));
  const auto octets = std::as_bytes(std::span(request_.data(), request_.size()));
  if (!socket.SendStatic(octets)) socket.Abort();
}

size_t HttpFetcher::OnReceive(stack::Socket socket, std::span<const std::byte> data) {
  Flow& flow = Of(socket);
  if (!std::exchange(flow.first_byte, true)) {
    result_.load.first_byte_ns.Record(NsBetween(flow.opened, now_));
  }
  const std::string_view text(reinterpret_cast<const char*>(data.data()), data.size());
  flow.reader.Feed(text, [this](std::string_view body) {
    result_.body_bytes += body.size();
    if (plan_.body_out == nullptr) return;
    if (std::fwrite(body.data(), 1, body.size(), plan_.body_out) != body.size()) {
      result_.write_failed = true;
    }
  });
  if (flow.reader.progress() != HttpResponseReader::Progress::kMore && flow.closing == Instant()) {
    flow.closing = now_;
    socket.Close();
  }
  return data.size();
}

void HttpFetcher::OnPeerClosed(stack::Socket socket) {
  Flow& flow = Of(socket);
  flow.reader.Finish();
  if (flow.closing == Instant()) flow.closing = now_;
  socket.Close();
}

void HttpFetcher::OnClose(stack::Socket socket, tcp::CloseReason reason) {
  const auto index = static_cast<uint32_t>(socket.user_data());
  const Flow& flow = flows_[index];
  const HttpResponseReader& reader = flow.reader;
  if (reader.status() != 0) result_.last_status = reader.status();
  // The response counts, however the connection ended after it.
  if (reader.progress() == HttpResponseReader::Progress::kDone) {
    if (reader.status() >= 200 && reader.status() < 300) {
      ++result_.load.ok;
      result_.load.close_ns.Record(NsBetween(flow.closing, now_));
      result_.load.total_ns.Record(NsBetween(flow.started, now_));
    } else {
      ++result_.http_failed;
      Fail("the server answered " + std::to_string(reader.status()));
    }
  } else if (reader.progress() == HttpResponseReader::Progress::kError) {
    ++result_.http_failed;
    Fail(reader.error());
  } else {
    ++result_.incomplete;
    ++result_.load.failed[static_cast<size_t>(reason)];
    Fail(std::string("connection ") + tcp::ToString(reason));
  }
  free_.push_back(index);
  // Nobody is there: trying all the others would only take longer to say so.
  if (!reached_) live_.stop.store(true, std::memory_order_relaxed);
}

void HttpFetcher::OpenSome(stack::Engine& engine) {
  constexpr int kOpensPerPollMax = 64;
  for (int i = 0; i < kOpensPerPollMax && !free_.empty(); ++i) {
    if (result_.load.opened == plan_.count) return;
    // One alone until the first is open: only a few packets wait for an address (see
    // bench/common/load_client.cc).
    if (!reached_ && free_.size() < flows_.size()) return;
    const uint32_t index = free_.back();
    stack::Socket socket;
    const auto connected = engine.Connect(plan_.url.server, index, &socket);
    if (connected != stack::ConnectResult::kOk) {
      ++result_.load.not_opened;
      result_.load.last_refusal = connected;
      return;
    }
    free_.pop_back();
    flows_[index] = {.started = now_};
    ++result_.load.opened;
  }
}

void HttpFetcher::OnPoll(stack::Engine& engine, Instant now) {
  if (engine.host_v6().address_state() == stack::AddressState::kTentative) return;
  now_ = now;
  if (!std::exchange(started_, true)) start_ = now;
  if (live_.done.load(std::memory_order_relaxed)) return;
  if (!live_.stop.load(std::memory_order_relaxed)) OpenSome(engine);
  // A refusal that will not go away ends it: there is nothing under way that could change it.
  const bool refused = result_.load.not_opened > 0 && free_.size() == flows_.size() &&
                       result_.load.opened < plan_.count;
  const bool over =
      result_.load.opened == plan_.count || refused || live_.stop.load(std::memory_order_relaxed);
  if (!over || free_.size() != flows_.size()) return;
  if (refused) Fail(stack::ToString(result_.load.last_refusal));
  result_.load.window = now - start_;
  result_.load.ok_in_window = result_.load.ok;
  live_.done.store(true, std::memory_order_relaxed);
}

}  // namespace millrace::apps

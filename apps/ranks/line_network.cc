#include "apps/ranks/line_network.h"

#include <algorithm>
#include <asio/buffer.hpp>
#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/ip/v6_only.hpp>
#include <asio/read_until.hpp>
#include <asio/steady_timer.hpp>
#include <asio/write.hpp>
#include <chrono>
#include <cstddef>
#include <deque>
#include <iterator>
#include <map>
#include <utility>

namespace millrace::apps {
namespace {

using asio::ip::tcp;
using Error = asio::error_code;

constexpr size_t kLinesWaitingMax = 64;
constexpr std::chrono::milliseconds kRetryEvery{200};
constexpr std::chrono::seconds kConnectMax{2};  // one address
constexpr std::chrono::seconds kCloseMax{2};    // until a peer has read what it was sent at last

std::chrono::nanoseconds Nanoseconds(Duration duration) {
  return std::chrono::nanoseconds(duration.ns());
}

std::string WordsOf(const Error& error) {
  return error == asio::error::eof ? "the connection was closed" : error.message();
}

}  // namespace

absl::StatusOr<HostPort> ParseHostPort(const std::string& text) {
  const size_t colon = text.rfind(':');
  HostPort parsed;
  if (colon != std::string::npos) {
    parsed.host = text.substr(0, colon);
    parsed.port = text.substr(colon + 1);
  }
  if (parsed.host.starts_with('[') && parsed.host.ends_with(']')) {
    parsed.host = parsed.host.substr(1, parsed.host.size() - 2);
  } else if (parsed.host.find(':') != std::string::npos) {
    parsed.host.clear();
  }
  const bool digits = !parsed.port.empty() && parsed.port.size() <= 5 &&
                      std::all_of(parsed.port.begin(), parsed.port.end(),
                                  [](char c) { return c >= '0' && c <= '9'; });
  const int port = digits ? std::stoi(parsed.port) : 0;
  if (parsed.host.empty() || port < 1 || port > 65'535) {
    return absl::InvalidArgumentError("\"" + text +
                                      "\" is no HOST:PORT; write bench-1:7070 or [::1]:7070");
  }
  return parsed;
}

// Handlers keep a connection alive; `closed` says that nobody is to hear of it any more.
struct Connection {
  Connection(uint64_t number, tcp::socket s)
      : peer(number), socket(std::move(s)), limit(socket.get_executor()) {}
  uint64_t peer;
  tcp::socket socket;
  std::string received;
  std::deque<std::string> waiting;
  bool closing = false, closed = false;
  asio::steady_timer limit;  // of closing
};
using ConnectionPtr = std::shared_ptr<Connection>;

struct LineNetwork::Impl {
  explicit Impl(LineHandler& h) : handler(h) {}

  void Accept() {
    acceptor.async_accept([this](const Error& error, tcp::socket socket) {
      if (error == asio::error::operation_aborted) return;
      if (!error && connections.size() < connections_max) Add(std::move(socket));
      if (!error) return Accept();
      // No descriptors, as a rule: at once it would be the same again.
      retry.expires_after(kRetryEvery);
      retry.async_wait([this](const Error& stopped) {
        if (!stopped) Accept();
      });
    });
  }

  void Resolve() {
    resolver.async_resolve(to.host, to.port,
                           [this](const Error& error, const tcp::resolver::results_type& found) {
                             if (error) return TryAgain(error);
                             ConnectTo(found);
                           });
  }
  // One address a time: the next when this one fails.
  void ConnectTo(const tcp::resolver::results_type& found) {
    const size_t count = found.size();
    if (count == 0) return TryAgain(asio::error::host_not_found);
    auto at = found.begin();
    std::advance(at, static_cast<std::ptrdiff_t>(tries++ % count));
    outgoing = tcp::socket(io);
    retry.expires_after(kConnectMax);
    retry.async_wait([this](const Error& stopped) {
      Error ignored;
      if (!stopped) outgoing.close(ignored);
    });
    outgoing.async_connect(at->endpoint(), [this](const Error& error) {
      retry.cancel();
      if (finished) return;
      if (error) return TryAgain(error);
      Add(std::move(outgoing));
    });
  }
  void TryAgain(const Error& error) {
    if (finished) return;
    connect_error =
        error == asio::error::operation_aborted ? "no answer within 2 s" : error.message();
    retry.expires_after(kRetryEvery);
    retry.async_wait([this](const Error& stopped) {
      if (!stopped) Resolve();
    });
  }

  void Add(tcp::socket socket) {
    Error ignored;
    socket.set_option(tcp::no_delay(true), ignored);
    auto connection = std::make_shared<Connection>(next_peer++, std::move(socket));
    connections.emplace(connection->peer, connection);
    handler.OnConnected(connection->peer);
    Read(connection);
  }

  void Read(const ConnectionPtr& c) {
    if (c->closed) return;
    const size_t most = std::max(handler.LineMax(c->peer), c->received.size() + 1);
    asio::async_read_until(c->socket, asio::dynamic_buffer(c->received, most), '\n',
                           [this, c](const Error& error, size_t length) {
                             if (c->closed) return;
                             if (error) {
                               return Drop(c, error == asio::error::not_found
                                                  ? "sent a line that is too long"
                                                  : WordsOf(error));
                             }
                             const std::string line = c->received.substr(0, length - 1);
                             c->received.erase(0, length);
                             if (!c->closing) handler.OnLine(c->peer, line);
                             Read(c);
                           });
  }

  void Send(const ConnectionPtr& c, std::string lines) {
    if (c->closing) return;
    if (c->waiting.size() >= kLinesWaitingMax) return Drop(c, "does not read what it is sent");
    c->waiting.push_back(std::move(lines));
    if (c->waiting.size() == 1) Write(c);
  }
  void Write(const ConnectionPtr& c) {
    asio::async_write(c->socket, asio::buffer(c->waiting.front()),
                      [this, c](const Error& error, size_t) {
                        if (c->closed) return;
                        if (error) return Drop(c, WordsOf(error));
                        c->waiting.pop_front();
                        if (!c->waiting.empty()) return Write(c);
                        if (c->closing) ShutDown(c);
                      });
  }
  // What the peer has sent by now is read until its end: closing before would be a reset, which may
  // overtake what we have sent.
  void ShutDown(const ConnectionPtr& c) {
    Error ignored;
    c->socket.shutdown(tcp::socket::shutdown_send, ignored);
    c->limit.expires_after(kCloseMax);
    c->limit.async_wait([this, c](const Error& stopped) {
      if (!stopped) Drop(c, "");
    });
  }
  void Close(const ConnectionPtr& c) {
    if (std::exchange(c->closing, true)) return;
    if (c->waiting.empty()) Drop(c, "");
  }
  void Drop(const ConnectionPtr& c, const std::string& why) {
    if (std::exchange(c->closed, true)) return;
    Error ignored;
    c->limit.cancel();
    c->socket.close(ignored);
    connections.erase(c->peer);
    if (!c->closing) handler.OnGone(c->peer, why);
  }
  ConnectionPtr Find(uint64_t peer) {
    const auto found = connections.find(peer);
    return found == connections.end() ? nullptr : found->second;
  }

  LineHandler& handler;
  asio::io_context io;
  tcp::acceptor acceptor{io};
  tcp::resolver resolver{io};
  tcp::socket outgoing{io};
  asio::steady_timer retry{io};  // of accepting, or of connecting: nobody does both
  bool finished = false;
  HostPort to;
  size_t tries = 0;
  std::string connect_error;
  std::map<uint64_t, ConnectionPtr> connections;
  uint64_t next_peer = 1;
  size_t connections_max = 0;
};

LineNetwork::LineNetwork(LineHandler& handler) : impl_(std::make_unique<Impl>(handler)) {}
LineNetwork::~LineNetwork() = default;

absl::Status LineNetwork::Listen(const HostPort& at, size_t most) {
  impl_->connections_max = most;
  Error error;
  const auto port = static_cast<asio::ip::port_type>(std::stoi(at.port));
  const asio::ip::address address = asio::ip::make_address(at.host, error);
  tcp::endpoint endpoint = error ? tcp::endpoint(tcp::v6(), port) : tcp::endpoint(address, port);
  const bool any = static_cast<bool>(error);
  impl_->acceptor.open(endpoint.protocol(), error);
  if (error && any) {  // a machine without IPv6
    endpoint = tcp::endpoint(tcp::v4(), port);
    impl_->acceptor.open(endpoint.protocol(), error);
  }
  Error ignored;
  if (any && endpoint.protocol() == tcp::v6()) {
    impl_->acceptor.set_option(asio::ip::v6_only(false), ignored);
  }
  impl_->acceptor.set_option(tcp::acceptor::reuse_address(true), ignored);
  if (!error) impl_->acceptor.bind(endpoint, error);
  if (!error) impl_->acceptor.listen(tcp::acceptor::max_listen_connections, error);
  if (error) {
    return absl::FailedPreconditionError("cannot listen at " + at.host + ":" + at.port + ": " +
                                         error.message());
  }
  impl_->Accept();
  return absl::OkStatus();
}

void LineNetwork::Connect(const HostPort& to) {
  impl_->to = to;
  impl_->Resolve();
}

const std::string& LineNetwork::connect_error() const { return impl_->connect_error; }

void LineNetwork::Send(uint64_t peer, std::string lines) {
  if (const ConnectionPtr c = impl_->Find(peer)) impl_->Send(c, std::move(lines));
}

void LineNetwork::Close(uint64_t peer) {
  if (const ConnectionPtr c = impl_->Find(peer)) impl_->Close(c);
}

void LineNetwork::Poll(Duration wait) {
  impl_->io.restart();
  impl_->io.run_one_for(Nanoseconds(wait));
  impl_->io.poll();
}

void LineNetwork::Finish(Duration wait) {
  Error ignored;
  impl_->finished = true;
  impl_->acceptor.close(ignored);
  impl_->resolver.cancel();
  impl_->outgoing.close(ignored);
  impl_->retry.cancel();
  const auto all = impl_->connections;
  for (const auto& [peer, connection] : all) {
    if (!std::exchange(connection->closing, true) && connection->waiting.empty()) {
      impl_->ShutDown(connection);
    }
  }
  const auto end = std::chrono::steady_clock::now() + Nanoseconds(wait);
  while (!impl_->connections.empty() && std::chrono::steady_clock::now() < end) {
    Poll(Duration::Milliseconds(20));
  }
}

}  // namespace millrace::apps

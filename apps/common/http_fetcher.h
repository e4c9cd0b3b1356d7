// apps/common/http_fetcher.h - fetches one URL over new connections, once or many times: the
// application of `millrace get`.
//
// Threading: one worker; `live` may be read from anywhere, the rest after the worker was joined.
#ifndef MILLRACE_APPS_COMMON_HTTP_FETCHER_H_
#define MILLRACE_APPS_COMMON_HTTP_FETCHER_H_

#include <cstdint>
#include <cstdio>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "apps/common/http_response.h"
#include "apps/common/load_result.h"
#include "millrace/base/histogram.h"
#include "millrace/stack/engine.h"
#include "millrace/stack/socket.h"

namespace millrace::apps {

// "http://10.1.0.2:8080/path" taken apart.
struct HttpUrl {
  Endpoint server;
  std::string host;  // as written, for the Host field
  std::string path = "/";

  // Names are not looked up: the host is an address. nullopt when the text is no such URL.
  static std::optional<HttpUrl> Parse(std::string_view text);
};

struct FetchPlan {
  HttpUrl url;
  uint64_t count = 1;        // fetches, each over its own connection
  uint32_t concurrency = 1;  // at a time
  FILE* body_out = nullptr;  // where the body goes, with count == 1; null: nowhere
};

struct FetchResult {
  LoadResult load;           // ok: complete responses with status 2xx
  uint64_t http_failed = 0;  // complete, but not 2xx; or not HTTP
  uint64_t incomplete = 0;   // the connection ended too early, whatever the reason
  int last_status = 0;       // 0: no response was read
  uint64_t body_bytes = 0;
  bool write_failed = false;  // body_out took less than it was given
  std::string error;          // of the last fetch that failed

  // Together with what another worker has fetched at the same time.
  void Add(const FetchResult& other);
  bool all_ok(uint64_t wanted) const { return load.ok == wanted && !write_failed; }
};

class HttpFetcher {
 public:
  HttpFetcher(const FetchPlan& plan, LiveLoad& live);

  void OnOpen(stack::Socket socket);
  size_t OnReceive(stack::Socket socket, std::span<const std::byte> data);
  void OnPeerClosed(stack::Socket socket);
  void OnWritable(stack::Socket) {}
  void OnClose(stack::Socket socket, tcp::CloseReason reason);
  void OnPoll(stack::Engine& engine, Instant now);

  const FetchResult& result() const { return result_; }

 private:
  struct Flow {
    HttpResponseReader reader;
    Instant started, opened, closing;
    bool first_byte = false;
  };

  Flow& Of(const stack::Socket& socket) { return flows_[socket.user_data()]; }
  void OpenSome(stack::Engine& engine);
  void Fail(std::string why);

  FetchPlan plan_;
  LiveLoad& live_;
  std::string request_;
  FetchResult result_;
  std::vector<Flow> flows_;
  std::vector<uint32_t> free_;
  Instant now_, start_;
  bool started_ = false, reached_ = false;
};

static_assert(stack::App<HttpFetcher>);

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_COMMON_HTTP_FETCHER_H_

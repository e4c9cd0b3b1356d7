// apps/common/http_request.h - reads the head of an HTTP/1 request (RFC 9112): strict and small.
//
// What is not exactly right is an error with a status, after which the connection is to be closed:
// being liberal with line ends, spaces and lengths is what request smuggling lives on
// (RFC 9112 11.2). Bodies are not read here: `content_length` says how much of one follows.
// Cost: one pass over the head. Nothing is kept: the views of a request point into the head.
#ifndef MILLRACE_APPS_COMMON_HTTP_REQUEST_H_
#define MILLRACE_APPS_COMMON_HTTP_REQUEST_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace millrace::apps {

inline constexpr size_t kHeadBytesMax = 8192;  // request line and header together
inline constexpr int kHeaderFieldsMax = 100;

struct HttpRequest {
  std::string_view method;
  std::string_view path;   // origin form, "/1k"; of an absolute form the part behind the host
  int minor_version = 1;   // HTTP/1.x
  bool keep_alive = true;  // what the peer wants, by version and Connection
  uint64_t content_length = 0;
};

enum class HeadResult : uint8_t {
  kIncomplete,  // more octets are needed
  kDone,
  kError,  // answer `status` and close
};

struct ParsedHead {
  HeadResult result = HeadResult::kIncomplete;
  int status = 0;       // with kError: 400, 414, 431, 501 or 505
  size_t length = 0;    // with kDone: octets of the head, with the empty line
  HttpRequest request;  // with kDone
};

// Parses the head at the start of `data`. `searched`: octets in front that are known to hold no
// end of a head from an earlier call (they are not searched again), 0 the first time.
ParsedHead ParseRequestHead(std::string_view data, size_t searched = 0);

// True for the characters of RFC 9110 5.6.2: method and field names are made of them.
bool IsToken(std::string_view text);
// Case-insensitive, ASCII.
bool EqualsIgnoreCase(std::string_view a, std::string_view b);
// True when the comma-separated list holds `word` (RFC 9110 5.6.1), ignoring case.
bool ListHas(std::string_view list, std::string_view word);
// Only digits, no sign, below 2^63; false otherwise.
bool ParseContentLength(std::string_view text, uint64_t* value);
// Takes the field line at `line` apart: no space before the colon, no folding, no control
// characters. The value comes without surrounding spaces.
bool ParseFieldLine(std::string_view line, std::string_view* name, std::string_view* value);
const char* ReasonOf(int status);

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_COMMON_HTTP_REQUEST_H_

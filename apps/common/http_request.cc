#include "apps/common/http_request.h"

#include <algorithm>
#include <charconv>
#include <limits>

namespace millrace::apps {
namespace {

constexpr std::string_view kLineEnd = "\r\n";
constexpr std::string_view kHeadEnd = "\r\n\r\n";

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool IsTokenChar(char c) {
  if ((c >= '0' && c <= '9') || (Lower(c) >= 'a' && Lower(c) <= 'z')) return true;
  return c != '\0' && std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

// RFC 9110 5.5: field values hold visible characters, spaces, tabs and octets above 127.
bool IsFieldChar(char c) {
  const auto octet = static_cast<unsigned char>(c);
  return octet == '\t' || (octet >= 0x20 && octet != 0x7F);
}

std::string_view TrimSpaces(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// RFC 9112 3.2: origin form, absolute form, and "*" (for OPTIONS). 0 or the status.
int ParseTarget(std::string_view target, std::string_view* path) {
  if (target.empty()) return 400;
  for (const char c : target) {
    if (static_cast<unsigned char>(c) <= 0x20 || c == 0x7F || c == '#') return 400;
  }
  if (target == "*") {
    *path = target;
    return 0;
  }
  constexpr std::string_view kScheme = "http://";
  if (target.size() > kScheme.size() &&
      EqualsIgnoreCase(target.substr(0, kScheme.size()), kScheme)) {
    target.remove_prefix(kScheme.size());
    const size_t slash = target.find('/');
    if (slash == 0) return 400;
    target = slash == std::string_view::npos ? std::string_view("/") : target.substr(slash);
  }
  if (target.front() != '/') return 400;
  *path = target.substr(0, target.find('?'));
  return 0;
}

int ParseRequestLine(std::string_view line, HttpRequest* request) {
  const size_t first = line.find(' ');
  const size_t last = line.rfind(' ');
  if (first == std::string_view::npos || first == last) return 400;
  request->method = line.substr(0, first);
  if (!IsToken(request->method)) return 400;
  const std::string_view version = line.substr(last + 1);
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  if (version.size() != 8 || version.substr(0, 5) != "HTTP/" || version[6] != '.' ||
      !is_digit(version[5]) || !is_digit(version[7])) {
    return 400;
  }
  if (version[5] != '1') return 505;
  request->minor_version = version[7] - '0';
  return ParseTarget(line.substr(first + 1, last - first - 1), &request->path);
}

// What the header said, for the checks that need all of it.
struct HeaderFacts {
  int hosts = 0;
  bool has_length = false, has_transfer_encoding = false;
  bool says_close = false, says_keep_alive = false;
};

int ParseHeaderField(std::string_view line, HttpRequest* request, HeaderFacts* facts) {
  std::string_view name, value;
  if (!ParseFieldLine(line, &name, &value)) return 400;
  if (EqualsIgnoreCase(name, "Host")) {
    ++facts->hosts;
  } else if (EqualsIgnoreCase(name, "Content-Length")) {
    uint64_t length = 0;
    if (!ParseContentLength(value, &length)) return 400;
    // RFC 9112 6.3: differing lengths are an unrecoverable error; so are two equal ones, here.
    if (facts->has_length) return 400;
    facts->has_length = true;
    request->content_length = length;
  } else if (EqualsIgnoreCase(name, "Transfer-Encoding")) {
    facts->has_transfer_encoding = true;
  } else if (EqualsIgnoreCase(name, "Connection")) {
    facts->says_close = facts->says_close || ListHas(value, "close");
    facts->says_keep_alive = facts->says_keep_alive || ListHas(value, "keep-alive");
  }
  return 0;
}

// RFC 9112: 3.2 (Host), 6.1 (Transfer-Encoding), 9.3 (persistence).
int CheckFacts(const HeaderFacts& facts, HttpRequest* request) {
  if (facts.hosts > 1 || (facts.hosts == 0 && request->minor_version >= 1)) return 400;
  if (facts.has_transfer_encoding) return facts.has_length ? 400 : 501;
  request->keep_alive = !facts.says_close && (request->minor_version >= 1 || facts.says_keep_alive);
  return 0;
}

int ParseHead(std::string_view head, HttpRequest* request) {
  HeaderFacts facts;
  int fields = 0;
  for (bool first = true; !head.empty(); first = false) {
    const size_t end = head.find(kLineEnd);
    const std::string_view line = head.substr(0, end);
    head.remove_prefix(end + kLineEnd.size());
    if (line.empty()) break;
    if (!first && ++fields > kHeaderFieldsMax) return 431;
    const int status =
        first ? ParseRequestLine(line, request) : ParseHeaderField(line, request, &facts);
    if (status != 0) return status;
  }
  return CheckFacts(facts, request);
}

ParsedHead Failed(int status) {
  ParsedHead parsed;
  parsed.result = HeadResult::kError;
  parsed.status = status;
  return parsed;
}

}  // namespace

bool IsToken(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), IsTokenChar);
}

bool EqualsIgnoreCase(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return Lower(x) == Lower(y); });
}

bool ListHas(std::string_view list, std::string_view word) {
  while (!list.empty()) {
    const size_t comma = list.find(',');
    if (EqualsIgnoreCase(TrimSpaces(list.substr(0, comma)), word)) return true;
    if (comma == std::string_view::npos) break;
    list.remove_prefix(comma + 1);
  }
  return false;
}

bool ParseContentLength(std::string_view text, uint64_t* value) {
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), *value);
  return !text.empty() && parsed.ec == std::errc() && parsed.ptr == text.data() + text.size() &&
         *value <= uint64_t{std::numeric_limits<int64_t>::max()};
}

bool ParseFieldLine(std::string_view line, std::string_view* name, std::string_view* value) {
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos) return false;
  *name = line.substr(0, colon);
  *value = TrimSpaces(line.substr(colon + 1));
  return IsToken(*name) && std::all_of(value->begin(), value->end(), IsFieldChar);
}

ParsedHead ParseRequestHead(std::string_view data, size_t searched) {
  // RFC 9112 2.2: "a server that is expecting to receive and parse a request-line SHOULD ignore at
  // least one empty line (CRLF) received prior to the request-line."
  const size_t skipped = data.substr(0, 2) == kLineEnd ? 2 : 0;
  const size_t from = std::max(skipped, searched < 3 ? size_t{0} : searched - 3);
  const size_t end = data.find(kHeadEnd, from);
  if (end == std::string_view::npos || end + kHeadEnd.size() > kHeadBytesMax) {
    if (end == std::string_view::npos && data.size() < kHeadBytesMax) return {};
    const bool line_too_long =
        data.substr(skipped, kHeadBytesMax).find(kLineEnd) == std::string_view::npos;
    return Failed(line_too_long ? 414 : 431);
  }
  ParsedHead parsed;
  const size_t length = end + kHeadEnd.size();
  const int status = ParseHead(data.substr(skipped, length - skipped), &parsed.request);
  if (status != 0) return Failed(status);
  parsed.result = HeadResult::kDone;
  parsed.length = length;
  return parsed;
}

const char* ReasonOf(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 400:
      return "Bad Request";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 414:
      return "URI Too Long";
    case 431:
      return "Request Header Fields Too Large";
    case 501:
      return "Not Implemented";
    case 503:
      return "Service Unavailable";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "Unknown";
  }
}

}  // namespace millrace::apps

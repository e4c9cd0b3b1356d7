#include "apps/load/request.h"

#include <utility>

namespace millrace::apps {
namespace {

constexpr std::string_view kNumber = "{n}";

void ReplaceAll(std::string* text, std::string_view from, std::string_view to) {
  for (size_t at = 0; (at = text->find(from, at)) != std::string::npos; at += to.size()) {
    text->replace(at, from.size(), to);
  }
}

// The head with CR LF at each line's end and an empty line behind it; the body as it is.
std::string WithLineEnds(std::string_view text) {
  std::string result;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty()) break;
    result.append(line).append("\r\n");
  }
  return result.append("\r\n").append(text);
}

}  // namespace

RequestTemplate::RequestTemplate(std::string text) : head_only_(text.starts_with("HEAD ")) {
  size_t at = 0, found = 0;
  for (; (found = text.find(kNumber, at)) != std::string::npos; at = found + kNumber.size()) {
    pieces_.push_back(text.substr(at, found - at));
  }
  pieces_.push_back(text.substr(at));
}

RequestTemplate RequestTemplate::Get(const Target& target, bool last) {
  return RequestTemplate("GET " + target.path + " HTTP/1.1\r\nHost: " + target.host +
                         "\r\nUser-Agent: millrace\r\nAccept: */*\r\n" +
                         (last ? "Connection: close\r\n\r\n" : "\r\n"));
}

RequestTemplate RequestTemplate::FromText(std::string_view text, const Target& target) {
  std::string request = WithLineEnds(text);
  ReplaceAll(&request, "{host}", target.host);
  ReplaceAll(&request, "{path}", target.path);
  return RequestTemplate(std::move(request));
}

void RequestTemplate::Render(uint64_t n, std::string* out) const {
  out->assign(pieces_.front());
  for (size_t i = 1; i < pieces_.size(); ++i) out->append(std::to_string(n)).append(pieces_[i]);
}

}  // namespace millrace::apps

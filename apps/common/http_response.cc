#include "apps/common/http_response.h"

#include <algorithm>
#include <charconv>
#include <limits>

#include "apps/common/http_request.h"

namespace millrace::apps {

HttpResponseReader::Progress HttpResponseReader::Finish() {
  if (progress_ != Progress::kMore) return progress_;
  if (stage_ == Stage::kBody && until_close_) {
    progress_ = Progress::kDone;
  } else if (stage_ == Stage::kStatusLine && head_bytes_ == 0) {
    Fail("the connection ended before the response began");
  } else {
    Fail("the connection ended within the response");
  }
  return progress_;
}

void HttpResponseReader::Fail(const char* what) {
  progress_ = Progress::kError;
  error_ = what;
}

// Takes octets up to and including the next line end, or all of them; returns how many.
size_t HttpResponseReader::TakeLinePart(std::string_view data) {
  const size_t end = data.find('\n');
  const bool whole = end != std::string_view::npos;
  const size_t taken = whole ? end + 1 : data.size();
  head_bytes_ += taken;
  if (head_bytes_ > kHeadBytesMax) {
    Fail("the header of the response is longer than 8 KiB");
    return taken;
  }
  const bool in_pieces = !whole || !line_.empty();
  if (in_pieces) line_.append(data.substr(0, taken));
  if (!whole) return taken;
  std::string_view line = in_pieces ? std::string_view(line_) : data.substr(0, taken);
  line.remove_suffix(1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  OnLine(line);
  if (in_pieces) line_.clear();
  return taken;
}

void HttpResponseReader::OnLine(std::string_view line) {
  switch (stage_) {
    case Stage::kStatusLine:
      OnStatusLine(line);
      break;
    case Stage::kFields:
      line.empty() ? OnHeadEnd() : OnField(line);
      break;
    case Stage::kChunkSize:
      OnChunkSize(line);
      break;
    case Stage::kChunkEnd:
      if (!line.empty()) Fail("a chunk does not end where its size says");
      stage_ = Stage::kChunkSize;
      head_bytes_ = 0;
      break;
    case Stage::kTrailers:
      if (line.empty()) progress_ = Progress::kDone;
      break;
    case Stage::kBody:
      break;
  }
}

namespace {

// What RFC 9112 4 lets a reason phrase have; a bare CR is none of it.
bool IsReason(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    const auto octet = static_cast<unsigned char>(c);
    return octet == '\t' || (octet >= 0x20 && octet != 0x7F);
  });
}

}  // namespace

// "HTTP/1.1 200 OK"
void HttpResponseReader::OnStatusLine(std::string_view line) {
  const bool shaped = line.size() >= 12 && line.substr(0, 7) == "HTTP/1." && line[8] == ' ' &&
                      (line.size() == 12 || line[12] == ' ') && IsReason(line.substr(12));
  int status = 0;
  const auto parsed = shaped ? std::from_chars(line.data() + 9, line.data() + 12, status)
                             : std::from_chars_result{nullptr, std::errc::invalid_argument};
  if (parsed.ec != std::errc() || parsed.ptr != line.data() + 12 || status < 100) {
    Fail("this is not an HTTP/1 response");
    return;
  }
  status_ = status;
  keep_alive_ = line[7] != '0';
  stage_ = Stage::kFields;
}

void HttpResponseReader::OnField(std::string_view line) {
  std::string_view name, value;
  if (!ParseFieldLine(line, &name, &value)) {
    Fail("the response has a malformed header field");
  } else if (EqualsIgnoreCase(name, "Content-Length")) {
    uint64_t length = 0;
    if (!ParseContentLength(value, &length) || (has_length_ && length != body_left_)) {
      Fail("the response has a malformed Content-Length");
      return;
    }
    has_length_ = true;
    body_left_ = length;
  } else if (EqualsIgnoreCase(name, "Transfer-Encoding")) {
    if (chunked_ || !EqualsIgnoreCase(value, "chunked")) {
      Fail("the response has an unknown transfer coding");
    }
    chunked_ = true;
  } else if (EqualsIgnoreCase(name, "Connection")) {
    if (ListHas(value, "close")) keep_alive_ = false;
    if (ListHas(value, "keep-alive")) keep_alive_ = true;
  }
}

// RFC 9112 6.3: which length the body has.
void HttpResponseReader::OnHeadEnd() {
  if (status_ < 200) {
    const bool head_request = head_request_;
    *this = HttpResponseReader(head_request);
    return;
  }
  // RFC 9112 6.3, of both fields together: "Such a message might indicate an attempt to perform
  // request smuggling (Section 11.2) or response splitting (Section 11.1) and ought to be handled
  // as an error."
  if (chunked_ && has_length_) {
    Fail("the response has both a Content-Length and a transfer coding");
    return;
  }
  stage_ = Stage::kBody;
  if (head_request_ || status_ == 204 || status_ == 304) {
    progress_ = Progress::kDone;
  } else if (chunked_) {
    stage_ = Stage::kChunkSize;
    head_bytes_ = 0;
  } else if (has_length_) {
    if (body_left_ == 0) progress_ = Progress::kDone;
  } else {
    until_close_ = true;
    keep_alive_ = false;
    body_left_ = std::numeric_limits<uint64_t>::max();
  }
}

void HttpResponseReader::OnChunkSize(std::string_view line) {
  const std::string_view digits = line.substr(0, line.find_first_of("; \t"));
  uint64_t size = 0;
  const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), size, 16);
  if (digits.empty() || parsed.ec != std::errc() || parsed.ptr != digits.data() + digits.size()) {
    Fail("the response has a malformed chunk");
    return;
  }
  head_bytes_ = 0;
  body_left_ = size;
  stage_ = size == 0 ? Stage::kTrailers : Stage::kBody;
}

void HttpResponseReader::TookBody(uint64_t octets) {
  body_bytes_ += octets;
  if (until_close_) return;
  body_left_ -= octets;
  if (body_left_ > 0) return;
  if (chunked_) {
    stage_ = Stage::kChunkEnd;
  } else {
    progress_ = Progress::kDone;
  }
}

}  // namespace millrace::apps

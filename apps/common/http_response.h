// apps/common/http_response.h - reads one HTTP/1 response as its octets arrive (RFC 9112).
//
// Body lengths by Content-Length, by chunks, or to the end of the connection. Interim (1xx)
// responses are skipped. Bounded: the head by kHeadBytesMax, chunk lines and trailers too; the body
// is handed on and never kept.
// Cost: one pass over the head and nothing per octet of a body. Lines are read where they lie; only
// one that comes in pieces is copied, which allocates.
#ifndef MILLRACE_APPS_COMMON_HTTP_RESPONSE_H_
#define MILLRACE_APPS_COMMON_HTTP_RESPONSE_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace millrace::apps {

class HttpResponseReader {
 public:
  enum class Progress : uint8_t { kMore, kDone, kError };

  // `head_request`: the request was HEAD, so no body follows whatever the header says.
  HttpResponseReader() = default;
  explicit HttpResponseReader(bool head_request) : head_request_(head_request) {}

  // Takes the next octets; calls sink(std::string_view) for those of the body. Returns how many
  // belong to the response: all of them until progress() says that it is over.
  template <class Sink>
  size_t Feed(std::string_view data, Sink&& sink) {
    const size_t offered = data.size();
    while (!data.empty() && progress_ == Progress::kMore) {
      if (stage_ != Stage::kBody) {
        data.remove_prefix(TakeLinePart(data));
        continue;
      }
      const auto piece =
          data.substr(0, body_left_ < data.size() ? static_cast<size_t>(body_left_) : data.size());
      sink(piece);
      data.remove_prefix(piece.size());
      TookBody(piece.size());
    }
    return offered - data.size();
  }
  // The connection has ended: the end of a body that has no length, else an error.
  Progress Finish();

  Progress progress() const { return progress_; }
  int status() const { return status_; }  // 0 until the status line was read
  uint64_t body_bytes() const { return body_bytes_; }
  bool keep_alive() const { return keep_alive_; }
  const char* error() const { return error_; }  // with kError, else ""

 private:
  enum class Stage : uint8_t { kStatusLine, kFields, kBody, kChunkSize, kChunkEnd, kTrailers };

  size_t TakeLinePart(std::string_view data);
  void TookBody(uint64_t octets);
  void OnLine(std::string_view line);
  void OnStatusLine(std::string_view line);
  void OnField(std::string_view line);
  void OnHeadEnd();
  void OnChunkSize(std::string_view line);
  void Fail(const char* what);

  bool head_request_ = false;
  bool keep_alive_ = true;
  bool has_length_ = false, chunked_ = false, until_close_ = false;
  Stage stage_ = Stage::kStatusLine;
  Progress progress_ = Progress::kMore;
  int status_ = 0;
  uint64_t body_left_ = 0;  // of the body, or of the chunk
  uint64_t body_bytes_ = 0;
  size_t head_bytes_ = 0;  // of lines so far
  std::string line_;       // the incomplete one
  const char* error_ = "";
};

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_COMMON_HTTP_RESPONSE_H_

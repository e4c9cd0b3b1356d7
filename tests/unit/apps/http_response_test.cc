#include "apps/common/http_response.h"

#include <gtest/gtest.h>

#include <string>

#include "apps/common/http_request.h"

namespace millrace::apps {
namespace {

using Progress = HttpResponseReader::Progress;

struct Read {
  Progress progress;
  std::string body;
  int status;
};

// Feeds `text` in pieces of `step` octets; `closes`: the connection ends after it.
Read ReadAll(std::string_view text, size_t step, bool closes, bool head_request = false) {
  HttpResponseReader reader(head_request);
  std::string body;
  for (size_t at = 0; at < text.size(); at += step) {
    reader.Feed(text.substr(at, step), [&body](std::string_view piece) { body += piece; });
  }
  if (closes) reader.Finish();
  return {reader.progress(), body, reader.status()};
}

TEST(HttpResponse, EveryWayToCutItGivesTheSameBody) {
  struct Case {
    const char* text;
    bool closes;
  };
  for (const Case& c : {Case{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", false},
                        Case{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                             "2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\nT: v\r\n\r\n",
                             false},
                        Case{"HTTP/1.0 200 OK\r\n\r\nhello", true},
                        Case{"HTTP/1.1 100 Continue\r\n\r\n"
                             "HTTP/1.1 200\r\nContent-Length: 5\r\n\r\nhelloEXTRA",
                             false}}) {
    for (size_t step = 1; step < 60; ++step) {
      const Read read = ReadAll(c.text, step, c.closes);
      EXPECT_EQ(read.progress, Progress::kDone) << c.text << " step " << step;
      EXPECT_EQ(read.body, "hello") << c.text << " step " << step;
      EXPECT_EQ(read.status, 200);
    }
  }
}

TEST(HttpResponse, ATruncatedBodyIsAnError) {
  EXPECT_EQ(ReadAll("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello", 99, true).progress,
            Progress::kError);
  EXPECT_EQ(ReadAll("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", 99, true)
                .progress,
            Progress::kError);
  EXPECT_EQ(ReadAll("", 99, true).progress, Progress::kError);
}

TEST(HttpResponse, NoBodyFollowsHead204And304) {
  EXPECT_EQ(ReadAll("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n", 99, false, true).progress,
            Progress::kDone);
  EXPECT_EQ(ReadAll("HTTP/1.1 204 No Content\r\n\r\n", 99, false).progress, Progress::kDone);
  EXPECT_EQ(ReadAll("HTTP/1.1 304 Not Modified\r\nContent-Length: 6\r\n\r\n", 99, false).progress,
            Progress::kDone);
}

TEST(HttpResponse, WhatIsNotHttpIsAnError) {
  for (const char* text :
       {"SSH-2.0-OpenSSH\r\n", "HTTP/2.0 200 OK\r\n", "HTTP/1.1 2x0 OK\r\n",
        "HTTP/1.1 200 OK\r\nbroken\r\n", "HTTP/1.1 200 OK\r\nContent-Length: x\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n"}) {
    EXPECT_EQ(ReadAll(text, 99, false).progress, Progress::kError) << text;
  }
  EXPECT_EQ(ReadAll(std::string(kHeadBytesMax + 1, 'x'), 100, false).progress, Progress::kError);
}

}  // namespace
}  // namespace millrace::apps

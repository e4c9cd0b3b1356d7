#include "apps/common/http_request.h"

#include <gtest/gtest.h>

#include <string>

namespace millrace::apps {
namespace {

int StatusOf(std::string_view head) {
  const ParsedHead parsed = ParseRequestHead(head);
  if (parsed.result == HeadResult::kIncomplete) return 0;
  return parsed.result == HeadResult::kDone ? 200 : parsed.status;
}

std::string WithField(const std::string& field) {
  return "GET / HTTP/1.1\r\nHost: a\r\n" + field + "\r\n\r\n";
}

TEST(HttpRequest, AWholeHeadGivesItsParts) {
  const std::string head = "GET /1k?x=1 HTTP/1.1\r\nHost: a\r\nAccept: */*\r\n\r\n";
  const std::string data = head + "GET /next";
  const ParsedHead parsed = ParseRequestHead(data);
  ASSERT_EQ(parsed.result, HeadResult::kDone);
  EXPECT_EQ(parsed.length, head.size());
  EXPECT_EQ(parsed.request.method, "GET");
  EXPECT_EQ(parsed.request.path, "/1k");
  EXPECT_EQ(parsed.request.content_length, 0u);
  EXPECT_TRUE(parsed.request.keep_alive);
}

TEST(HttpRequest, EveryShorterPrefixIsIncompleteAndItsEndIsFoundAcrossPieces) {
  const std::string head = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
  for (size_t n = 0; n < head.size(); ++n) {
    EXPECT_EQ(ParseRequestHead(head.substr(0, n)).result, HeadResult::kIncomplete) << n;
    EXPECT_EQ(ParseRequestHead(head, n).result, HeadResult::kDone) << n;
  }
}

TEST(HttpRequest, PersistenceFollowsVersionAndConnection) {
  const auto keeps = [](std::string_view head) {
    const ParsedHead parsed = ParseRequestHead(head);
    EXPECT_EQ(parsed.result, HeadResult::kDone) << head;
    return parsed.request.keep_alive;
  };
  EXPECT_TRUE(keeps(WithField("X: y")));
  EXPECT_FALSE(keeps(WithField("Connection: close")));
  EXPECT_FALSE(keeps(WithField("connection: foo, CLOSE")));
  EXPECT_FALSE(keeps("GET / HTTP/1.0\r\n\r\n"));
  EXPECT_TRUE(keeps("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"));
}

TEST(HttpRequest, AbsoluteFormGivesItsPath) {
  const std::string head = "GET http://example.com:80/10 HTTP/1.1\r\nHost: a\r\n\r\n";
  EXPECT_EQ(ParseRequestHead(head).request.path, "/10");
  EXPECT_EQ(ParseRequestHead("GET http://a HTTP/1.1\r\nHost: a\r\n\r\n").request.path, "/");
}

TEST(HttpRequest, OneEmptyLineBeforeTheRequestIsIgnored) {
  const std::string head = "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n";
  const ParsedHead parsed = ParseRequestHead(head);
  ASSERT_EQ(parsed.result, HeadResult::kDone);
  EXPECT_EQ(parsed.length, head.size());
  EXPECT_EQ(StatusOf("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
}

TEST(HttpRequest, MalformedRequestLinesAreBadRequests) {
  for (const char* line :
       {"GET /", "GET  / HTTP/1.1", "GET / HTTP/1.1 ", "G\x01T / HTTP/1.1", " GET / HTTP/1.1",
        "GET x HTTP/1.1", "GET / http/1.1", "GET / HTTP/1", "GET / HTTP/1.x", "GET /a\tb HTTP/1.1",
        "GET /#f HTTP/1.1", "/ HTTP/1.1", "GET http:///x HTTP/1.1", "GET /\nX: y HTTP/1.1"}) {
    EXPECT_EQ(StatusOf(std::string(line) + "\r\nHost: a\r\n\r\n"), 400) << line;
  }
  EXPECT_EQ(StatusOf("GET / HTTP/2.0\r\nHost: a\r\n\r\n"), 505);
}

TEST(HttpRequest, MalformedFieldsAreBadRequests) {
  for (const char* field :
       {"NoColon", "Bad Name: x", "Name : x", ": x", " Folded: x", "A: b\r\n c", "A: \x01",
        "A: b\nB: c", "Content-Length: -1", "Content-Length: +1", "Content-Length: 1 2",
        "Content-Length: ", "Content-Length: 0x1", "Content-Length: 99999999999999999999",
        "Content-Length: 1\r\nContent-Length: 2", "Host: b",
        "Content-Length: 1\r\nTransfer-Encoding: chunked"}) {
    EXPECT_EQ(StatusOf(WithField(field)), 400) << field;
  }
  EXPECT_EQ(StatusOf("GET / HTTP/1.1\r\nX: y\r\n\r\n"), 400) << "no Host";
  EXPECT_EQ(StatusOf(WithField("Transfer-Encoding: chunked")), 501);
}

TEST(HttpRequest, TheHeadIsBounded) {
  const std::string long_field = "X: " + std::string(kHeadBytesMax, 'x');
  EXPECT_EQ(StatusOf(WithField(long_field)), 431);
  EXPECT_EQ(StatusOf("GET / HTTP/1.1\r\n" + long_field), 431) << "without an end";
  EXPECT_EQ(StatusOf("GET /" + std::string(kHeadBytesMax, 'x')), 414);
  std::string many;
  for (int i = 0; i < kHeaderFieldsMax - 1; ++i) many += "X: y\r\n";
  EXPECT_EQ(StatusOf(WithField(many + "X: y")), 431);
  EXPECT_EQ(StatusOf(WithField(many.substr(0, many.size() - 2))), 200);
  std::string exact = "GET / HTTP/1.0\r\nX: ";
  exact += std::string(kHeadBytesMax - exact.size() - 4, 'x') + "\r\n\r\n";
  ASSERT_EQ(exact.size(), kHeadBytesMax);
  EXPECT_EQ(StatusOf(exact), 200);
}

TEST(HttpRequest, ContentLengthIsReported) {
  EXPECT_EQ(ParseRequestHead(WithField("Content-Length: 12")).request.content_length, 12u);
}

}  // namespace
}  // namespace millrace::apps

// HttpResponseReader beside llhttp, the parser of Node.js: the same responses, cut in the same
// pieces, mean the same to both.

#include <gtest/gtest.h>
#include <llhttp.h>

#include <algorithm>
#include <cstdio>
#include <string>
#include <string_view>

#include "apps/common/http_response.h"
#include "millrace/base/prng.h"

namespace millrace::apps {
namespace {

struct Meaning {
  bool done = false, error = false;
  int status = 0;
  std::string body;
};

Meaning OfReader(std::string_view text, size_t step, bool closes) {
  HttpResponseReader reader;
  Meaning meaning;
  for (size_t at = 0; at < text.size(); at += step) {
    reader.Feed(text.substr(at, step), [&](std::string_view piece) { meaning.body += piece; });
  }
  if (closes) reader.Finish();
  meaning.done = reader.progress() == HttpResponseReader::Progress::kDone;
  meaning.error = reader.progress() == HttpResponseReader::Progress::kError;
  meaning.status = reader.status();
  return meaning;
}

Meaning& MeaningOf(llhttp_t* parser) { return *static_cast<Meaning*>(parser->data); }

Meaning OfLlhttp(std::string_view text, size_t step, bool closes) {
  Meaning meaning;
  llhttp_settings_t settings;
  llhttp_settings_init(&settings);
  settings.on_body = [](llhttp_t* parser, const char* at, size_t length) {
    MeaningOf(parser).body.append(at, length);
    return 0;
  };
  settings.on_message_complete = [](llhttp_t* parser) {
    Meaning& m = MeaningOf(parser);
    m.status = parser->status_code;
    if (m.status < 200) return 0;  // interim: the real one follows
    m.done = true;
    return static_cast<int>(HPE_PAUSED);
  };
  llhttp_t parser;
  llhttp_init(&parser, HTTP_RESPONSE, &settings);
  parser.data = &meaning;
  for (size_t at = 0; at < text.size() && !meaning.done && !meaning.error; at += step) {
    const std::string_view piece = text.substr(at, step);
    const llhttp_errno_t code = llhttp_execute(&parser, piece.data(), piece.size());
    meaning.error = code != HPE_OK && code != HPE_PAUSED;
  }
  if (closes && !meaning.done && !meaning.error) {
    const llhttp_errno_t code = llhttp_finish(&parser);
    meaning.error = code != HPE_OK && code != HPE_PAUSED;
  }
  return meaning;
}

// A response, of any of the lengths that RFC 9112 6.3 knows.
struct Response {
  std::string text;
  bool until_close = false;
};

std::string Chunked(const std::string& body, Prng& dice) {
  std::string text;
  for (size_t at = 0; at < body.size();) {
    const size_t n = std::min<size_t>(1 + dice.Below(40), body.size() - at);
    char size[16];
    std::snprintf(size, sizeof size, dice.Chance(0.5) ? "%zx" : "%zX", n);
    text +=
        size + std::string(dice.Chance(0.2) ? ";a=b" : "") + "\r\n" + body.substr(at, n) + "\r\n";
    at += n;
  }
  return text + "0\r\n" + (dice.Chance(0.3) ? "Trailer: x\r\n" : "") + "\r\n";
}

Response Draw(Prng& dice) {
  constexpr int kStatuses[] = {200, 200, 200, 204, 206, 301, 304, 404, 500};
  const int status = kStatuses[dice.Below(std::size(kStatuses))];
  const bool bodiless = status == 204 || status == 304;
  std::string body(bodiless ? 0 : dice.Below(200), ' ');
  for (char& c : body) c = static_cast<char>(dice.Below(256));
  Response response;
  if (dice.Chance(0.1)) response.text = "HTTP/1.1 100 Continue\r\n\r\n";
  response.text += "HTTP/1.1 " + std::to_string(status) + " Some Words\r\nServer: s\r\n";
  if (dice.Chance(0.3)) response.text += "X-Empty:\r\n";
  const uint64_t kind = bodiless ? 0 : dice.Below(3);
  if (kind == 0 && !bodiless) {
    response.text += (dice.Chance(0.5) ? "Content-Length: " : "content-length:") +
                     std::to_string(body.size()) + "\r\n";
  }
  if (kind == 1) response.text += "Transfer-Encoding: chunked\r\n";
  response.until_close = kind == 2;
  response.text += "\r\n" + (kind == 1 ? Chunked(body, dice) : body);
  return response;
}

TEST(HttpOracle, ResponsesMeanTheSameHoweverTheyAreCut) {
  for (uint64_t seed = 1; seed <= 3'000; ++seed) {
    Prng dice(seed);
    const Response response = Draw(dice);
    const size_t step = 1 + dice.Below(response.text.size());
    const Meaning ours = OfReader(response.text, step, response.until_close);
    const Meaning theirs = OfLlhttp(response.text, step, response.until_close);
    ASSERT_TRUE(ours.done) << seed << "\n" << response.text;
    ASSERT_TRUE(theirs.done) << seed << "\n" << response.text;
    ASSERT_EQ(ours.status, theirs.status) << seed;
    ASSERT_EQ(ours.body, theirs.body) << seed << "\n" << response.text;
  }
}

// Strictness differs in detail (llhttp refuses characters in places where we do not look, and the
// other way round); where both understand a damaged response, they understand the same.
TEST(HttpOracle, DamagedResponsesMeanTheSameWhereBothTakeThem) {
  int both = 0, refused = 0;
  for (uint64_t seed = 1; seed <= 20'000; ++seed) {
    Prng dice(seed);
    Response response = Draw(dice);
    const size_t head = response.text.find("\r\n\r\n") + 4;
    for (uint64_t i = 0; i <= dice.Below(3); ++i) {
      response.text[dice.Below(head)] = "\r\n :0159aZ\t\x01\xFF"[dice.Below(12)];
    }
    const size_t step = 1 + dice.Below(response.text.size());
    const Meaning ours = OfReader(response.text, step, true);
    const Meaning theirs = OfLlhttp(response.text, step, true);
    ASSERT_TRUE(ours.done || ours.error);
    refused += ours.error ? 1 : 0;
    if (!ours.done || !theirs.done || theirs.error) continue;
    ++both;
    ASSERT_EQ(ours.status, theirs.status) << seed << "\n" << response.text;
    ASSERT_EQ(ours.body, theirs.body) << seed << "\n" << response.text;
  }
  EXPECT_GT(both, 2'000);
  EXPECT_GT(refused, 2'000);
}

}  // namespace
}  // namespace millrace::apps

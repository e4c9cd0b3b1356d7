#include "apps/common/pattern.h"

#include <gtest/gtest.h>

#include "apps/common/http_fetcher.h"
#include "apps/serve/http_service.h"

namespace millrace::apps {
namespace {

TEST(Pattern, PiecesFollowTheFormulaFromAnyPosition) {
  const Pattern pattern;
  for (const uint64_t position : {uint64_t{0}, uint64_t{1}, uint64_t{250}, uint64_t{251},
                                  uint64_t{1'048'677}, uint64_t{1} << 40}) {
    const auto piece = pattern.Piece(position, 3 * Pattern::kBlockBytes);
    ASSERT_GT(piece.size(), Pattern::kBlockBytes - Pattern::kPeriod);
    for (size_t i = 0; i < piece.size(); i += 97) {
      ASSERT_EQ(static_cast<uint64_t>(piece[i]), ((position + i) % 251 * 7 + 13) % 251);
    }
    EXPECT_EQ(pattern.Piece(position, 5).size(), 5u);
  }
}

TEST(HttpService, PathsAreSizes) {
  EXPECT_EQ(BodySizeOf("/1"), 1u);
  EXPECT_EQ(BodySizeOf("/1k"), 1024u);
  EXPECT_EQ(BodySizeOf("/100m"), 104'857'600u);
  for (const char* path : {"", "/", "1k", "/x", "/1k/", "/../1k", "/1025g", "/-1"}) {
    EXPECT_EQ(BodySizeOf(path), std::nullopt) << path;
  }
}

TEST(HttpUrl, TakesAnAddressAndKeepsTheRest) {
  const auto url = HttpUrl::Parse("http://10.1.0.2:8080/a?b=c");
  ASSERT_TRUE(url.has_value());
  EXPECT_EQ(url->server.ToString(), "10.1.0.2:8080");
  EXPECT_EQ(url->host, "10.1.0.2:8080");
  EXPECT_EQ(url->path, "/a?b=c");
  EXPECT_EQ(HttpUrl::Parse("http://10.1.0.2")->server.port, 80);
  EXPECT_EQ(HttpUrl::Parse("http://10.1.0.2")->path, "/");
  for (const char* text : {"", "10.1.0.2", "https://10.1.0.2/", "http://name/", "http:///x",
                           "http://10.1.0.2:0/", "http://10.1.0.2/a b"}) {
    EXPECT_FALSE(HttpUrl::Parse(text).has_value()) << text;
  }
}

}  // namespace
}  // namespace millrace::apps

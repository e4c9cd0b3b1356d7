#include "apps/config/config_file.h"

#include <gmock/gmock.h>

#include <string>

namespace millrace::apps {
namespace {

using ::testing::ElementsAre;
using ::testing::StartsWith;

std::string ErrorOf(const std::string& text) {
  const auto file = ParseConfig(text, "x.toml");
  return file.ok() ? "" : std::string(file.status().message());
}

// A line for each setting: table/key=values;kind place.
std::string Listed(const ConfigFile& file) {
  std::string all;
  for (const Setting& s : file.settings) {
    all += s.table + "/" + s.key + "=";
    for (const std::string& value : s.values) all += value + ";";
    all += std::string(s.boolean ? "b" : "") + (s.list ? "l" : "") + " " + s.place + "\n";
  }
  return all;
}

TEST(ConfigFile, ValuesAreWhatPeopleWroteAndKnowTheirPlace) {
  const auto file = ParseConfig(
      "dev = \"ring\"\n"
      "[load.run]\n"
      "rate = 1_200_000\n"
      "share = 0.5\n"
      "big = 1e6\n"
      "no-huge = true\n"
      "slo = [\"a<1\", 2]\n",
      "x.toml");
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(Listed(*file),
            "/dev=ring; x.toml:1:7\n"
            "load.run/big=1000000; x.toml:5:7\n"
            "load.run/no-huge=true;b x.toml:6:11\n"
            "load.run/rate=1200000; x.toml:3:8\n"
            "load.run/share=0.5; x.toml:4:9\n"
            "load.run/slo=a<1;2;l x.toml:7:7\n");
  ASSERT_EQ(file->tables.size(), 2u);
  EXPECT_EQ(file->tables[1].first, "load.run");
}

TEST(ConfigFile, JsonHasTheSameKeys) {
  const auto file = ParseConfig(
      "\n{\"dev\": \"ring\",\n"
      "  \"load\": {\"run\": {\"rate\": 1200000, \"share\": 0.5, \"big\": 1e6,\n"
      "    \"no-huge\": true, \"slo\": [\"a<1\", 2]}, \"hold\": {}},\n"
      "  \"seed\": 3}\n",
      "x.json");
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(Listed(*file),
            "/dev=ring; x.json:2:2\n"
            "load.run/rate=1200000; x.json:3:20\n"
            "load.run/share=0.5; x.json:3:37\n"
            "load.run/big=1000000; x.json:3:51\n"
            "load.run/no-huge=true;b x.json:4:5\n"
            "load.run/slo=a<1;2;l x.json:4:22\n"
            "/seed=3; x.json:5:3\n");
  std::string tables;
  for (const auto& [table, place] : file->tables) tables += table + " ";
  EXPECT_EQ(tables, "load load.run load.hold ");
}

TEST(ConfigFile, WrongJsonHasLineAndColumn) {
  EXPECT_THAT(ErrorOf("{\"a\": 1,\n \"b\" 2}"), StartsWith("x.toml:2:7: no JSON: "));
  EXPECT_THAT(ErrorOf("{\"a\": 1"), StartsWith("x.toml:1:"));
  EXPECT_EQ(ErrorOf("{\"a\": 1,\n\"a\": 2}"), "x.toml:2:1: a: is given twice");
  EXPECT_EQ(ErrorOf("{\"a\": null}"),
            "x.toml:1:2: a: write a string, a number, true, false or a list");
  for (const char* list : {"[1, [2]]", "[true]", "[{}]"}) {
    EXPECT_EQ(ErrorOf("{\"a\": " + std::string(list) + "}"),
              "x.toml:1:2: a: a list has strings and numbers");
  }
  EXPECT_THAT(ErrorOf("{\"a\":{\"b\":{\"c\":{\"d\":{\"x\":1}}}}}"),
              StartsWith("x.toml:1:17: [a.b.c.d]: no subcommand is so deep"));
  EXPECT_EQ(ErrorOf("{}"), "");
}

TEST(ConfigFile, WhatIsNotTomlHasLineAndColumn) {
  EXPECT_THAT(ErrorOf("a = 1\nb = \n"), StartsWith("x.toml:2:"));
  EXPECT_THAT(ErrorOf("a = 1\na = 2\n"), StartsWith("x.toml:2:"));
  EXPECT_THAT(ErrorOf("mac = 02:00:00\xff"), StartsWith("x.toml:1:"));
}

TEST(ConfigFile, ValuesThatNoOptionTakesAreRefused) {
  EXPECT_EQ(ErrorOf("\nwhen = 2026-11-21\n"),
            "x.toml:2:8: when: write a string, a number, true, false or a list");
  EXPECT_EQ(ErrorOf("a = [1, [2]]"), "x.toml:1:9: a: a list has strings and numbers");
  EXPECT_EQ(ErrorOf("a = [true]"), "x.toml:1:6: a: a list has strings and numbers");
  EXPECT_THAT(ErrorOf("[a.b.c.d]\nx = 1"), StartsWith("x.toml:1:"));
  EXPECT_EQ(ErrorOf(""), "");
}

TEST(ConfigFile, FileThatIsNotThereIsNamed) {
  EXPECT_EQ(ReadConfig("/nowhere/x.toml").status().message(),
            "cannot read /nowhere/x.toml: No such file or directory");
}

TEST(TomlString, IsReadBackWhateverIsInIt) {
  for (const std::string text : {"", "a b", "\"", "\\", "\n\t\x01\x7f", "[1]", "#", "\xc3\xa4"}) {
    const auto file = ParseConfig("a = " + TomlString(text), "x");
    ASSERT_TRUE(file.ok()) << file.status();
    EXPECT_THAT(file->settings[0].values, ElementsAre(text));
  }
}

}  // namespace
}  // namespace millrace::apps

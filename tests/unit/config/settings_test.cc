#include "apps/config/settings.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "apps/common/flags.h"
#include "apps/config/check.h"
#include "apps/config/words.h"

namespace millrace::apps {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// A program like ours: `serve --dev`, and `load run TARGET...` with an option of every kind.
struct Program {
  CLI::App app{"", "millrace"};
  double rate = 7;
  uint32_t conns = 3;
  bool huge = false;
  std::string dev = "none", folder;
  std::vector<std::string> targets, slo;

  Program() {
    app.add_subcommand("serve", "")->add_option("--dev", dev, "")->required();
    CLI::App* run = app.add_subcommand("load", "")->add_subcommand("run", "");
    run->add_option("target", targets, "")->required();
    AddRate(*run, {"--rate", "N", "", "7"}, &rate);
    AddCount(*run, {"--conns", "N", "", "3"}, &conns, 1, 100);
    run->add_option("--slo", slo, "");
    run->add_option("-o,--output", folder, "");
    run->add_option("--dev", dev, "");
    run->add_flag("--huge", huge, "");
    AddConfigOptions(app);
  }
};

// Variables of the environment for as long as it lives: CLI11 reads the real one.
class Variables {
 public:
  using Values = std::map<std::string, std::string>;

  explicit Variables(const Values& values) : values_(values) {
    for (const auto& [name, value] : values_) setenv(name.c_str(), value.c_str(), 1);
  }
  ~Variables() {
    for (const auto& [name, value] : values_) unsetenv(name.c_str());
  }

 private:
  Values values_;
};

std::string FileWith(const std::string& text) {
  const std::string path = ::testing::TempDir() + "/settings_test.toml";
  std::ofstream(path) << text;
  return path;
}

// Parses; returns what the user would be told, "" for nothing, "resolved" text behind.
struct Outcome {
  std::string error, resolved;
};

Outcome Parse(Program& program, const std::vector<std::string>& words) {
  const auto settings = Settings::Load(program.app, words, [](const char* n) { return getenv(n); });
  if (!settings.ok()) return {std::string(settings.status().message()), ""};
  std::vector<std::string> reversed(settings->words().rbegin(), settings->words().rend());
  CLI::App& run = *program.app.get_subcommand("load")->get_subcommand("run");
  try {
    program.app.parse(reversed);
  } catch (const CLI::ParseError& error) {
    return {settings->Located(run, error.what()), ""};
  }
  return {"", settings->Resolved(run)};
}

TEST(Settings, CommandLineBeforeEnvironmentBeforeTableBeforeTop) {
  const std::string file = FileWith(
      "rate = 1\nconns = 1\nhuge = true\ndev = \"top\"\n[load.run]\nrate = 2\nconns = 2\n");
  const std::vector<std::string> base = {"load", "run", "t", "--config", file};
  const auto with = [&base](const std::vector<std::string>& more) {
    std::vector<std::string> words = base;
    words.insert(words.end(), more.begin(), more.end());
    return words;
  };
  {
    Program p;
    EXPECT_EQ(Parse(p, with({})).error, "");
    EXPECT_EQ(p.rate, 2);
    EXPECT_EQ(p.conns, 2u);
    EXPECT_EQ(p.dev, "top");
    EXPECT_TRUE(p.huge);
  }
  const Variables variables(Variables::Values{{"MILLRACE_RATE", "3"}, {"MILLRACE_HUGE", "false"}});
  {
    Program p;
    EXPECT_EQ(Parse(p, with({})).error, "");
    EXPECT_EQ(p.rate, 3);
    EXPECT_FALSE(p.huge);
  }
  {
    Program p;
    EXPECT_EQ(Parse(p, with({"--rate=4", "--conns", "5"})).error, "");
    EXPECT_EQ(p.rate, 4);
    EXPECT_EQ(p.conns, 5u);
  }
}

TEST(Settings, FileIsNamedByTheEnvironmentToo) {
  const Variables variables(
      Variables::Values{{"MILLRACE_CONFIG", FileWith("[load.run]\nrate = 9\n")}});
  Program p;
  EXPECT_EQ(Parse(p, {"load", "run", "t"}).error, "");
  EXPECT_EQ(p.rate, 9);
}

TEST(Settings, FileGivesWhatIsRequiredAndListsAndPositionals) {
  Program p;
  const std::string file =
      FileWith("[load.run]\ntarget = [\"a\", \"b\"]\nslo = [\"x<1\", \"y<2\"]\noutput = \"dir\"\n");
  EXPECT_EQ(Parse(p, {"load", "run", "--config=" + file}).error, "");
  EXPECT_THAT(p.targets, ElementsAre("a", "b"));
  EXPECT_THAT(p.slo, ElementsAre("x<1", "y<2"));
  EXPECT_EQ(p.folder, "dir");
}

TEST(Settings, ListOfTheCommandLineReplacesThatOfTheFile) {
  const std::string file =
      FileWith("[load.run]\ntarget = [\"a\", \"b\"]\nslo = \"x<1\"\noutput = \"dir\"\n");
  Program p;
  EXPECT_EQ(Parse(p, {"load", "run", "c", "--slo", "z<3", "-oelsewhere", "--config", file}).error,
            "");
  EXPECT_THAT(p.targets, ElementsAre("c"));
  EXPECT_THAT(p.slo, ElementsAre("z<3"));
  EXPECT_EQ(p.folder, "elsewhere");
}

TEST(Settings, ErrorsSayWhereTheValueCameFrom) {
  const std::string file = FileWith("[load.run]\nrate = \"fast\"\n");
  Program p;
  EXPECT_EQ(
      Parse(p, {"load", "run", "t", "--config", file}).error,
      file + ":2:8: --rate: \"fast\" is not a rate above 0 (write 500, 20k, 1.2M: per second)");
  Program q;
  EXPECT_EQ(Parse(q, {"load", "run", "t", "--rate", "slow", "--config", file}).error,
            "--rate: \"slow\" is not a rate above 0 (write 500, 20k, 1.2M: per second)");
  const Variables variables(Variables::Values{{"MILLRACE_CONNS", "x"}});
  Program r;
  EXPECT_THAT(Parse(r, {"load", "run", "t"}).error, HasSubstr("MILLRACE_CONNS: --conns: \"x\""));
}

struct Wrong {
  const char* text;
  const char* error;  // behind the file's name
};

TEST(Settings, WrongFilesAreRefusedWithPlaceAndSuggestion) {
  const Wrong cases[] = {
      {"rat = 1", ":1:7: unknown key \"rat\" at the top (did you mean \"rate\"?)"},
      {"[serve]\nrate = 1", ":2:8: unknown key \"rate\" in [serve]"},
      {"[laod.run]\nrate = 1", ":1:2: there is no subcommand for [laod]"},
      {"[load.rum]", ":1:7: there is no subcommand for [load.rum] (did you mean \"load.run\"?)"},
      {"[load]\nrate = 1", ":2:8: unknown key \"rate\" in [load]"},
      {"help = true", ":1:8: unknown key \"help\" at the top"},
      {"huge = 1", ":1:8: huge: is true or false"},
      {"rate = true", ":1:8: rate: takes a value, not true or false"},
      {"rate = [1, 2]", ":1:8: rate: takes one value, not a list"},
      {"rate = \"\"", ":1:8: rate: is empty"},
  };
  for (const Wrong& wrong : cases) {
    const std::string file = FileWith(wrong.text);
    Program p;
    EXPECT_THAT(Parse(p, {"load", "run", "t", "--config", file}).error,
                ::testing::StartsWith(file + wrong.error))
        << wrong.text;
  }
}

TEST(Settings, ResolvedTextIsReadBackToTheSame) {
  const std::string file = FileWith("[load.run]\nslo = [\"x<1\"]\nhuge = true\n");
  const Variables variables(Variables::Values{{"MILLRACE_CONNS", "9"}});
  Program p;
  const std::string text =
      Parse(p, {"load", "run", "t", "--rate", "1.5k", "--config", file}).resolved;
  EXPECT_EQ(text,
            "# millrace load run as resolved; --config reads this back\n"
            "[load.run]\n"
            "target = [\"t\"]  # command line\n"
            "rate = \"1.5k\"  # command line\n"
            "conns = \"9\"  # MILLRACE_CONNS\n"
            "slo = [\"x<1\"]  # " +
                file +
                ":2:7\n"
                "huge = true  # " +
                file + ":3:8\n");
  Program q;
  EXPECT_EQ(Parse(q, {"load", "run", "--config", FileWith(text)}).error, "");
  EXPECT_EQ(q.rate, 1500);
  EXPECT_EQ(q.conns, 9u);
  EXPECT_TRUE(q.huge);
  EXPECT_THAT(q.targets, ElementsAre("t"));
}

TEST(ScanWords, FollowsTheParser) {
  Program p;
  const auto keys = [&p](const std::vector<std::string>& words) {
    std::vector<std::string> names;
    for (const CLI::Option* o : ScanWords(p.app, words).given) names.push_back(o->get_name());
    return names;
  };
  EXPECT_THAT(keys({"load", "run", "--rate", "5", "t"}), ElementsAre("--rate", "target"));
  EXPECT_THAT(keys({"load", "run", "--slo", "a", "b", "--huge", "t"}),
              ElementsAre("--slo", "--huge", "target"));
  EXPECT_THAT(keys({"load", "run", "--slo=a", "b"}), ElementsAre("--slo"));
  EXPECT_THAT(keys({"load", "run", "-o", "x", "--", "--rate"}), ElementsAre("--output", "target"));
  EXPECT_THAT(keys({"load", "run", "--unknown", "-ox"}), ElementsAre("--output"));
  EXPECT_EQ(ScanWords(p.app, {"load"}).leaf, nullptr);
  EXPECT_EQ(ScanWords(p.app, {"--version"}).leaf, nullptr);
  EXPECT_EQ(ScanWords(p.app, {"load", "run"}).leaf_words, 2u);
}

TEST(CheckConfig, ChecksEverySubcommandAndNothingThatIsRequired) {
  Program p;
  const auto check = [&p](const std::string& text) {
    const auto file = ParseConfig(text, "f");
    return file.ok() ? std::string(CheckConfig(p.app, *file).message()) : "no TOML";
  };
  EXPECT_EQ(check("[load.run]\nrate = 5\n[serve]\ndev = \"x\"\n"), "");
  EXPECT_EQ(check("[load.run]\nconns = 101\n"),
            "f:2:9: --conns: \"101\" is not a whole number from 1 to 100");
  EXPECT_EQ(check("rat = 1"), "f:1:7: unknown key \"rat\" at the top (did you mean \"rate\"?)");
  // Required again afterwards.
  EXPECT_THAT(Parse(p, {"load", "run"}).error, HasSubstr("required"));
}

TEST(ConfigSchema, HasEveryKeyUnderItsTable) {
  Program p;
  const nlohmann::ordered_json schema = ConfigSchema(p.app);
  const auto& run = schema["properties"]["load"]["properties"]["run"]["properties"];
  EXPECT_EQ(run["huge"]["type"], "boolean");
  EXPECT_EQ(run["rate"]["default"], "7");
  EXPECT_TRUE(run["slo"].contains("anyOf"));
  EXPECT_FALSE(run.contains("help"));
  EXPECT_FALSE(run.contains("config"));
  EXPECT_TRUE(schema["properties"].contains("rate"));
  EXPECT_FALSE(schema["properties"]["serve"]["properties"].contains("rate"));
}

}  // namespace
}  // namespace millrace::apps

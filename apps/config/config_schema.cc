#include "apps/config/options.h"
#include "apps/config/settings.h"

namespace millrace::apps {
namespace {

using Json = nlohmann::ordered_json;

Json SchemaOf(const CLI::Option& option) {
  Json schema = {{"description", option.get_description()}};
  const Json scalar = {{"type", {"string", "number"}}};
  if (IsFlag(option)) {
    schema["type"] = "boolean";
  } else if (TakesSeveral(option)) {
    schema["anyOf"] = {scalar, {{"type", "array"}, {"items", scalar}}};
  } else {
    schema.update(scalar);
  }
  if (!option.get_default_str().empty()) schema["default"] = option.get_default_str();
  return schema;
}

void AddKeys(const CLI::App& app, Json& properties) {
  for (const CLI::Option* option : app.get_options()) {
    const std::string key = KeyOf(*option);
    if (!key.empty() && !properties.contains(key)) properties[key] = SchemaOf(*option);
  }
}

Json TableSchema(CLI::App& app) {
  Json properties = Json::object();
  const std::vector<CLI::App*> below = app.get_subcommands([](const CLI::App*) { return true; });
  for (CLI::App* sub : below) properties[sub->get_name()] = TableSchema(*sub);
  if (below.empty()) AddKeys(app, properties);
  return {{"description", app.get_description()},
          {"type", "object"},
          {"properties", std::move(properties)},
          {"additionalProperties", false}};
}

}  // namespace

Json ConfigSchema(CLI::App& program) {
  Json schema = {{"$schema", "http://json-schema.org/draft-07/schema#"},
                 {"title", "settings of the Millrace program"}};
  schema.update(TableSchema(program));
  schema["description"] =
      "A key at the top is for every subcommand that has the option; one in a subcommand's table "
      "is for it alone and wins.";
  for (const CLI::App* leaf : LeavesOf(program)) AddKeys(*leaf, schema["properties"]);
  return schema;
}

}  // namespace millrace::apps

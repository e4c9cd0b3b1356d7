#include "apps/common/source_ports.h"

#include "apps/common/units.h"

namespace millrace::apps {

std::optional<SourcePortChoice> ParseSourcePorts(std::string_view text) {
  SourcePortChoice choice{.sequential = text == "sequential"};
  // A worker opens from no other ports than those whose answers come to it.
  if (choice.sequential || text == "random" || text == "hash-local") return choice;
  const size_t dash = text.find('-');
  if (dash == std::string_view::npos) return std::nullopt;
  const auto low = ParseCount(text.substr(0, dash)), high = ParseCount(text.substr(dash + 1));
  if (!low || !high || *low == 0 || *high > 65'535 || *low > *high) return std::nullopt;
  choice.range = {static_cast<uint16_t>(*low), static_cast<uint16_t>(*high)};
  return choice;
}

}  // namespace millrace::apps

#include "dsl/graph/graph.hpp"

#include <charconv>
#include <cstdio>

namespace durabled::dsl {

std::string node_id(NodeIndex index) {
  char buffer[9];
  std::snprintf(buffer, sizeof buffer, "%08x", index);
  return buffer;
}

NodeIndex node_index(const Graph& graph, std::string_view id) {
  if (id.size() != 8 || id.find_first_of("ABCDEF") != std::string_view::npos) return kNoNode;
  NodeIndex index = 0;
  const auto [end, error] = std::from_chars(id.data(), id.data() + id.size(), index, 16);
  const bool is_number = error == std::errc() && end == id.data() + id.size();
  return is_number && index < graph.nodes.size() ? index : kNoNode;
}

}  // namespace durabled::dsl

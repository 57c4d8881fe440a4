#include "dsl/graph/input_reads.hpp"

#include <algorithm>
#include <vector>

#include "dsl/graph/name_scopes.hpp"
#include "dsl/value/substitute.hpp"

namespace durabled::dsl {
namespace {

bool may_read_input(const Node& node) {
  bool may = false;
  visit_templates(node, [&](std::string_view text, bool) {
    may = may || text.find("$input") != std::string_view::npos ||
          text.find("${input") != std::string_view::npos;
  });
  return may;
}

std::vector<Reference> reads_of(const Node& node) {
  std::vector<Reference> reads;
  if (!may_read_input(node)) return reads;
  visit_templates(node, [&](std::string_view text, bool is_sql) {
    for (Reference& reference : references_in(text, is_sql)) {
      if (reference.name == kInputName) reads.push_back(std::move(reference));
    }
  });
  return reads;
}

}  // namespace

std::string InputReads::text() const {
  std::string list = whole ? "all of it" : "";
  for (const std::string& field : needed) list.append(list.empty() ? "" : ", ").append(field);
  for (const std::string& field : optional) list.append(list.empty() ? "" : ", ").append(field).append("?");
  return list;
}

InputReads input_reads(const Graph& graph) {
  InputReads all;
  if (!may_read_input(graph)) return all;
  for (const UnboundName& unbound : find_unbound_names(graph)) {
    if (unbound.name != kInputName) continue;
    for (const Reference& read : reads_of(graph[unbound.node])) {
      if (read.path.empty()) {
        all.whole = true;
      } else {
        (read.is_optional ? all.optional : all.needed).insert(read.path.front());
      }
    }
  }
  for (const std::string& field : all.needed) all.optional.erase(field);
  return all;
}

bool may_read_input(const Graph& graph) {
  return std::any_of(graph.nodes.begin(), graph.nodes.end(),
                     [](const Node& node) { return may_read_input(node); });
}

std::optional<std::string> needed_input(const Node& node) {
  for (const Reference& read : reads_of(node)) {
    if (!read.is_optional) return read.spelling();
  }
  return std::nullopt;
}

}  // namespace durabled::dsl

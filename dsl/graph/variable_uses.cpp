#include "dsl/graph/variable_uses.hpp"

#include "dsl/graph/name_scopes.hpp"
#include "dsl/value/reference_sites.hpp"
#include "dsl/value/variables.hpp"

namespace durabled::dsl {
namespace {

// Asks the scanner, which knows references only, by putting one in the place of each variable.
void add_from_code(std::string_view sql, std::set<std::string>& names) {
  std::string probe;
  std::set<std::size_t> places;
  std::size_t copied = 0;
  for (auto place = next_variable(sql, 0); place; place = next_variable(sql, place->begin + 1)) {
    if (place->is_reference) continue;
    probe.append(sql.substr(copied, place->begin - copied));
    probe += ' ';
    places.insert(probe.size());
    probe += '$';
    copied = place->begin;
  }
  if (places.empty()) return;
  probe.append(sql.substr(copied));
  const std::size_t size = probe.size();
  const ExpandedTemplate source{.text = std::move(probe), .inserted = std::vector<bool>(size, false)};
  for (const ReferenceSite& site : find_reference_sites(source).sites) {
    if (site.context == ReferenceSite::Context::kCode && places.contains(site.reference.begin))
      names.insert(site.reference.name);
  }
}

}  // namespace

VariableUses find_variables(const Graph& graph) {
  VariableUses uses;
  for (const Node& node : graph.nodes) {
    visit_templates(node, [&](std::string_view text, bool is_sql) {
      for (auto place = next_variable(text, 0); place; place = next_variable(text, place->begin + 1)) {
        uses.all.emplace(place->name);
        if (!is_sql && !place->is_reference) uses.certain.emplace(place->name);
      }
      if (is_sql) add_from_code(text, uses.certain);
    });
  }
  return uses;
}

}  // namespace durabled::dsl

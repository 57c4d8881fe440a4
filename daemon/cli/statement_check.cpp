#include "daemon/cli/statement_check.hpp"

#include <algorithm>
#include <cctype>
#include <optional>
#include <regex>
#include <sstream>

#include "dsl/graph/name_scopes.hpp"
#include "dsl/graph/source.hpp"
#include "dsl/value/reference_sites.hpp"
#include "dsl/value/utf8.hpp"
#include "store/statement_probe.hpp"

namespace durabled::daemon::cli {
namespace {

// Blanks keep the length of the text, so that the server's position is one in the text itself.
std::string null_of_length(std::size_t length) {
  return "NULL" + std::string(length > 4 ? length - 4 : 0, ' ');
}

// The statement with NULL for each reference; nothing when a reference has no type, or a variable is in it.
std::optional<std::string> probe_text(const std::string& statement) {
  static const std::regex variable(R"(\{[A-Za-z_][A-Za-z0-9_.]*\})");
  if (std::regex_search(statement, variable)) return std::nullopt;
  dsl::ExpandedTemplate source{.text = statement, .inserted = std::vector<bool>(statement.size(), false)};
  std::string text = statement;
  for (const dsl::ReferenceSite& site : dsl::find_reference_sites(source).sites) {
    const auto& [begin, end] = std::pair(site.reference.begin, site.reference.end);
    const bool has_type = statement.compare(end, 2, "::") == 0;
    if (site.context != dsl::ReferenceSite::Context::kCode || site.in_body || !has_type || end - begin < 4)
      return std::nullopt;
    text.replace(begin, end - begin, null_of_length(end - begin));
  }
  return text;
}

// Whether a later step may find what is not there now.
bool makes_objects(const std::string& statement) {
  std::istringstream words(statement);
  std::string first;
  words >> first;
  std::transform(first.begin(), first.end(), first.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return first == "create" || first == "alter" || first == "do" || first == "call";
}

// Of a table, column, function, schema or type that is not there.
bool is_missing_object(const std::string& sqlstate) {
  return sqlstate == "42P01" || sqlstate == "42703" || sqlstate == "42883" || sqlstate == "3F000" ||
         sqlstate == "42704";
}

std::vector<std::string> place_of(const std::string& statement, std::size_t position) {
  if (position == 0) return {};
  const dsl::Position at = dsl::locate(statement, dsl::utf8_offset(statement, position - 1));
  std::vector<std::string> lines{"line " + std::to_string(at.line) + ", column " + std::to_string(at.column) +
                                 " of the statement"};
  std::istringstream excerpt(dsl::make_excerpt(statement, at));
  for (std::string line; std::getline(excerpt, line);) lines.push_back(line);
  return lines;
}

}  // namespace

StatementReport check_statements(const std::string& conninfo, const dsl::Graph& graph) {
  StatementReport report;
  store::StatementProbe probe(conninfo);
  bool may_exist_later = false;
  for (dsl::NodeIndex index = 0; index < graph.nodes.size(); ++index) {
    const dsl::Node& node = graph[index];
    dsl::visit_templates(node, [&](std::string_view view, bool is_sql) {
      if (!is_sql) return;
      const std::string statement(view);
      const auto text = probe_text(statement);
      ++(text ? report.checked : report.skipped);
      if (const auto problem = text ? probe.problem(*text) : std::nullopt) {
        report.findings.push_back({.node = dsl::node_id(index),
                                   .statement = statement,
                                   .message = problem->message,
                                   .sqlstate = problem->sqlstate,
                                   .hint = problem->hint,
                                   .place = place_of(statement, problem->position),
                                   .is_certain = !(may_exist_later && is_missing_object(problem->sqlstate))});
      }
      may_exist_later = may_exist_later || makes_objects(statement);
    });
  }
  return report;
}

}  // namespace durabled::daemon::cli

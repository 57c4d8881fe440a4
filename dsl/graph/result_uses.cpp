#include "dsl/graph/result_uses.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "dsl/graph/kinds.hpp"
#include "dsl/graph/name_scopes.hpp"
#include "dsl/graph/returned_columns.hpp"
#include "dsl/graph/rules.hpp"
#include "dsl/value/reference_sites.hpp"
#include "dsl/value/sql_lexical.hpp"
#include "dsl/value/substitute.hpp"

namespace durabled::dsl {
namespace {

// What the steps have in common whose result a name may be.
struct Facts {
  bool is_known = true;  // false: it may be something else, too
  bool is_signal = true, is_statement = true;
  std::size_t fewest = SIZE_MAX;                  // columns of the statements
  bool has_names = true;                          // of all columns
  std::set<std::string> columns;                  // of any of the statements
  bool reads_status = false, reads_more = false;  // what is asked of it as the result of a call
};

bool is_field(std::string_view field, std::initializer_list<std::string_view> fields) {
  return std::find(fields.begin(), fields.end(), field) != fields.end();
}
bool is_signal_field(std::string_view field) {
  return is_field(field, {"signal_name", "timed_out", "data"});
}

std::string lower(std::string text) {
  for (char& c : text) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return text;
}

class Reader {
 public:
  explicit Reader(const Graph& graph) : graph_(graph) {}

  std::vector<Finding> run() {
    collect_facts();
    for (NodeIndex index = 0; index < graph_.nodes.size(); ++index) {
      told_.clear();
      visit_references(index);
    }
    if (!has_open_statement_) find_unread_calls();
    return std::move(found_);
  }

 private:
  void collect_facts() {
    for (NodeIndex index = 0; index < graph_.nodes.size(); ++index) {
      const Node& node = graph_[index];
      if (!node.result_name.empty()) add_sources(index, facts_[node.result_name]);
      if (const auto* rows = std::get_if<ForEachOptions>(&node.options)) facts_[rows->item].is_known = false;
      if (node.kind == NodeKind::kCatch) facts_["error"].is_known = false;
      visit_templates(node, [&](std::string_view text, bool is_sql) {
        has_open_statement_ |= is_sql && !variable_names(text).empty();
      });
    }
  }

  // The steps whose result is that of the node.
  void add_sources(NodeIndex index, Facts& facts) {
    const Node& node = graph_[index];
    switch (node.kind) {
      case NodeKind::kSql:
        add_statement(index, facts);
        return;
      case NodeKind::kWaitSignal:
        facts.is_statement = false;
        return;
      case NodeKind::kHttp:
        facts.is_known &= !std::get<HttpOptions>(node.options).into;
        [[fallthrough]];
      case NodeKind::kHttpMultipart:
      case NodeKind::kSleep:
      case NodeKind::kWaitSchedule:
        facts.is_statement = facts.is_signal = false;
        return;
      case NodeKind::kSequence:
        add_sources(node.children.back(), facts);
        return;
      case NodeKind::kIf:
      case NodeKind::kIfRows:
      case NodeKind::kRace:
      case NodeKind::kAny:
      case NodeKind::kRetry:
      case NodeKind::kLimit:
      case NodeKind::kTimeout:
      case NodeKind::kCatch: {
        const std::size_t first = node.kind == NodeKind::kIf ? 1 : 0;
        const bool has_else = info(node.kind).flow != Flow::kEither || node.children.size() == first + 2;
        if (!has_else) facts.is_known = false;
        for (std::size_t i = first; i < node.children.size(); ++i) add_sources(node.children[i], facts);
        return;
      }
      case NodeKind::kJoin:
      case NodeKind::kLoop:
      case NodeKind::kForEach:
      case NodeKind::kBreak:
      case NodeKind::kFail:
        facts.is_known = false;
        return;
    }
  }

  void add_statement(NodeIndex index, Facts& facts) {
    facts.is_signal = false;
    const auto known = columns_.find(index);
    const auto& columns =
        (known != columns_.end() ? known
                                 : columns_.emplace(index, returned_columns(graph_[index].text)).first)
            ->second;
    if (!columns) {
      facts.is_known = false;
      return;
    }
    facts.fewest = std::min(facts.fewest, columns->size());
    for (const std::string& column : *columns) {
      facts.has_names &= !column.empty();
      facts.columns.insert(column);
    }
  }

  void visit_references(NodeIndex index) {
    const Node& node = graph_[index];
    if (node.kind == NodeKind::kIfRows) {
      if (const auto found = facts_.find(node.text); found != facts_.end()) found->second.reads_status = true;
      return;
    }
    const auto* http = std::get_if<HttpOptions>(&node.options);
    visit_templates(node, [&](std::string_view text, bool is_sql) {
      const ExpandedTemplate source = expand_variables(text, {}, {});
      if (is_sql) {
        const bool is_into = http != nullptr && http->into && http->into->data() == text.data();
        for (const ReferenceSite& site : find_reference_sites(source).sites) {
          const std::string& name = site.reference.name;
          if (is_into && (name == kResponseName || (http->rows && name == kRowsName))) continue;
          const bool is_code = site.context == ReferenceSite::Context::kCode;
          check(index, site.reference, is_code ? text.substr(site.reference.end) : std::string_view(), false);
        }
      } else {
        const bool is_body = http != nullptr && http->body && http->body->data() == text.data();
        const bool is_json = is_body && text.find_first_of("{[") == text.find_first_not_of(" \t\r\n");
        for (const Reference& reference : scan_text(source)) check(index, reference, "", is_json);
      }
    });
  }

  static bool asks_status(const Reference& reference) {
    return reference.path.empty() || reference.form == Reference::Form::kRelation ||
           is_field(reference.path[0], {"ok", "status"});
  }

  // `rest`: what follows the reference in the code of a statement.
  void check(NodeIndex index, const Reference& reference, std::string_view rest, bool in_json) {
    const auto found = facts_.find(reference.name);
    if (found == facts_.end()) return;
    Facts& facts = found->second;
    const bool is_whole = reference.path.empty() || reference.form == Reference::Form::kRelation;
    (asks_status(reference) ? facts.reads_status : facts.reads_more) = true;
    if (!facts.is_known) return;
    if (facts.is_signal) {
      check_signal(index, reference, rest);
    } else if (facts.is_statement) {
      check_columns(index, reference, facts);
      if (in_json && is_whole && reference.form == Reference::Form::kValue && facts.fewest > 1) {
        tell(index, "first_column", reference.spelling() + " is the first column of its result alone",
             "write $" + reference.name +
                 ".column, or make one JSON value in the statement: SELECT to_jsonb(t) FROM …");
      }
    }
  }

  void check_signal(NodeIndex index, const Reference& reference, std::string_view rest) {
    std::string field, spelling = reference.spelling();
    if (!reference.path.empty()) {
      field = reference.path[0];
    } else if (const auto key = extracted_key(rest)) {
      field = *key;
      spelling += " ->> '" + field + "'";
    }
    if (field.empty() || is_signal_field(field)) return;
    tell(index, "signal_field",
         spelling + " is no field of a signal's result: that has signal_name, timed_out and data",
         "write $" + reference.name + ".data" + (is_plain(field) ? "." + field : ""));
  }

  static bool is_plain(std::string_view key) { return std::all_of(key.begin(), key.end(), is_name_char); }

  // The key of a "::jsonb ->> 'key'", "-> 'key'" or the like at the beginning of `rest`.
  static std::optional<std::string> extracted_key(std::string_view rest) {
    std::size_t at = 0;
    for (bool goes_on = true; goes_on;) {
      at = skip_sql_space(rest, at);
      goes_on = false;
      for (const std::string_view piece : {"::jsonb", "::json", ")"}) {
        if (!goes_on && lower(std::string(rest.substr(at, piece.size()))) == piece) {
          at += piece.size();
          goes_on = true;
        }
      }
    }
    if (rest.substr(at, 2) != "->") return std::nullopt;
    at += rest.substr(at, 3) == "->>" ? 3 : 2;
    at = skip_sql_space(rest, at);
    if (at >= rest.size() || rest[at] != '\'') return std::nullopt;
    const std::size_t end = skip_quoted(rest, at, false);
    if (end == kUnclosed) return std::nullopt;
    return std::string(rest.substr(at + 1, end - at - 2));
  }

  void check_columns(NodeIndex index, const Reference& reference, const Facts& facts) {
    if (reference.is_optional || reference.form == Reference::Form::kRelation) return;
    if (told_.contains("missing_column")) return;
    const std::string column = reference.path.empty() ? "" : lower(reference.path[0]);
    if (is_field(column, {"row_count", "affected"})) return;
    if (facts.columns.empty()) {
      tell(index, "missing_column",
           reference.spelling() + " is read, but the statement that it names returns no rows",
           "add RETURNING" + (column.empty() ? std::string(" and the columns") : " " + column) +
               " to that statement");
    } else if (!column.empty() && facts.has_names && !facts.columns.contains(column)) {
      constexpr std::size_t kShown = 200;
      std::string all;
      for (const std::string& each : facts.columns) {
        if (all.size() <= kShown) all += (all.empty() ? "" : ", ") + each;
      }
      tell(index, "missing_column",
           reference.spelling() + " is read, but the statement that it names returns no such column",
           "it returns: " + shorten(all, kShown));
    }
  }

  void find_unread_calls() {
    std::vector<NodeIndex> parents(graph_.nodes.size(), kNoNode);
    for (NodeIndex index = 0; index < graph_.nodes.size(); ++index) {
      for (const NodeIndex child : graph_[index].children) parents[child] = index;
      const auto* http = std::get_if<HttpOptions>(&graph_[index].options);
      if (http == nullptr || !http->expect.empty()) continue;
      if (http->into) {
        if (!http->rows) check_into(index, *http->into);
      } else {
        check_call(index, parents);
      }
    }
  }

  void check_into(NodeIndex call, const std::string& statement) {
    bool reads_more = false;
    for (const ReferenceSite& site : find_reference_sites(expand_variables(statement, {}, {})).sites) {
      if (site.reference.name != kResponseName) continue;
      if (asks_status(site.reference)) return;
      reads_more = true;
    }
    tell_unread(call, std::string(kResponseName), reads_more, true);
  }

  // Follows the result up to where a later step takes its place; what becomes the result of a loop, of a join, of a
  // row or of the workflow is seen by others.
  void check_call(NodeIndex call, const std::vector<NodeIndex>& parents) {
    bool reads_more = false;
    for (NodeIndex index = call;;) {
      if (const std::string& name = graph_[index].result_name; !name.empty()) {
        const Facts& facts = facts_[name];
        if (facts.reads_status) return;
        reads_more |= facts.reads_more;
      }
      const NodeIndex parent = parents[index];
      if (parent == kNoNode) break;
      const Node& outer = graph_[parent];
      const Flow flow = info(outer.kind).flow;
      const bool is_last = outer.children.back() == index;
      if (outer.kind == NodeKind::kSequence && !is_last)
        return tell_unread(call, graph_[call].result_name, reads_more, true);
      const bool is_condition = outer.kind == NodeKind::kIf && outer.children[0] == index;
      const bool passes = flow == Flow::kInOrder || flow == Flow::kEither || flow == Flow::kHandler ||
                          outer.kind == NodeKind::kRace || outer.kind == NodeKind::kAny;
      if (is_condition || !passes) break;
      index = parent;
    }
    tell_unread(call, graph_[call].result_name, reads_more, false);
  }

  void tell_unread(NodeIndex call, const std::string& name, bool reads_more, bool is_dropped) {
    const std::string hint = "add expect => '2xx', which fails on any other answer, or look at " +
                             (name.empty() ? "its ok or status" : "$" + name + ".ok or $" + name + ".status");
    told_.clear();
    if (reads_more) {
      tell(call, "unread_status", "the answer of this call is used whatever its status is, 404 included",
           hint);
    } else if (is_dropped) {
      tell(call, "unread_call", "nothing looks at the answer of this call, so that a 404 counts as done",
           hint);
      found_.back().is_note = true;
    }
  }

  void tell(NodeIndex index, const char* code, std::string message, std::string hint) {
    if (!told_.insert(code).second) return;
    found_.push_back({index, code, std::move(message), std::move(hint)});
  }

  const Graph& graph_;
  std::map<std::string, Facts> facts_;
  std::map<NodeIndex, std::optional<std::vector<std::string>>> columns_;  // of the statements that have names
  bool has_open_statement_ = false;  // a {variable} in a statement may read anything
  std::set<std::string> told_;       // codes, of the node that is looked at
  std::vector<Finding> found_;
};

}  // namespace

std::vector<Finding> find_result_uses(const Graph& graph) {
  return Reader(graph).run();
}

}  // namespace durabled::dsl

#include "dsl/graph/check.hpp"

#include <algorithm>

#include "dsl/assert.hpp"
#include "dsl/graph/habits.hpp"
#include "dsl/graph/http_values.hpp"
#include "dsl/graph/input_reads.hpp"
#include "dsl/graph/kinds.hpp"
#include "dsl/graph/name_scopes.hpp"
#include "dsl/graph/result_uses.hpp"

namespace durabled::dsl {
namespace {

class Checker {
 public:
  Checker(const Graph& graph, const SourceMap* source) : graph_(graph), source_(source) {}

  GraphDiagnostics run() {
    find_lost_breaks();
    find_unreachable();
    for (NodeIndex index = 0; index < graph_.nodes.size(); ++index) check_name_target(index);
    // A loop that a step was meant to be in looks as if it spun.
    const bool is_trapped = std::any_of(found_.begin(), found_.end(), [](const Found& each) {
      return each.diagnostic.code == "unreachable" || each.diagnostic.code == "lost_break";
    });
    for (Finding& each : find_habits(graph_)) {
      if (is_trapped && each.code.ends_with("_loop")) continue;
      add(std::move(each));
    }
    for (Finding& each : find_result_uses(graph_)) add(std::move(each));
    find_unbound();
    for (NodeIndex index = 0; index < graph_.nodes.size(); ++index) check_http_values(index);
    std::stable_sort(found_.begin(), found_.end(),
                     [](const Found& a, const Found& b) { return a.node < b.node; });
    GraphDiagnostics all;
    for (Found& each : found_) {
      const Diagnostic::Severity severity = each.diagnostic.severity;
      auto& list = severity == Diagnostic::Severity::kError     ? all.errors
                   : severity == Diagnostic::Severity::kWarning ? all.warnings
                                                                : all.notes;
      list.push_back(std::move(each.diagnostic));
    }
    return all;
  }

 private:
  struct Found {
    NodeIndex node;
    Diagnostic diagnostic;
  };

  void add(Finding finding) {
    const bool is_about_name = finding.code == "unused_name";
    warn(finding.node, is_about_name, std::move(finding.code), std::move(finding.message),
         std::move(finding.hint));
    if (finding.is_note) found_.back().diagnostic.severity = Diagnostic::Severity::kNote;
  }

  void warn(NodeIndex node, bool at_name, std::string code, std::string message, std::string hint) {
    Position at;
    if (source_ != nullptr) at = at_name ? source_->entries[node].name_at : source_->entries[node].at;
    warn_at(node, at, std::move(code), std::move(message), std::move(hint));
  }

  void warn_at(NodeIndex node, const Position& at, std::string code, std::string message, std::string hint) {
    found_.push_back(
        {node, make_diagnostic(Diagnostic::Severity::kWarning, source_ ? source_->text : std::string_view(),
                               at, std::move(code), std::move(message), std::move(hint))});
  }

  void check_http_values(NodeIndex index) {
    for (UnencodedValue& each : unencoded_values(graph_[index]))
      warn(index, false, "unencoded_value", std::move(each.message), std::move(each.hint));
  }

  void find_lost_breaks() {
    std::vector<bool> in_loop(graph_.nodes.size(), false);
    for (NodeIndex index = 0; index < graph_.nodes.size(); ++index) {
      const Node& node = graph_[index];
      for (const NodeIndex child : node.children)
        in_loop[child] = in_loop[index] || node.kind == NodeKind::kLoop;
      if (node.kind == NodeKind::kBreak && !in_loop[index]) {
        warn(index, false, "lost_break", "this df.break is in no loop, so that it can only fail",
             "a loop is @> (a ~> df.break()) with its whole body in parentheses, or df.loop(…)");
      }
    }
  }

  // Children come after their parents in preorder, so one pass from the back knows them first.
  void find_unreachable() {
    const std::size_t size = graph_.nodes.size();
    completes_.assign(size, true);
    breaks_.assign(size, false);
    repeats_.assign(size, false);
    for (std::size_t i = size; i-- > 0;) {
      const auto index = static_cast<NodeIndex>(i);
      const Node& node = graph_[index];
      completes_[i] = completes(node);
      breaks_[i] =
          node.kind == NodeKind::kBreak || (node.kind != NodeKind::kLoop && any_child(node, breaks_));
      repeats_[i] = !completes_[i] && (node.kind == NodeKind::kLoop || any_child(node, repeats_));
      if (node.kind == NodeKind::kSequence) check_sequence(node);
    }
  }

  static bool any_of(const std::vector<NodeIndex>& children, const std::vector<bool>& property) {
    return std::any_of(children.begin(), children.end(), [&](NodeIndex child) { return property[child]; });
  }
  bool any_child(const Node& node, const std::vector<bool>& property) const {
    return any_of(node.children, property);
  }
  bool all_children_complete(const Node& node) const {
    return std::all_of(node.children.begin(), node.children.end(),
                       [&](NodeIndex child) { return completes_[child]; });
  }

  // Whether the node can come to an end other than by failing.
  bool completes(const Node& node) const {
    switch (info(node.kind).flow) {
      case Flow::kStep:
        return true;
      case Flow::kEnd:
        return false;  // what comes next is the loop's end or the handler, not the next step
      case Flow::kInOrder:
        return all_children_complete(node);
      case Flow::kBranches:
        return node.kind == NodeKind::kJoin ? all_children_complete(node) : any_child(node, completes_);
      case Flow::kHandler:
        return any_child(node, completes_);
      case Flow::kEither: {
        const std::size_t condition = node.kind == NodeKind::kIf ? 1 : 0;
        if (condition > 0 && !completes_[node.children[0]]) return false;
        const bool has_else = node.children.size() == condition + 2;
        return !has_else || completes_[node.children[condition]] || completes_[node.children[condition + 1]];
      }
      case Flow::kLoop:
        return any_child(node, breaks_) || (node.children.size() > 1 && all_children_complete(node));
      case Flow::kRows:
        return completes_[node.children[0]];
    }
    DURABLED_ASSERT(!"a flow that is not in the enum");
  }

  void check_sequence(const Node& sequence) {
    for (std::size_t i = 0; i + 1 < sequence.children.size(); ++i) {
      const NodeIndex child = sequence.children[i];
      if (completes_[child]) continue;
      const bool is_loop = graph_[child].kind == NodeKind::kLoop;
      const bool is_break = breaks_[child];
      warn(sequence.children[i + 1], false, "unreachable",
           std::string("this step is never reached: ") +
               (is_break          ? "a df.break leaves the loop before it"
                : repeats_[child] ? "the loop before it repeats for ever"
                                  : "the df.fail before it ends what is around it"),
           is_loop ? "@> takes only what follows it directly: put the whole body in parentheses, @> (a ~> b)"
                   : "");
      return;
    }
  }

  void check_name_target(NodeIndex index) {
    const Node& node = graph_[index];
    if (source_ != nullptr && !source_->entries[index].lost_name.empty()) {
      warn(index, true, "two_names",
           "the step is named twice: only '" + node.result_name + "' is bound, not '" +
               source_->entries[index].lost_name + "'",
           "give each step one name; to name a result again select it in a step of its own");
    }
    const bool is_trap =
        node.kind == NodeKind::kJoin || node.kind == NodeKind::kRace || node.kind == NodeKind::kIf;
    if (node.result_name.empty() || !is_trap) return;
    if (source_ != nullptr ? !source_->entries[index].bare_name : !seems_meant_for_last(node)) return;
    const std::string name = "'" + node.result_name + "'";
    const std::string what = node.kind == NodeKind::kJoin   ? "the whole join"
                             : node.kind == NodeKind::kRace ? "the whole race"
                                                            : "the whole if";
    warn(index, true, "named_compound",
         "the name " + name + " is bound to " + what + ", not to its last branch",
         "for the branch write (… |=> " + name +
             ") in parentheses; to mean the whole, put it in parentheses before |=>");
  }

  // A & B |=> 'b' written where A has a name of its own: the form that the trap takes once parentheses are
  // gone.
  bool seems_meant_for_last(const Node& node) const {
    if (node.kind == NodeKind::kIf) return false;
    const auto named = [&](NodeIndex child) { return !graph_[child].result_name.empty(); };
    const auto last = node.children.end() - 1;
    return !named(*last) && std::any_of(node.children.begin(), last, named);
  }

  void find_unbound() {
    std::vector<UnboundName> all = find_unbound_names(graph_);
    if (source_ != nullptr) {
      std::stable_sort(all.begin(), all.end(), [](const UnboundName& a, const UnboundName& b) {
        return a.node == b.node ? a.offset < b.offset : a.node < b.node;
      });
    }
    for (const UnboundName& unbound : all) {
      if (unbound.name == kInputName) continue;  // the instance's own
      warn_unbound(unbound, source_ == nullptr ? Position() : place_of(unbound));
    }
  }

  // The place of the reference; the node's place where an escape before it makes offsets in the value differ
  // from those in the text. Called for the references of a node in their order, so that all take linear time.
  Position place_of(const UnboundName& unbound) {
    const Node& node = graph_[unbound.node];
    const Position begin = source_->entries[unbound.node].at;
    const std::size_t body = string_body(source_->text, begin.offset);
    const std::size_t end = unbound.offset + 1 + unbound.name.size();
    if (node.kind != NodeKind::kSql || body == begin.offset || end > node.text.size()) return begin;
    if (scanned_ != unbound.node) {
      scanned_ = unbound.node;
      same_ = 0;
      reached_ = begin;
    }
    const auto piece = [&](std::string_view text, std::size_t from) {
      return text.substr(std::min(from + same_, text.size()), end - same_);
    };
    if (piece(source_->text, body) != piece(node.text, 0)) return begin;
    same_ = end;
    return reached_ = advance(source_->text, reached_, body + unbound.offset);
  }

  void warn_unbound(const UnboundName& unbound, const Position& at) {
    std::vector<std::string> candidates;
    if (names_.empty()) {
      for (const Node& node : graph_.nodes) {
        if (!node.result_name.empty() && names_.size() < 100) names_.push_back(node.result_name);
      }
    }
    for (std::string& match : close_matches(unbound.name, names_)) {
      if (match != unbound.name &&
          std::find(candidates.begin(), candidates.end(), match) == candidates.end()) {
        candidates.push_back(match);
      }
    }
    for (std::string& match : candidates) match = std::string("$").append(match);
    std::string hint = did_you_mean(candidates);
    if (hint.empty()) hint = "name an earlier step's result with |=> '" + unbound.name + "'";
    warn_at(unbound.node, at, "unbound_name",
            "$" + unbound.name + " is referenced, but nothing before binds that name", std::move(hint));
    if (unbound.is_certain) found_.back().diagnostic.severity = Diagnostic::Severity::kError;
  }

  const Graph& graph_;
  const SourceMap* source_;
  std::vector<bool> completes_;
  std::vector<bool> breaks_;   // holds a df.break that leaves the loop around the node
  std::vector<bool> repeats_;  // an endless loop, or held up by one
  std::vector<std::string> names_;
  NodeIndex scanned_ = kNoNode;  // the node whose references were located last,
  std::size_t same_ = 0;         // how much of its text is the source's,
  Position reached_;             // and how far it was counted
  std::vector<Found> found_;
};

}  // namespace

GraphDiagnostics check_graph(const Graph& graph, const SourceMap* source) {
  return Checker(graph, source).run();
}

}  // namespace durabled::dsl

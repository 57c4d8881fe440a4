// Statements whose references take long to replace: that is done off the event loop, for each role one at a
// time, and not while much of what the role's statements became still waits to be sent.

#include <algorithm>
#include <regex>
#include <utility>

#include "daemon/instance.hpp"
#include "dsl/value/json_writer.hpp"
#include "dsl/value/substitute.hpp"

namespace durabled::daemon {
namespace {

constexpr std::size_t kStatementBytes = 32 << 20;

}  // namespace

void Coordinator::substitute_later(Instance& instance, Step& step, const dsl::RunSql& run) {
  step.state = Step::State::kSubstituting;
  RoleTexts& texts = texts_[instance.role];
  texts.waiting.push_back({step.id, instance.graph, run.address.node, run.names, instance.run->variables()});
  substitute_next(instance.role);
}

void Coordinator::substitute_next(const std::string& role) {
  const auto found = texts_.find(role);
  if (found == texts_.end()) return;
  RoleTexts& texts = found->second;
  while (!texts.waiting.empty() && !steps_by_id_.contains(texts.waiting.front().id))
    texts.waiting.pop_front();
  if (texts.waiting.empty() && !texts.is_busy && texts.bytes == 0) {
    texts_.erase(found);
    return;
  }
  if (texts.waiting.empty() || texts.is_busy || texts.bytes > kStatementBytes) return;
  texts.is_busy = true;
  struct Work {
    Template source;
    dsl::Notes notes;
    std::optional<Expected<std::string, dsl::SubstitutionError>> result;
  };
  auto work = std::make_shared<Work>();
  work->source = std::move(texts.waiting.front());
  texts.waiting.pop_front();
  offload(
      [work] {
        const Template& source = work->source;
        const std::string& text = (*source.graph)[source.node].text;
        work->result = dsl::substitute_sql(text, {source.names, source.variables}, &work->notes);
        work->source.names = {};
      },
      [this, work, role] {
        texts_[role].is_busy = false;
        guarded_step(work->source.id, [&] {
          substituted(work->source.id, std::move(*work->result), std::move(work->notes.warnings));
        });
        substitute_next(role);
      });
}

void Coordinator::substituted(StepId id, Expected<std::string, dsl::SubstitutionError> statement,
                              std::vector<std::string> warnings) {
  const auto found = steps_by_id_.find(id);
  if (found == steps_by_id_.end()) return;  // nobody wants it any more
  Instance& instance = *found->second;
  Step& step = instance.steps.at(id);
  if (!statement) {
    dsl::Failure failure = dsl::make_failure("reference", statement.error().message, step.address.node,
                                             step.attempt, statement.error().hint);
    failure.final = true;
    step.outcome.failure = std::move(failure);
    step.state = Step::State::kExecuted;
    instance.executed.push_back(id);
    return proceed(instance);
  }
  step.statement.sql = std::move(*statement);
  step.warnings = std::move(warnings);
  step.charged = step.statement.sql.size();
  texts_[instance.role].bytes += step.charged;
  step.state = Step::State::kRunning;
  step.open = true;
  mark_later(step);
  step_port_.start(step.id, {instance.role, instance.database, instance.role_id}, step.statement);
}

// The step is gone, and its statement with it.
void Coordinator::release_text(Instance& instance, Step& step) {
  if (step.charged == 0) return;
  texts_[instance.role].bytes -= std::exchange(step.charged, 0);
}

void Coordinator::charge(Instance& instance) {
  const std::size_t bytes = instance.run ? instance.run->bytes() : 0;
  if (bytes == instance.charged) return;
  std::size_t& role = bytes_by_role_[instance.role_id];
  role += bytes - instance.charged;  // modulo 2^64, so that it also goes down
  instance.charged = bytes;
  if (role == 0) bytes_by_role_.erase(instance.role_id);
}

std::set<store::RoleId> Coordinator::roles_over(std::size_t bytes) const {
  std::set<store::RoleId> roles;
  for (const auto& [role, held] : bytes_by_role_) {
    if (held > bytes) roles.insert(role);
  }
  return roles;
}

// Why an instance may not go on: what it, or all of its role, holds in memory.
std::optional<dsl::Failure> Coordinator::over_budget(const Instance& instance) const {
  constexpr std::size_t kSmall = 1 << 20;
  const auto mib = [](std::size_t bytes) { return std::to_string(bytes >> 20) + " MiB"; };
  if (instance.run->is_exhausted()) {
    return dsl::make_failure(
        "instance_bytes",
        "the results that this instance holds take more than limits.instance_bytes (" +
            mib(options_.policy.instance_bytes) + ")",
        0, 0,
        "Return less, give fewer results names, keep rows in a table; or raise limits.instance_bytes in the "
        "daemon's configuration.");
  }
  const auto held = bytes_by_role_.find(instance.role_id);
  if (held == bytes_by_role_.end() || held->second <= options_.role_bytes || instance.charged < kSmall)
    return std::nullopt;
  return dsl::make_failure(
      "role_bytes",
      "the results that the instances of this role hold take more than limits.role_bytes (" +
          mib(options_.role_bytes) + ")",
      0, 0,
      "Start fewer at a time, return less, keep rows in a table; or raise limits.role_bytes "
      "in the daemon's configuration.");
}

namespace {

// What to write instead, where PostgreSQL can only say that the syntax is wrong.
std::string syntax_hint(const dsl::Failure& failure, const std::string& text) {
  if (failure.code != "42601" || !failure.hint.empty() || text.size() > 16 << 10) return {};
  static const std::regex kFrom(
      R"(\b(?:from|join)\s{1,20}\$([A-Za-z_][A-Za-z0-9_]{0,62})(?![A-Za-z0-9_.?\[]))", std::regex::icase);
  static const std::regex kVariable(R"(\{([A-Za-z_][A-Za-z0-9_]{0,62})\})");
  std::smatch match;
  if (std::regex_search(text, match, kFrom))
    return "$" + match.str(1) + " is a single value; FROM $" + match.str(1) +
           ".* reads the rows of the result.";
  if (std::regex_search(text, match, kVariable))
    return "If {" + match.str(1) + "} is a variable, check that it was set when the instance was submitted.";
  return {};
}

}  // namespace

// What the writer of a statement wants to see beside how it ended: the warnings about its references, and
// where an error has a position, the text that it counts in.
void Coordinator::annotate(const Instance& instance, Step& step) {
  constexpr std::size_t kMostOfStatement = 4096;
  if (step.outcome.result && !step.warnings.empty()) {
    auto result = dsl::JsonWriter::extending(std::move(*step.outcome.result));
    result.key("warnings").list();
    for (const std::string& warning : step.warnings) result.text(warning);
    step.outcome.result = result.close().close().take();
  }
  if (!step.outcome.failure || step.is_http) return;
  dsl::Failure& failure = *step.outcome.failure;
  const bool has_position = std::any_of(failure.more.begin(), failure.more.end(),
                                        [](const auto& member) { return member.first == "position"; });
  if (!has_position) return;
  std::string statement = step.statement.sql.substr(0, kMostOfStatement);
  if (statement.size() < step.statement.sql.size()) {
    while (!statement.empty() && (statement.back() & 0xC0) == 0x80) statement.pop_back();
    statement.pop_back();
    statement += "…";
  }
  failure.add_text("statement", statement);
  if (failure.hint.empty()) failure.hint = syntax_hint(failure, (*instance.graph)[step.address.node].text);
}

}  // namespace durabled::daemon

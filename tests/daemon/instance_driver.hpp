// Drives one daemon::Instance by hand and writes down what it asks for, one word or two an effect, so that tests
// compare texts: "run 1 a; commit 1; turn StepFailed".
#pragma once

#include <memory>
#include <string>
#include <variant>

#include "daemon/instance/instance.hpp"
#include "dsl/value/json_slice.hpp"
#include "tests/daemon/claimed_row.hpp"

namespace durabled::test {

// The kinds of a turn's events, and what becomes of the instance.
inline std::string turn_text(const std::string& json) {
  std::string text;
  if (const auto events = dsl::json_member(json, "events")) {
    for (dsl::JsonWalker walker(*events); walker.next();)
      text += ' ' + dsl::json_text(dsl::json_member(walker.value(), "kind").value());
  }
  if (const auto status = dsl::json_member(json, "status")) text += ' ' + dsl::json_text(*status);
  return text;
}

struct EffectText {
  std::string operator()(const daemon::StartSql& e) const {
    return id("run", e.step) + ' ' + e.statement.sql;
  }
  std::string operator()(const daemon::SubstituteSql& e) const { return id("substitute", e.step); }
  std::string operator()(const daemon::StartHttp& e) const { return id("call", e.step); }
  std::string operator()(const daemon::CommitStep& e) const {
    return id("commit", e.step) + turn_text(e.commit.turn) +
           (e.next ? id(", then", e.next->step) + ' ' + e.next->statement.sql : "");
  }
  std::string operator()(const daemon::CommitForeign& e) const { return id("commit there", e.step); }
  std::string operator()(const daemon::FinishStep& e) const { return id("finish", e.step); }
  std::string operator()(const daemon::StopStep& e) const { return id("stop", e.step); }
  std::string operator()(const daemon::StopHttp& e) const { return id("abort", e.step); }
  std::string operator()(const daemon::AbandonStep& e) const { return id("abandon", e.step); }
  std::string operator()(const daemon::SendTurn& e) const { return "turn" + turn_text(e.turn.json); }
  std::string operator()(const daemon::Reclaim&) const { return "reclaim"; }
  std::string operator()(const daemon::FetchSignal& e) const { return id("fetch", e.signal); }
  std::string operator()(const daemon::PollAt&) const { return "poll"; }
  std::string operator()(const daemon::WriteLog&) const { return "log"; }
  std::string operator()(const daemon::Gone& e) const { return e.end ? "gone: " + e.end->status : "gone"; }

 private:
  template <typename Number>
  static std::string id(const char* what, Number number) {
    return what + (' ' + std::to_string(number));
  }
};

inline store::ClaimedInstance row_of(const std::string& dsl, std::int64_t token = 1) {
  return claimed_row("i", dsl, token);
}

inline store::StepOutcome step_result() {
  return {R"({"rows":[{"v":"t"}],"row_count":1,"columns":[{"name":"v","type":"text"}],"affected":1})",
          std::nullopt};
}

inline store::StepOutcome step_failure(const std::string& code, bool transient = false) {
  dsl::Failure failure = dsl::make_failure(code, "made up", 0, 1);
  failure.transient = transient;
  failure.final = false;
  return {std::nullopt, failure};
}

// What the instance asks for since it was asked last, joined by "; ".
inline std::string effects_of(daemon::Instance& instance) {
  std::string text;
  while (const auto effect = instance.effects().next())
    text += (text.empty() ? "" : "; ") + std::visit(EffectText{}, *effect);
  return text;
}

class InstanceDriver {
 public:
  explicit InstanceDriver(bool can_chain = false) {
    shared.options.served_database = "here";
    shared.options.seed = 1;
    shared.can_chain = can_chain;
  }

  std::string claimed(const std::string& dsl) { return claimed(row_of(dsl)); }
  std::string claimed(store::ClaimedInstance row) {
    instance.claimed(std::move(row), now);
    return effects_of(instance);
  }
  std::string executed(daemon::StepId id, store::StepOutcome outcome = step_result()) {
    instance.executed(id, std::move(outcome), now);
    return effects_of(instance);
  }
  std::string committed(daemon::StepId id,
                        store::CommitOutcome::Kind kind = store::CommitOutcome::Kind::kCommitted) {
    store::CommitOutcome outcome{kind, {}};
    if (kind == store::CommitOutcome::Kind::kRefused) outcome.failure = step_failure("23514").failure;
    instance.committed(id, std::move(outcome), now);
    return effects_of(instance);
  }
  std::string turn_done(std::optional<store::TurnProblem::Kind> problem = {}, std::int64_t token = 1) {
    std::optional<store::TurnProblem> told;
    if (problem) told = {"i", *problem, "made up"};
    instance.turn_done({"i", "", token}, told, now);
    return effects_of(instance);
  }
  std::string reclaimed(std::optional<store::ClaimedInstance> row) {
    instance.reclaimed(std::move(row), now);
    return effects_of(instance);
  }
  std::string attention(const std::string& request, std::vector<store::Signal> signals = {}) {
    instance.attention({"i", 1, request, "", std::move(signals)}, now);
    return effects_of(instance);
  }
  std::string due(std::chrono::microseconds later) {
    now += later;
    instance.due(now, [](daemon::StepId) { return false; });
    return effects_of(instance);
  }
  std::string drain(bool queued) {
    shared.draining = true;
    instance.drain(now, [queued](daemon::StepId) { return queued; });
    return effects_of(instance);
  }
  std::string broke() {
    instance.broke("no luck", now);
    return effects_of(instance);
  }

  daemon::Surroundings shared;
  daemon::Instance instance{shared};
  dsl::Time now = std::chrono::sys_days(std::chrono::year(2026) / 3 / 1);
};

}  // namespace durabled::test

#include "store/group_checkpoint.hpp"

#include <algorithm>
#include <string_view>

#include "store/parameters.hpp"

namespace durabled::store {
namespace {

// Rows of events, column by column.
struct Events {
  ArrayParameter of, seq, at, kind, node, scope, attempt, data;

  void add(std::int64_t instance, const dsl::Event& event) {
    of.add(instance);
    seq.add(event.seq);
    at.add(dsl::format_time(event.at));
    kind.add(dsl::to_string(event.kind));
    if (event.address.node == dsl::kNoNode) {
      node.add_null();
      scope.add_null();
    } else {
      node.add(dsl::node_id(event.address.node));
      scope.add(event.address.scope);
    }
    event.attempt > 0 ? attempt.add(event.attempt) : attempt.add_null();
    event.data.empty() ? data.add_null() : data.add(event.data);
  }
};

struct Ends {
  ArrayParameter of, at, result_seq, states;

  void add(std::int64_t instance, dsl::Time time, const PlainTurn& turn) {
    of.add(instance);
    at.add(dsl::format_time(time));
    turn.result_seq > 0 ? result_seq.add(turn.result_seq) : result_seq.add_null();
    turn.states.empty() ? states.add_null() : states.add(turn.states);
  }
};

struct Turns {
  ArrayParameter of, at, json;

  void add(std::int64_t instance, const StepCommit& commit) {
    of.add(instance);
    at.add(dsl::format_time(commit.event.at));
    json.add(commit.turn);
  }
};

std::optional<std::string> optional_text(ArrayParameter& array) {
  return array.empty() ? std::nullopt : std::optional(array.take());
}

}  // namespace

GroupCheckpoint::GroupCheckpoint(const std::vector<StepCommit>& commits) {
  std::vector<const StepCommit*> instances;
  for (const StepCommit& commit : commits) instances.push_back(&commit);
  const auto id = [](const StepCommit* commit) -> std::string_view { return commit->instance_id; };
  std::sort(instances.begin(), instances.end(), [&](const auto* a, const auto* b) { return id(a) < id(b); });
  instances.erase(std::unique(instances.begin(), instances.end(),
                              [&](const auto* a, const auto* b) { return id(a) == id(b); }),
                  instances.end());
  ArrayParameter claims, ids, tokens;
  for (const StepCommit* commit : instances) {
    claims.add(commit->claim_key);
    ids.add(commit->instance_id);
    tokens.add(commit->token);
  }
  Events events;
  Ends ends;
  Turns turns;
  for (const StepCommit& commit : commits) {
    const auto at = std::lower_bound(instances.begin(), instances.end(), commit.instance_id,
                                     [&](const auto* a, std::string_view b) { return id(a) < b; });
    const auto place = static_cast<std::int64_t>(at - instances.begin() + 1);
    events.add(place, commit.event);
    if (commit.plain) {
      for (const dsl::Event& event : commit.plain->events) events.add(place, event);
      if (commit.plain->is_end) ends.add(place, commit.event.at, *commit.plain);
    } else if (!commit.turn.empty()) {
      turns.add(place, commit);
    }
  }
  values_ = {claims.take(),
             ids.take(),
             tokens.take(),
             events.of.take(),
             events.seq.take(),
             events.at.take(),
             events.kind.take(),
             events.node.take(),
             events.scope.take(),
             events.attempt.take(),
             events.data.take(),
             optional_text(ends.of),
             optional_text(ends.at),
             optional_text(ends.result_seq),
             optional_text(ends.states),
             optional_text(turns.of),
             optional_text(turns.at),
             optional_text(turns.json)};
}

std::vector<const char*> GroupCheckpoint::parameters() const {
  std::vector<const char*> all;
  for (const auto& value : values_) all.push_back(value ? value->c_str() : nullptr);
  return all;
}

}  // namespace durabled::store

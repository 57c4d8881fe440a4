// The steps of one instance that are under way, and what is asked of the ports about them.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "daemon/instance/effect.hpp"
#include "daemon/instance/step.hpp"
#include "daemon/instance/surroundings.hpp"

namespace durabled::daemon {

class Steps {
 public:
  explicit Steps(Surroundings& surroundings) : surroundings_(&surroundings) {}

  Step& at(StepId id) { return steps_.at(id); }
  std::size_t size() const { return steps_.size(); }
  auto begin() const { return steps_.begin(); }
  auto end() const { return steps_.end(); }

  std::vector<StepId> in(Step::State state) const;
  // Whether none is left but the one that is just being committed.
  bool are_committing() const;

  // A SQL step of the instance `row`; nothing is asked yet.
  Step& add_sql(const dsl::RunSql& run, const store::ClaimedInstance& row, Step::State state);
  // Sends it, once its references are replaced where that takes long.
  void start_sql(const dsl::RunSql& run, const store::ClaimedInstance& row,
                 const std::shared_ptr<const dsl::Graph>& graph, const dsl::Variables& variables,
                 dsl::Time now, Effects& effects);
  // Sends those that run outside a transaction, now that their starts are recorded. True: the daemon stops, and
  // they were taken back.
  bool start_recorded(const dsl::Execution& run, const store::ClaimedInstance& row, Effects& effects);
  // Its outcome is there. One that failed needs its session no longer.
  void wait_for_turn(Step& step, Effects& effects);
  // A call, or the statement before it; one that its role may not make has failed already.
  void call_http(dsl::CallHttp call, const store::ClaimedInstance& row,
                 std::shared_ptr<const dsl::Graph> graph, const dsl::Variables& variables, dsl::Time now,
                 Effects& effects);
  // Begins the next part of an Exchange whose part has come to `step.outcome`, or tries the last one again. False: the
  // outcome is the step's. `answer`: of its call, where a statement takes it.
  bool goes_on(Step& step, const dsl::ResultPtr& answer, const store::ClaimedInstance& row,
               const std::shared_ptr<const dsl::Graph>& graph, const dsl::Variables& variables,
               Effects& effects);
  // Sends the statement. Requires: kRunning.
  void send(Step& step, const store::ClaimedInstance& row, Effects& effects);
  // The step that was sent behind a commit runs now, if there is one.
  void release_chained(dsl::Time now);
  // Nobody wants the newest step there any more.
  void stop(const dsl::Address& address, Effects& effects);
  // The daemon stops: those that wait for a connection are taken back. Whether there were any.
  bool stop_queued(const std::function<bool(StepId)>& is_queued, Effects& effects);
  void finish(StepId id, Effects& effects);
  void abandon_all(Effects& effects);

  // A running step's start is to be recorded, if it still runs then.
  void mark_later(Step& step, dsl::Time now);
  void unmark(Step& step);
  std::optional<dsl::Time> next_mark() const;
  Step& first_marked() { return at(marks_.begin()->second); }

  bool has_recorded = false;    // something of the instance was committed since it was claimed
  std::deque<StepId> executed;  // those in state kExecuted, in the order in which their turns come

 private:
  Step& add(const dsl::Address& address, int attempt, Step::State state);
  void describe(Step& step, const store::ClaimedInstance& row) const;
  bool goes_on_to_call(Step& step, const std::shared_ptr<const dsl::Graph>& graph,
                       const dsl::Variables& variables, Effects& effects);

  Surroundings* surroundings_;
  std::map<StepId, Step> steps_;
  std::map<dsl::Address, StepId> newest_;  // one that was stopped may still be ending beside it
  std::set<std::pair<dsl::Time, StepId>> marks_;
};

}  // namespace durabled::daemon

// What an instance's events are folded to, and the turns that follow from it: the engine, the signals that wait
// to be taken, the next seq. Folding puts events and an end into a draft; it commits nothing and carries nothing
// out.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "daemon/instance/inbox.hpp"
#include "daemon/instance/step.hpp"
#include "daemon/instance/surroundings.hpp"
#include "daemon/turn.hpp"
#include "dsl/engine/execution.hpp"

namespace durabled::daemon {

class Fold {
 public:
  explicit Fold(Surroundings& surroundings) : surroundings_(&surroundings) {}

  // Begins the engine; before that, and after close(), there is no state, and events can only be made.
  void open(std::shared_ptr<const dsl::Graph> graph, dsl::Variables variables,
            std::optional<std::string> input, store::RoleId role);
  void close();
  bool is_open() const { return run_ != nullptr; }
  void follow(std::int64_t last_seq) { next_seq_ = last_seq + 1; }

  // The next event of the history.
  dsl::Event make_event(dsl::EventKind kind, dsl::Address address, int attempt, std::string data,
                        dsl::Time now);
  // These require is_open(), and return false when the event does not fit: mismatch() says why, and the fold
  // must be closed.
  [[nodiscard]] bool replay(const std::vector<dsl::Event>& history);
  [[nodiscard]] bool apply(const dsl::Event& event);
  // What is held beside the results, and counts as one: an answer that a statement takes.
  dsl::ResultPtr hold(std::string json);
  // Applies an event and appends it; an end of the instance becomes the draft's status.
  [[nodiscard]] bool record(TurnDraft& draft, dsl::Event event);
  // The end of a step that has no transaction to commit in: it failed, ran alone, or was a call. One that has to
  // run alone first has not ended: its start is recorded, and it is kMarking.
  [[nodiscard]] bool record_end(TurnDraft& draft, Step& step, dsl::Time now);
  // A step's failure, with the engine's verdict on trying again.
  [[nodiscard]] bool record_failure(TurnDraft& draft, const dsl::Address& address, int attempt,
                                    const dsl::Failure& failure,
                                    std::optional<std::chrono::microseconds> took, dsl::Time now,
                                    std::optional<double> retry_after = {});
  // Appends everything that follows without waiting, up to a bound; what is to be carried out goes into `todo`.
  enum class Settled {
    kAll,
    kMore,        // the turn is long enough: more follows once it is committed
    kDoesNotFit,  // as false above
  };
  [[nodiscard]] Settled settle(TurnDraft& draft, bool paused, dsl::Time now);
  const std::string& mismatch() const { return mismatch_; }

  // The signal whose data settle() could not go on without; each is given once.
  std::optional<std::int64_t> take_wanted_signal() { return std::exchange(wanted_signal_, std::nullopt); }
  // When a timer wants to fire, as far as it may.
  std::optional<dsl::Time> next_timer() const;

  dsl::Execution& run() { return *run_; }
  const dsl::Execution& run() const { return *run_; }
  const std::shared_ptr<const dsl::Graph>& graph() const { return graph_; }
  Inbox& inbox() { return inbox_; }

  std::vector<dsl::Decision> todo;  // decided, and to be carried out once the turn is committed

 private:
  // Each returns whether there was one.
  bool take_signal(TurnDraft& draft, dsl::Time now);
  bool fire_timer(TurnDraft& draft, dsl::Time now);
  bool take_decisions(TurnDraft& draft, dsl::Time now);
  std::optional<dsl::Failure> over_budget();
  void charge();

  Surroundings* surroundings_;
  store::RoleId role_ = 0;
  std::shared_ptr<const dsl::Graph> graph_;
  std::unique_ptr<dsl::Execution> run_;
  std::int64_t next_seq_ = 1;
  std::size_t charged_ = 0;  // in Surroundings::role_bytes
  Inbox inbox_;
  bool awaits_data_ = false;  // a wait holds on to a signal: no timer fires until its data is here
  std::optional<std::int64_t> wanted_signal_;
  std::string mismatch_;  // not empty: an event did not fit
};

}  // namespace durabled::daemon

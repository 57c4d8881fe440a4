// An instance that this daemon holds, as a machine: what happens comes in, effects go out. It knows no port, no
// other instance and no clock but the `now` that comes with what happens; so tests drive it by hand.
//
// The slot. An instance has one slot for a turn that is folded before it is committed; the turn's own commit
// carries what follows from it (next timers, the end). Steps of parallel branches that end while the slot is
// taken commit their event *beside* it and are folded when the slot is free: which of them is first does not
// matter; they are folded in the order of their seqs, and before the slot is taken again. Where it does
// matter (Execution::is_ordered) a step waits for the slot. A refused or doubtful commit throws the folded
// state away: the instance is reclaimed, read again and folded from its history.
//
// Nothing is carried out before the turn that decided it is committed; but a step that follows another alone may
// be sent behind that one's commit, so that the server runs it only if the commit succeeds.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "daemon/instance/effect.hpp"
#include "daemon/instance/fold.hpp"
#include "daemon/instance/opening.hpp"
#include "daemon/instance/prologue.hpp"
#include "daemon/instance/slot.hpp"
#include "daemon/instance/steps.hpp"
#include "daemon/instance/surroundings.hpp"
#include "daemon/turn.hpp"
#include "dsl/expected.hpp"
#include "dsl/value/substitute.hpp"

namespace durabled::daemon {

class Instance {
 public:
  // Whether a step waits for a connection still.
  using IsQueued = std::function<bool(StepId)>;

  // `surroundings` must outlive the instance.
  explicit Instance(Surroundings& surroundings)
      : surroundings_(&surroundings), fold_(surroundings), steps_(surroundings) {}

  // What happens. Answers that come too late, by token or by slot, are ignored.
  void claimed(store::ClaimedInstance row, dsl::Time now);
  void attention(const store::Attention& attention, dsl::Time now);
  void substituted(StepId id, Expected<std::string, dsl::SubstitutionError> statement,
                   std::vector<std::string> warnings, dsl::Time now);
  void executed(StepId id, store::StepOutcome outcome, dsl::Time now);
  void http_done(StepId id, HttpResult result, dsl::Time now);
  void committed(StepId id, store::CommitOutcome outcome, dsl::Time now);
  void turn_done(const store::Turn& turn, const std::optional<store::TurnProblem>& problem, dsl::Time now);
  void signal_fetched(std::int64_t signal, std::string data, dsl::Time now);
  // nullopt: this daemon holds it no longer.
  void reclaimed(std::optional<store::ClaimedInstance> row, dsl::Time now);
  // The time of next_due() has come, or an earlier one: fires timers, records that long steps run.
  void due(dsl::Time now, const IsQueued& is_queued);
  // The daemon stops: what waits for a connection is taken back, and the instance is put down as its running
  // steps end. Requires: Surroundings::draining.
  void drain(dsl::Time now, const IsQueued& is_queued);
  // It is held no longer, by what the database says.
  void lost() { gone(); }
  // Handling it threw an exception; `why` is for people. It is read again, and fails.
  void broke(const std::string& why, dsl::Time now);

  void set_may_http(bool may_http) { row_.may_http = may_http; }

  // To be carried out in order, all of them before the next thing happens.
  Effects& effects() { return effects_; }
  // When due() has to be called; nullopt: not before something else happens.
  std::optional<dsl::Time> next_due();

  const std::string& id() const { return row_.id; }
  const std::string& role() const { return row_.role ? *row_.role : kNobody; }
  store::RoleId role_id() const { return row_.role_id; }
  // About what it takes in memory, apart from results and signals: what was read of it, and its graph.
  std::size_t bytes() const {
    constexpr std::size_t kNode = 512;
    return row_.bytes + (fold_.graph() ? fold_.graph()->nodes.size() * kNode : 0);
  }
  Slot slot() const { return slot_; }
  Leaving leaving() const { return leaving_; }
  const Steps& steps() const { return steps_; }

 private:
  struct RefusedCommit {
    dsl::Address address;
    int attempt = 1;
    std::optional<std::chrono::microseconds> took;
    dsl::Failure why;
  };

  void emit(Effect effect) { effects_.add(std::move(effect)); }
  void become(Slot slot);
  void leave(Leaving why);
  // Whether a turn may be folded or committed at all, and whether one may be folded now.
  bool is_live() const;
  bool is_free() const { return slot_ == Slot::kFree && beside_ == 0; }

  void open(Opening opening);
  void park(const std::string& why);
  void fail(const dsl::Failure& failure);
  void read_again();
  void gone(std::optional<InstanceEnd> end = {});

  // `answer`: of a call, where a statement takes it.
  void step_ended(StepId id, store::StepOutcome outcome, const dsl::ResultPtr& answer, dsl::Time now);
  // The next turn, if there is anything to do and the slot allows it.
  void proceed();
  // These return false when the history does not fit: the instance is parked, and its steps are gone.
  [[nodiscard]] bool fits(bool fitted);
  [[nodiscard]] bool fold_beside();
  [[nodiscard]] bool record_refusal(TurnDraft& draft);
  [[nodiscard]] bool conclude(Step& step, TurnDraft& draft);
  [[nodiscard]] bool settle(TurnDraft& draft);
  dsl::Event make_event(dsl::EventKind kind, const dsl::Address& address, int attempt, std::string data) {
    return fold_.make_event(kind, address, attempt, std::move(data), now_);
  }

  void commit_beside();
  void commit_in_slot(Step& step);
  void commit_foreign(Step& step);
  void refuse(StepId id, std::optional<dsl::Failure> failure);
  std::optional<NextStep> take_next();
  void put_down_if_idle(TurnDraft& draft);
  void complete(TurnDraft& draft);
  void send_turn(TurnDraft draft);
  void turn_committed();

  void carry_out();
  void mark_running(Step& step, const IsQueued& is_queued);

  static inline const std::string kNobody;

  Surroundings* surroundings_;
  Effects effects_;
  dsl::Time now_{};  // of what happens

  store::ClaimedInstance row_;  // without what is read once: text, variables, history, signals
  bool paused_ = false;
  dsl::Time begun_{};                     // of InstanceStarted
  std::optional<dsl::Failure> fatal_;     // after it was read again: why it has to fail
  std::optional<RefusedCommit> refused_;  // after it was read again: the step whose commit was refused

  Fold fold_;
  Steps steps_;
  bool unstarted_ = false;  // a step was taken back before it ran, because the daemon stops

  Slot slot_ = Slot::kFree;
  Leaving leaving_ = Leaving::kNo;
  int beside_ = 0;                    // commits under way beside the slot
  std::vector<dsl::Event> unfolded_;  // committed beside the slot
  Prologue prologue_;
  std::string turn_json_;  // kTurn: to be sent again where the row was locked
  std::optional<dsl::Time> resend_at_;
  std::optional<dsl::Time> states_due_;  // when what people see of its nodes is to be written
  std::optional<InstanceEnd> end_;       // what the turn under way makes of it
};

}  // namespace durabled::daemon

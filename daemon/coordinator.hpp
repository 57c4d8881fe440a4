// The instances that this daemon holds, and their turns: what the engine decides is carried out here, what
// comes of it is committed, in the order that keeps every promise.
//
// The slot. An instance has one slot for a turn that is folded before it is committed; the turn's own commit
// carries what follows from it (next timers, the end). Steps of parallel branches that end while the slot is
// taken commit their event alone and are folded when the slot is free: which of them is first does not
// matter; they are folded in the order of their seqs, and before the slot is taken again. Where it does
// matter (Execution::is_ordered) a step waits for the slot. A refused or doubtful commit throws the folded
// state away: the instance is reclaimed, read again and folded anew.
//
// An exception that is thrown while an instance is handled fails that instance and nothing else.
//
// Carries out nothing before the turn that decided it is committed. Not thread-safe: one thread owns it, its
// ports call back on that thread. It has no clock and does no I/O of its own, so tests drive it by hand.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "daemon/admission.hpp"
#include "daemon/turn.hpp"
#include "dsl/engine/execution.hpp"
#include "dsl/value/substitute.hpp"
#include "store/step_session.hpp"
#include "store/worker_store.hpp"

namespace durabled::daemon {

using StepId = std::uint64_t;

// Runs SQL steps. Never calls back from within one of these functions. Each start() is answered by
// executed(); after that exactly one of commit() (answered by committed()) and finish() ends the step. stop()
// makes a running one end soon, with a failure.
class StepPort {
 public:
  virtual ~StepPort() = default;
  virtual void start(StepId id, const store::StepTarget& target, store::StepStatement statement) = 0;
  virtual void commit(StepId id, store::StepCommit commit) = 0;
  // Commits step `id` and, in the same exchange, starts `next`, which the server runs only if that commit
  // succeeds. Same target as `id`. Answered by committed(id); if it committed, later by executed(next); if
  // not, `next` never ran and nothing more is heard of it. Requires: can_chain().
  virtual void commit_and_start(StepId id, store::StepCommit commit, StepId next,
                                store::StepStatement statement);
  virtual bool can_chain() const { return false; }
  // Commits a step of another database there; answered by committed().
  virtual void commit_foreign(StepId id, const std::string& result) = 0;
  virtual void finish(StepId id) = 0;  // rolls back what is open
  virtual void stop(StepId id) = 0;
  // Ends a step whatever it is doing: what runs is stopped, what has run is rolled back; a commit that is under
  // way goes on. What may still be answered finds nobody, and is finished then.
  virtual void abandon(StepId id) = 0;
  // Whether it waits for a connection still.
  virtual bool queued(StepId) const { return false; }
};

// Makes HTTP calls; each start() is answered by http_done(), unless stop() came before.
class HttpPort {
 public:
  virtual ~HttpPort() = default;
  virtual void start(StepId id, const std::string& role, const std::string& instance_id,
                     const dsl::Node& node, const dsl::CallHttp& call, const dsl::Variables& variables) = 0;
  virtual void stop(StepId id) = 0;
};

// Commits turns that have no step; each is answered by turn_done().
class TurnPort {
 public:
  virtual ~TurnPort() = default;
  virtual void commit(store::Turn turn) = 0;
  virtual void reclaim(const std::string& instance_id) = 0;  // answered by reclaimed()
  virtual void fetch_signal(const std::string& instance_id,
                            std::int64_t signal_id) = 0;  // by signal_fetched()
};

struct CoordinatorOptions {
  store::WorkerId worker;
  dsl::Policy policy;
  dsl::GraphLimits limits;
  std::size_t max_result_bytes = 16 << 20;
  std::size_t role_bytes = std::size_t{1} << 40;  // that the results of a role's instances may take together
  std::string served_database;
  std::chrono::milliseconds mark_running_after{500};
  std::optional<std::uint64_t> seed;  // of the jitter of delays; for tests that must repeat
};

struct HttpResult {
  std::optional<std::string> result;  // the envelope
  std::optional<dsl::Failure> failure;
  std::optional<double> retry_after;  // seconds that the server asked for
  std::optional<std::chrono::microseconds> took = {};
};

// How an instance ended, for the log.
struct InstanceEnd {
  std::string id, label, role, status;
  std::string error;   // JSON as in df.instances.error; "" when it completed
  double seconds = 0;  // since it began
};

class Coordinator {
 public:
  Coordinator(CoordinatorOptions options, StepPort& steps, HttpPort& http, TurnPort& turns,
              std::function<dsl::Time()> now);
  ~Coordinator();

  // For instances claimed, and steps started, from now on.
  void reconfigure(const dsl::Policy& policy, std::size_t max_result_bytes,
                   std::chrono::milliseconds mark_running_after);

  void claimed(store::ClaimedInstance instance);
  void attention(const store::Attention& attention);
  // It has ended without this daemon, which may hold it: what runs of it is stopped.
  void ended(const store::Ended& ended);

  void executed(StepId id, store::StepOutcome outcome);
  void committed(StepId id, store::CommitOutcome outcome);
  void http_done(StepId id, HttpResult result);
  void turn_done(const store::Turn& turn, const std::optional<store::TurnProblem>& problem);
  void signal_fetched(const std::string& instance_id, std::int64_t signal_id, std::string data);
  void reclaimed(const std::string& instance_id, std::optional<store::ClaimedInstance> instance);

  // Fires timers that are due, marks long steps; returns when it wants to be called next.
  std::optional<dsl::Time> tick();

  // No new steps; instances are put down as their running steps end. For SIGTERM.
  void drain();

  std::size_t held() const { return instances_.size(); }
  const HeldByRole& held_by_role() const { return held_by_role_; }
  // The roles whose instances' results take more than `bytes`.
  std::set<store::RoleId> roles_over(std::size_t bytes) const;
  bool holds(const std::string& id) const { return instances_.count(id) > 0; }
  std::set<std::string> roles() const;  // of the instances that are held
  // Which of their roles may make HTTP calls from now on.
  void set_http_rights(const std::set<std::string>& asked, const std::set<std::string>& allowed);
  std::size_t steps_in_progress() const { return steps_by_id_.size(); }
  // When the earliest of the instances put down lately becomes due; asked once.
  std::optional<dsl::Time> take_earliest_wake();
  // Does `work` on another thread, and then `done` on the coordinator's; never from within this call.
  std::function<void(std::function<void()> work, std::function<void()> done)> offload;
  // Log lines for people: (level, text) pairs go here.
  std::function<void(int level, const std::string& text)> log = [](int, const std::string&) {};
  // Called once for each instance that has ended here or that ended() tells of.
  std::function<void(const InstanceEnd& end)> log_end = [](const InstanceEnd&) {};

 private:
  struct Step;
  struct Instance;

  Instance* find(const std::string& id);
  void guarded(const std::string& id, const std::function<void()>& work);
  void guarded_step(StepId id, const std::function<void()>& work);
  void break_off(const std::string& id, const char* why);
  void handle_executed(StepId id, store::StepOutcome outcome);
  void handle_committed(StepId id, store::CommitOutcome outcome);
  void handle_reclaimed(const std::string& instance_id, std::optional<store::ClaimedInstance> claimed);
  void handle_turn_done(const store::Turn& turn, const std::optional<store::TurnProblem>& problem);
  void handle_claimed(store::ClaimedInstance claimed);
  void handle_attention(const store::Attention& attention);
  void mark_running(Instance& instance, Step& step, dsl::Time now);
  void begin(Instance& instance, store::ClaimedInstance claimed);
  void begin_anew(Instance& instance, const store::ClaimedInstance& claimed);
  bool replay(Instance& instance, const std::vector<dsl::Event>& history);
  void set_variables(Instance& instance, const store::ClaimedInstance& claimed, const std::string& label);
  void park(Instance& instance, const std::string& why);
  void ends_with(Instance& instance, const TurnDraft& draft);
  void fail(Instance& instance, const dsl::Failure& failure);
  void fail_invalid(Instance& instance, const dsl::Diagnostic& problem);

  dsl::Event make_event(Instance& instance, dsl::EventKind kind, dsl::Address address, int attempt,
                        std::string data);
  dsl::Event make_failed(Instance& instance, const dsl::Address& address, int attempt,
                         const dsl::Failure& failure, std::optional<double> retry_after);
  bool apply(Instance& instance, const dsl::Event& event);
  bool record(Instance& instance, TurnDraft& draft, dsl::Event event);

  void proceed(Instance& instance);
  bool settle(Instance& instance, TurnDraft& draft);
  // True: there was one, ask again. `ok` false: it did not fit.
  bool take_signal(Instance& instance, TurnDraft& draft, bool& ok);
  bool fire_timer(Instance& instance, TurnDraft& draft, bool& ok);
  bool take_decisions(Instance& instance, TurnDraft& draft, bool& ok);
  void finish_draft(Instance& instance, TurnDraft& draft, const dsl::Event& last);
  void put_down_if_idle(Instance& instance, TurnDraft& draft);
  void send_turn(Instance& instance, const TurnDraft& draft);
  void turn_committed(Instance& instance);
  void carry_out(Instance& instance);

  // A node's text, and what its references stand for.
  struct Template {
    StepId id = 0;
    std::shared_ptr<const dsl::Graph> graph;
    dsl::NodeIndex node = 0;
    dsl::Names names;
    dsl::Variables variables;
  };
  struct RoleTexts {
    std::deque<Template> waiting;
    bool is_busy = false;
    std::size_t bytes = 0;  // of the statements that were made and have not ended
  };
  void substitute_later(Instance& instance, Step& step, const dsl::RunSql& run);
  void substitute_next(const std::string& role);
  void substituted(StepId id, Expected<std::string, dsl::SubstitutionError> statement,
                   std::vector<std::string> warnings);
  void release_text(Instance& instance, Step& step);
  void charge(Instance& instance);
  std::optional<dsl::Failure> over_budget(const Instance& instance) const;
  static void annotate(const Instance& instance, Step& step);

  Step& add_step(Instance& instance, const dsl::Address& address, int attempt);
  void mark_later(Step& step);
  void start_step(Instance& instance, const dsl::RunSql& run);
  void start_http(Instance& instance, const dsl::CallHttp& call);
  void refuse_http(Instance& instance, Step& step);
  void stop_step(Instance& instance, const dsl::Address& address);
  void committed_there(Instance& instance, Step& step, store::CommitOutcome outcome);
  bool conclude(Instance& instance, Step& step, TurnDraft& draft);
  void end_step(Instance& instance, StepId id);
  void reload(Instance& instance, StepId refused_step, std::optional<dsl::Failure> failure);
  void read_anew(Instance& instance);
  void orphan_steps(Instance& instance);
  void drop(const std::string& id);
  void schedule(Instance& instance);
  void add_node_states(Instance& instance, TurnDraft& draft);
  void write_due_node_states(dsl::Time now);

  CoordinatorOptions options_;
  StepPort& step_port_;
  HttpPort& http_port_;
  TurnPort& turn_port_;
  std::function<dsl::Time()> now_;
  std::map<std::string, std::unique_ptr<Instance>> instances_;
  HeldByRole held_by_role_;
  std::map<StepId, Instance*> steps_by_id_;
  std::map<std::string, RoleTexts> texts_;
  std::map<store::RoleId, std::size_t> bytes_by_role_;
  std::set<std::pair<dsl::Time, std::string>> timers_;
  std::set<std::pair<dsl::Time, std::string>> states_due_;  // instances whose node states are to be written
  std::set<std::pair<dsl::Time, StepId>> unmarked_;         // running steps whose start is not in the history
  std::optional<dsl::Time> earliest_wake_;
  StepId next_step_ = 1;
  bool draining_ = false;
  std::mt19937_64 random_;
};

}  // namespace durabled::daemon

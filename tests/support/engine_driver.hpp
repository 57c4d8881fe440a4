// Drives one dsl::Execution by hand: plays the daemon, keeps the history as the database would (folds prune
// it), and writes down what the engine decides, one line a decision, so that tests can compare texts.
//
//   run 00000001@0 #2 SELECT 1     RunSql: node, scope if any, attempt if not the first, statement
//   http 00000002                  CallHttp
//   stop 00000001                  StopStep
//   TimerStarted 00000003 {…}      Record: kind, node, data; " prune 3 4" at the end when there is any
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "dsl/engine/execution.hpp"

namespace durabled::test {

// Results of SQL steps.
std::string one(const std::string& json_value, const std::string& type = "text");  // one row, column "v"
std::string rows(const std::vector<std::string>& json_values);                     // a row each, column "v"
std::string no_rows();

std::string address_text(const dsl::Address& address);

class EngineDriver {
 public:
  struct Step {
    dsl::Address address;
    int attempt = 1;
    std::string statement;  // empty: HTTP
    std::string line;       // as in the log
  };
  // What decide() was asked, and what it had to answer: of a replay of `history` too.
  struct Checkpoint {
    std::vector<dsl::Event> history;
    dsl::Time now{};
    std::vector<std::string> expected;  // what runs, and what was decided now
  };

  // The text must be a valid workflow. Nothing has happened yet.
  explicit EngineDriver(std::string_view workflow, dsl::Policy policy = {}, dsl::Variables variables = {},
                        std::optional<std::string> input = {});
  explicit EngineDriver(std::shared_ptr<const dsl::Graph> graph, dsl::Policy policy = {},
                        dsl::Variables variables = {}, std::optional<std::string> input = {});

  // Each does one thing that happens, and then takes all decisions that follow.
  void start();
  void complete(const dsl::Address& address, const std::string& result);
  // `error`: code, then what the daemon knows of it. Jitter is half a way.
  void fail(const dsl::Address& address, const std::string& code, bool transient = false);
  void fire();  // the next timer; it gets as late as that
  bool signal(const std::string& name, const std::string& data = "{}");  // false: nobody waits for it
  void cancel();
  // Any event, as it would be read from a history; seq and at are set here.
  void feed(dsl::EventKind kind, const dsl::Address& address, const std::string& data, int attempt = 0);

  // By statement: the result of a SQL step that runs in finish(); `fails` the same way, `times` times.
  EngineDriver& on(const std::string& statement, const std::string& result);
  EngineDriver& on_failure(const std::string& statement, const std::string& code, bool transient = false,
                           int times = 1'000'000);
  // Starts, and goes on until nothing runs: answers steps in the order in which they began (a statement that
  // on() does not know returns its own text), fires timers when nothing runs, stops after `limit` answers.
  EngineDriver& finish(int limit = 10'000);

  // What was decided since the last call, a line each.
  std::string take_log();
  const std::deque<Step>& running() const { return running_; }
  const Step& running(std::string_view statement) const;
  // "completed <json>", "failed <code> <message>", "cancelled", "going on", "mismatch: …".
  std::string status() const;
  bool is_over() const { return run_->is_finished() || mismatch_; }
  // More decisions followed from one event than any sane workflow asks for.
  bool ran_away() const { return ran_away_; }
  // What the engine was told, from its first event on, less what its folds pruned.
  const std::vector<dsl::Event>& history() const { return history_; }
  std::size_t longest_history() const { return longest_history_; }
  const dsl::Execution& engine() const { return *run_; }
  std::string node_states() { return run_->node_states(); }
  dsl::Time now() const { return now_; }

  // Keeps a checkpoint of every decide(); expensive.
  void keep_checkpoints() { keeps_checkpoints_ = true; }
  const std::vector<Checkpoint>& checkpoints() const { return checkpoints_; }
  // What an engine that reads the checkpoint's history decides first.
  std::vector<std::string> replay(const Checkpoint& checkpoint) const;

 private:
  struct Answer {
    std::string result, code;
    bool transient = false;
    int times = 0;
  };

  bool apply(dsl::Event event);
  void settle();
  void take(const dsl::Decision& decision);
  void prune(const std::vector<std::int64_t>& seqs);
  void forget(const dsl::Address& address);

  std::shared_ptr<const dsl::Graph> graph_;
  dsl::Policy policy_;
  dsl::Variables variables_;
  std::optional<std::string> input_;
  std::unique_ptr<dsl::Execution> run_;
  dsl::Time now_{std::chrono::sys_days(std::chrono::year(2026) / 3 / 1)};
  std::int64_t next_seq_ = 1;
  std::vector<dsl::Event> history_;
  std::size_t longest_history_ = 0;
  std::deque<Step> running_;
  std::map<std::string, Answer> answers_;
  std::string log_, end_;
  bool mismatch_ = false, ran_away_ = false, keeps_checkpoints_ = false;
  std::vector<Checkpoint> checkpoints_;
};

}  // namespace durabled::test

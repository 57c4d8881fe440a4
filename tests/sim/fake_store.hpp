// The tables and functions of sql_schema/0003_protocol.sql in memory, as far as daemons see them, with what must
// never happen checked at each write. tests/store/contract_*_test.cpp hold it to what PostgreSQL does. Left out:
// idempotency keys, and the parking of instances whose daemons die.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "daemon/coordinator.hpp"

namespace durabled::sim {

// A broken promise; what() says which.
struct Violation : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct Row {
  std::string id, dsl;
  store::RoleId role = 1;
  std::string status = "pending";
  int priority = 0;
  std::optional<dsl::Time> wake_at, completed_at;
  int worker = 0;        // 0: nobody
  bool started = false;  // it was claimed, and not put back since then
  std::int64_t token = 0;
  std::string claim_key;
  std::string request;
  bool attention = false;
  std::optional<std::int64_t> unread_signal;  // the first that the worker may not have read
  std::int64_t result_seq = 0;
  std::string error;
  std::map<std::int64_t, dsl::Event> events;
  std::int64_t seen_seq = 0;  // the last one when the token was given out

  bool ended() const { return status == "completed" || status == "failed" || status == "cancelled"; }
  bool free() const { return worker == 0 && wake_at && status != "paused"; }
};

class FakeStore {
 public:
  dsl::Time now{};

  Row& submit(const std::string& id, const std::string& dsl, store::RoleId role = 1);
  void signal(const std::string& id, const std::string& name, const std::string& data);
  void request(const std::string& id, const std::string& what);  // df.cancel, df.pause, df.resume

  void enter(int worker) { workers_[worker] = now; }
  // False: it is not registered any more.
  bool heartbeat(int worker);
  bool is_registered(int worker) const { return workers_.contains(worker); }
  int others(int worker) const { return static_cast<int>(workers_.size() - workers_.count(worker)); }
  // Its session is gone, and with it its lock: the next release_dead() of another worker finds it.
  void disconnect(int worker) {
    if (const auto found = workers_.find(worker); found != workers_.end()) found->second = {};
  }
  // What the release of a dead worker does: its instances, whose number it returns, are free, and it is forgotten.
  int release(int worker);
  // Of each worker but `worker` that was silent for longer than `ttl`.
  int release_dead(int worker, std::chrono::milliseconds ttl);
  std::vector<std::pair<std::string, std::int64_t>> held(int worker) const;
  int give_back(int worker, const std::vector<std::pair<std::string, std::int64_t>>& instances);
  int prune(std::chrono::seconds age, int batch);
  store::PollResult poll(int worker, const store::PollRequest& request);
  std::optional<store::TurnProblem> commit(int worker, const store::Turn& turn);
  std::optional<store::ClaimedInstance> reclaim(int worker, const std::string& id);
  std::string signal_data(std::int64_t signal_id) const;
  // False: the lease is lost, and nothing was written.
  bool commit_step(int worker, const store::StepCommit& commit, const std::string& effect);
  // All of them, or nothing.
  bool commit_group(int worker, const std::vector<store::StepCommit>& commits,
                    const std::vector<std::string>& effects);
  // Of a step that runs outside a transaction.
  void effect_alone(const std::string& effect) { ++effects_alone_[effect]; }

  const std::map<std::string, Row>& rows() const { return rows_; }
  // Ended: "status result-or-error".
  std::string result(const std::string& id) const;
  const std::map<std::string, int>& effects() const { return effects_; }
  const std::map<std::string, int>& effects_alone() const { return effects_alone_; }
  const std::set<std::string>& completed_steps() const { return completed_steps_; }

 private:
  struct StoredSignal {
    std::int64_t id;
    std::string instance, name, data;
    dsl::Time sent_at;
    bool delivered = false, taken = false;
  };

  void deliver();
  bool holds(int worker, const store::StepCommit& commit) const;
  void insert(Row& row, dsl::Event event);
  void apply_turn(Row& row, const std::string& turn, dsl::Time at);
  void put_down(Row& row, const std::string& turn, const std::string& status);
  void put_back(Row& row, const std::string& start);
  using Due =
      std::map<std::pair<bool, store::RoleId>, std::vector<Row*>>;  // the role after request.after first
  Due due(const store::PollRequest& request);
  std::size_t bytes(const Row& row, std::size_t longest_text) const;
  store::ClaimedInstance read(Row& row);
  // `first`: only from that signal on.
  std::vector<store::Signal> untaken(const std::string& id, std::int64_t first = 0) const;
  static std::size_t signal_bytes(const std::vector<store::Signal>& signals);
  bool read_attention(int worker, std::size_t most_bytes, std::vector<store::Attention>& result);

  std::map<std::string, Row> rows_;
  std::vector<StoredSignal> signals_;
  std::map<int, dsl::Time> workers_;  // when each was heard of last
  std::map<std::string, int> effects_, effects_alone_;
  std::set<std::string> completed_steps_;
};

}  // namespace durabled::sim

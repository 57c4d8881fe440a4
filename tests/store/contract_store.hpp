// What daemons and clients do to instances, as far as it is a contract: the tests in contract_*_test.cpp run on PostgreSQL
// with the schema df, and on the store of the simulator, which must behave the same for the simulator to be honest.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "store/step_session.hpp"
#include "store/worker_store.hpp"

namespace durabled::test {

struct Submission {
  std::string dsl = "'x'";
  std::string role = "alice";  // or bob
  int priority = 0;
  std::chrono::seconds delay{0};  // from now
};

// The clock moves by advance() alone. Not thread-safe.
class ContractStore {
 public:
  virtual ~ContractStore() = default;

  virtual void advance(std::chrono::microseconds time) = 0;
  virtual dsl::Time now() = 0;

  // Clients; requests are cancel, pause and resume.
  virtual std::string submit(const Submission& submission) = 0;
  virtual void signal(const std::string& id, const std::string& name, const std::string& data) = 0;
  virtual void request(const std::string& id, const std::string& what) = 0;
  virtual std::string status(const std::string& id) = 0;
  // "1 InstanceStarted, 2 StepCompleted"
  virtual std::string history(const std::string& id) = 0;
  virtual bool exists(const std::string& id) = 0;
  virtual store::RoleId role_id(const std::string& role) = 0;

  // Daemons; the functions of WorkerStore and Keeper. A worker that is not registered claims nothing.
  virtual int enter() = 0;
  virtual bool heartbeat(int worker) = 0;
  virtual store::PollResult poll(int worker, const store::PollRequest& request) = 0;
  virtual std::optional<store::TurnProblem::Kind> commit(int worker, const store::Turn& turn) = 0;
  virtual std::optional<store::ClaimedInstance> reclaim(int worker, const std::string& id) = 0;
  virtual std::vector<std::pair<std::string, std::int64_t>> held(int worker) = 0;
  virtual int give_back(int worker, const std::vector<std::pair<std::string, std::int64_t>>& instances) = 0;
  virtual void release_all(int worker) = 0;
  virtual int release_dead(int worker, std::chrono::milliseconds ttl) = 0;
  virtual int prune(std::chrono::seconds age, int batch) = 0;
  virtual std::string signal_data(const std::string& id, std::int64_t signal) = 0;

  // A step with an effect, and its commit with `turn` (empty: none).
  virtual store::CommitOutcome::Kind commit_step(int worker, const store::ClaimedInstance& instance,
                                                 const dsl::Event& event, const std::string& turn,
                                                 const std::string& effect) = 0;
  virtual int effects(const std::string& effect) = 0;
};

// "PostgreSQL" or "the simulator's".
std::unique_ptr<ContractStore> contract_store(const std::string& which);
std::unique_ptr<ContractStore> postgres_contract_store();
std::unique_ptr<ContractStore> simulated_contract_store();

// Claims at most `limit`.
inline store::PollRequest up_to(int limit) {
  store::PollRequest request;
  request.limit = limit;
  return request;
}

inline std::vector<std::string> ids(const std::vector<store::ClaimedInstance>& claimed) {
  std::vector<std::string> result;
  for (const store::ClaimedInstance& instance : claimed) result.push_back(instance.id);
  return result;
}

// `members` are those of df._apply_turn beside instance, token and at: R"("events":[…],"status":"completed")".
inline store::Turn turn_of(ContractStore& store, const store::ClaimedInstance& instance,
                           const std::string& members) {
  return {instance.id,
          "{\"instance\":\"" + instance.id + "\",\"token\":" + std::to_string(instance.token) + ",\"at\":\"" +
              dsl::format_time(store.now()) + "\"" + (members.empty() ? "" : ",") + members + "}",
          instance.token};
}

// Claims one instance; requires that one is due.
inline store::ClaimedInstance claim(ContractStore& store, int worker) {
  store::PollResult result = store.poll(worker, up_to(1));
  return std::move(result.claimed.at(0));
}

inline dsl::Event step_completed(ContractStore& store, std::int64_t seq, dsl::NodeIndex node = 1) {
  dsl::Event event;
  event.seq = seq;
  event.at = store.now();
  event.kind = dsl::EventKind::kStepCompleted;
  event.address.node = node;
  event.attempt = 1;
  event.data = "{}";
  return event;
}

}  // namespace durabled::test

#include "tests/sim/fake_store.hpp"
#include "tests/store/contract_store.hpp"

namespace durabled::test {
namespace {

class SimulatedContractStore : public ContractStore {
 public:
  SimulatedContractStore() { store_.now = *dsl::parse_time("2026-01-01T00:00:00.000000Z"); }

  void advance(std::chrono::microseconds time) override { store_.now += time; }
  dsl::Time now() override { return store_.now; }

  std::string submit(const Submission& submission) override {
    const std::string id = "instance" + std::to_string(++submitted_);
    sim::Row& row = store_.submit(id, submission.dsl, role_id(submission.role));
    row.priority = submission.priority;
    row.wake_at = store_.now + submission.delay;
    return id;
  }
  void signal(const std::string& id, const std::string& name, const std::string& data) override {
    store_.signal(id, name, data);
  }
  void request(const std::string& id, const std::string& what) override { store_.request(id, what); }
  std::string status(const std::string& id) override { return store_.rows().at(id).status; }
  std::string history(const std::string& id) override {
    std::string text;
    for (const auto& [seq, event] : store_.rows().at(id).events)
      text += (text.empty() ? "" : ", ") + std::to_string(seq) + ' ' + std::string(to_string(event.kind));
    return text;
  }
  bool exists(const std::string& id) override { return store_.rows().count(id) > 0; }
  store::RoleId role_id(const std::string& role) override { return role == "alice" ? 1 : 2; }

  int enter() override {
    store_.enter(++workers_);
    return workers_;
  }
  bool heartbeat(int worker) override { return store_.heartbeat(worker); }
  store::PollResult poll(int worker, const store::PollRequest& request) override {
    return store_.poll(worker, request);
  }
  std::optional<store::TurnProblem::Kind> commit(int worker, const store::Turn& turn) override {
    const auto problem = store_.commit(worker, turn);
    if (!problem) return std::nullopt;
    return problem->kind;
  }
  std::optional<store::ClaimedInstance> reclaim(int worker, const std::string& id) override {
    return store_.reclaim(worker, id);
  }
  std::vector<std::pair<std::string, std::int64_t>> held(int worker) override { return store_.held(worker); }
  int give_back(int worker, const std::vector<std::pair<std::string, std::int64_t>>& instances) override {
    return store_.give_back(worker, instances);
  }
  void release_all(int worker) override { store_.release(worker); }
  int release_dead(int worker, std::chrono::milliseconds ttl) override {
    return store_.release_dead(worker, ttl);
  }
  int prune(std::chrono::seconds age, int batch) override { return store_.prune(age, batch); }
  std::string signal_data(const std::string&, std::int64_t signal) override {
    return store_.signal_data(signal);
  }

  store::CommitOutcome::Kind commit_step(int worker, const store::ClaimedInstance& instance,
                                         const dsl::Event& event, const std::string& turn,
                                         const std::string& effect) override {
    return store_.commit_step(worker, {instance.claim_key, instance.id, instance.token, event, turn}, effect)
               ? store::CommitOutcome::Kind::kCommitted
               : store::CommitOutcome::Kind::kLeaseLost;
  }
  int effects(const std::string& effect) override {
    const auto found = store_.effects().find(effect);
    return found == store_.effects().end() ? 0 : found->second;
  }

 private:
  sim::FakeStore store_;
  int submitted_ = 0, workers_ = 0;
};

}  // namespace

std::unique_ptr<ContractStore> simulated_contract_store() {
  return std::make_unique<SimulatedContractStore>();
}

}  // namespace durabled::test

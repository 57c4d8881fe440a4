#include <map>

#include "store/store_error.hpp"
#include "tests/store/contract_store.hpp"
#include "tests/store/session_driver.hpp"
#include "tests/support/postgres_server.hpp"
#include "tests/support/sql.hpp"

namespace durabled::test {
namespace {

class PostgresContractStore : public ContractStore {
 public:
  PostgresContractStore() {
    owner_.exec(
        "create table public.clock as select '2026-01-01T00:00:00Z'::timestamptz as at;"
        "grant select on public.clock to public;"
        "create or replace function df._now() returns timestamptz language sql volatile parallel safe"
        " return (select c.at from public.clock c)");
    for (const char* role : {"alice", "bob"}) {
      database_.server().create_role(role);
      owner_.exec(std::string("select df.grant_usage('") + role + "')");
    }
    owner_.exec("create table public.effects (name text); grant insert on public.effects to public");
  }

  void advance(std::chrono::microseconds time) override {
    owner_.exec("update public.clock set at = at + $1::bigint * interval '1 microsecond'", time.count());
  }
  dsl::Time now() override {
    return dsl::Time(std::chrono::microseconds(
        owner_.number("select (extract(epoch from at) * 1000000)::bigint from public.clock")));
  }

  std::string submit(const Submission& submission) override {
    return client(submission.role)
        .text(
            "insert into df.submit (dsl, priority, start_at)"
            " values ($1, $2::smallint, df._now() + $3::bigint * interval '1 second') returning id",
            submission.dsl, submission.priority, submission.delay.count());
  }
  void signal(const std::string& id, const std::string& name, const std::string& data) override {
    client(submitter(id)).exec("select df.signal($1, $2, $3::json)", id, name, data);
  }
  void request(const std::string& id, const std::string& what) override {
    client(submitter(id)).exec("select df." + what + "($1)", id);
  }
  std::string status(const std::string& id) override {
    return owner_.text("select status from df.instances where id = $1", id);
  }
  std::string history(const std::string& id) override {
    return owner_
        .value(
            "select string_agg(seq || ' ' || kind, ', ' order by seq) from df.events where instance_id = $1",
            id)
        .value_or("");
  }
  bool exists(const std::string& id) override {
    return owner_.number("select count(*) from df.instances where id = $1", id) == 1;
  }
  store::RoleId role_id(const std::string& role) override {
    return static_cast<store::RoleId>(owner_.number("select $1::regrole::oid", role));
  }

  int enter() override {
    auto keeper = std::make_unique<store::Keeper>(
        database_.conninfo(),
        store::Keeper::Options{
            .name = "test", .host = "here", .version = "1", .advisory_lock = false, .listen = false});
    const int number = keeper->id().number;
    keepers_[number] = std::move(keeper);
    return number;
  }
  bool heartbeat(int worker) override { return keepers_.at(worker)->heartbeat().has_value(); }
  store::PollResult poll(int worker, const store::PollRequest& request) override {
    try {
      return store_.poll(worker, request);
    } catch (const store::StoreError& error) {
      if (error.sqlstate() != "DF003") throw;
      return {};
    }
  }
  std::optional<store::TurnProblem::Kind> commit(int worker, const store::Turn& turn) override {
    const std::vector<store::TurnProblem> problems = store_.commit(worker, {turn});
    if (problems.empty()) return std::nullopt;
    return problems.at(0).kind;
  }
  std::optional<store::ClaimedInstance> reclaim(int worker, const std::string& id) override {
    std::vector<store::ClaimedInstance> reclaimed = store_.reclaim(worker, {id});
    if (reclaimed.empty()) return std::nullopt;
    return std::move(reclaimed.at(0));
  }
  std::vector<std::pair<std::string, std::int64_t>> held(int worker) override { return store_.held(worker); }
  int give_back(int worker, const std::vector<std::pair<std::string, std::int64_t>>& instances) override {
    return store_.give_back(worker, instances);
  }
  void release_all(int worker) override { store_.release_all(worker); }
  int release_dead(int worker, std::chrono::milliseconds ttl) override {
    return store_.release_dead(worker, ttl, false).instances;
  }
  int prune(std::chrono::seconds age, int batch) override { return store_.prune(age, batch); }
  std::string signal_data(const std::string& id, std::int64_t signal) override {
    return store_.signal_data(id, signal);
  }

  store::CommitOutcome::Kind commit_step(int, const store::ClaimedInstance& instance, const dsl::Event& event,
                                         const std::string& turn, const std::string& effect) override {
    auto& session = sessions_[*instance.role];
    if (!session) session = open_session(database_.conninfo(), *instance.role);
    store::StepStatement statement;
    statement.sql = "insert into public.effects values ('" + effect + "')";
    statement.instance_id = instance.id;
    statement.node_id = dsl::node_id(event.address.node);
    statement.role = "none";
    statement.max_result_bytes = 1 << 20;
    const store::StepOutcome outcome = run_step(*session, statement);
    if (!outcome.result) throw std::runtime_error("the step failed");
    const store::CommitOutcome committed =
        test::commit_step(*session, {instance.claim_key, instance.id, instance.token, event, turn});
    if (committed.kind != store::CommitOutcome::Kind::kCommitted) roll_back(*session);
    return committed.kind;
  }
  int effects(const std::string& effect) override {
    return static_cast<int>(owner_.number("select count(*) from public.effects where name = $1", effect));
  }

 private:
  Sql& client(const std::string& role) {
    auto& session = clients_[role];
    if (!session) session = std::make_unique<Sql>(database_.conninfo(role));
    return *session;
  }
  std::string submitter(const std::string& id) {
    return owner_.text("select submitted_by from df.instances where id = $1", id);
  }

  TestDatabase database_ = fresh_database();
  Sql owner_{database_.conninfo()};
  store::WorkerStore store_{database_.conninfo()};
  std::map<std::string, std::unique_ptr<Sql>> clients_;
  std::map<int, std::unique_ptr<store::Keeper>> keepers_;
  std::map<std::string, std::unique_ptr<store::StepSession>> sessions_;
};

}  // namespace

std::unique_ptr<ContractStore> postgres_contract_store() {
  return std::make_unique<PostgresContractStore>();
}

std::unique_ptr<ContractStore> contract_store(const std::string& which) {
  return which == "PostgreSQL" ? postgres_contract_store() : simulated_contract_store();
}

}  // namespace durabled::test

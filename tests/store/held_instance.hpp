// An instance of alice's that a worker holds, and sessions for its steps.
#pragma once

#include <memory>
#include <string>

#include "store/worker_store.hpp"
#include "tests/store/session_driver.hpp"
#include "tests/support/postgres_server.hpp"
#include "tests/support/sql.hpp"

namespace durabled::test {

class HeldInstance {
 public:
  HeldInstance() {
    alice_.exec("create table public.effects (n int)");
    alice_.exec("insert into df.submit (dsl) values ('''select 1''')");
    store::PollRequest request;
    request.limit = 1;
    instance_ = store_.poll(keeper_.id().number, request).claimed.at(0);
  }

  std::unique_ptr<store::StepSession> session(store::StepSession::Options options = {}) const {
    return open_session(conninfo(), "alice", options);
  }
  store::StepStatement statement(const std::string& sql) const {
    store::StepStatement statement;
    statement.sql = sql;
    statement.instance_id = id();
    statement.label = "label";
    statement.node_id = "00000001";
    statement.role = "none";
    statement.max_result_bytes = 1 << 20;
    return statement;
  }
  // Of that statement, as event `seq`.
  store::StepCommit checkpoint(std::int64_t seq) const {
    dsl::Event event;
    event.seq = seq;
    event.at = std::chrono::time_point_cast<std::chrono::microseconds>(std::chrono::system_clock::now());
    event.kind = dsl::EventKind::kStepCompleted;
    event.address.node = 1;
    event.attempt = 1;
    event.data = "{}";
    return {instance_.claim_key, id(), instance_.token, event, ""};
  }

  long long effects() { return alice_.number("select count(*) from public.effects"); }
  long long events() { return alice_.number("select count(*) from df.events where instance_id = $1", id()); }

  const std::string& id() const { return instance_.id; }
  std::int64_t token() const { return instance_.token; }
  int worker() const { return keeper_.id().number; }
  store::WorkerStore& store() { return store_; }
  Sql& alice() { return alice_; }
  Sql& owner() { return owner_; }
  std::string conninfo(const std::string& role = "durabled_owner") const { return database_.conninfo(role); }
  const TestDatabase& database() const { return database_; }

 private:
  std::string prepared() {
    database_.server().create_role("alice");
    owner_.exec("select df.grant_usage('alice'); grant create on schema public to alice");
    return conninfo("alice");
  }

  TestDatabase database_ = fresh_database();
  Sql owner_{database_.conninfo()};
  Sql alice_{prepared()};
  store::WorkerStore store_{database_.conninfo()};
  store::Keeper keeper_{database_.conninfo(),
                        {.name = "test", .host = "here", .version = "1", .advisory_lock = false}};
  store::ClaimedInstance instance_;
};

}  // namespace durabled::test

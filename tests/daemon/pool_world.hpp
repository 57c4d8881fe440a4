// A step pool over connections whose answers the test gives.
#pragma once

#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "daemon/step_pool.hpp"

namespace durabled::test {

using daemon::StepId;
using daemon::StepLink;
using daemon::StepPool;
using std::chrono::milliseconds;
using std::chrono::seconds;
using Strings = std::vector<std::string>;
using Kind = store::CommitOutcome::Kind;

struct Link : StepLink {
  explicit Link(Strings& into) : log(into) {}
  ~Link() override { log.push_back("close"); }

  void attach(Owner& to, std::uint64_t id) override {
    owner = &to;
    number = id;
  }
  void run(store::StepStatement one) override {
    log.push_back("run " + one.sql);
    statement = std::move(one);
  }
  void commit(const store::StepCommit&) override { log.push_back("commit"); }
  void commit_and_run(const store::StepCommit&, store::StepStatement next) override {
    log.push_back("commit and run " + next.sql);
    statement = std::move(next);
  }
  void commit_foreign(const std::string&) override { log.push_back("commit foreign"); }
  void rollback() override { log.push_back("rollback"); }
  store::StepOutcome take_outcome() override { return std::move(outcome); }
  store::CommitOutcome take_commit_outcome() override { return std::move(commit_outcome); }
  store::StepStatement take_statement() override { return statement; }
  bool lost() const override { return is_lost; }
  void cancel() override { log.push_back("cancel"); }
  void run_group(std::vector<store::StepStatement> many) override {
    std::string all = "run together";
    for (const store::StepStatement& one : many) all += ' ' + one.sql;
    log.push_back(all);
  }
  void commit_group(const std::vector<store::StepCommit>& commits) override {
    log.push_back("commit together " + std::to_string(commits.size()));
  }
  bool takes_groups() const override { return may_group; }
  store::GroupOutcome take_group_outcome() override { return std::move(group_outcome); }

  void answer(Answer answer) { owner->answered(number, answer); }
  void result() {
    outcome = {"{}", std::nullopt};
    answer(Answer::kOver);
  }
  void fail(const std::string& code) {
    outcome = {std::nullopt, dsl::make_failure(code, "made up", 0, 1)};
    answer(Answer::kOver);
  }
  void committed(Kind kind = Kind::kCommitted, Answer what = Answer::kOver) {
    commit_outcome = {kind, std::nullopt};
    answer(what);
  }

  Strings& log;
  Owner* owner = nullptr;
  std::uint64_t number = 0;
  store::StepStatement statement;
  store::StepOutcome outcome;
  store::CommitOutcome commit_outcome;
  store::GroupOutcome group_outcome;
  bool is_lost = false, may_group = true;
};

struct World : daemon::StepConnector {
  explicit World(int connections = 1, milliseconds timeout = milliseconds(0), std::size_t group = 1) {
    daemon::StepPoolOptions options;
    options.limits = {connections, connections, 0};
    options.limits.group = group;
    options.timeout = timeout;
    options.chain_steps = 3;
    pool = std::make_unique<StepPool>(*this, options);
    pool->set_callbacks(callbacks_of());
  }
  StepPool::Callbacks callbacks_of() {
    return {[this](StepId id, const store::StepOutcome& outcome) {
              said.push_back("executed " + std::to_string(id) +
                             (outcome.failure ? ' ' + outcome.failure->code : std::string()));
            },
            [this](StepId id, const store::CommitOutcome& outcome) {
              said.push_back("committed " + std::to_string(id) +
                             (outcome.kind == Kind::kCommitted ? "" : " not"));
              pool->finish(id);
            },
            {},
            {}};
  }
  void connect(const store::StepTarget&, Opened opened, Refused) override {
    auto one = std::make_unique<Link>(log);
    link = one.get();
    opened_later.emplace_back([opened = std::move(opened), one = std::make_shared<std::unique_ptr<StepLink>>(
                                                               std::move(one))] { opened(std::move(*one)); });
  }
  void post(std::function<void()> work) override { opened_later.push_back(std::move(work)); }
  void wake_at(std::chrono::steady_clock::time_point at, std::function<void()>) override { wake = at; }
  std::chrono::steady_clock::time_point now() const override { return time; }

  void settle() {
    while (!opened_later.empty()) {
      const auto work = std::move(opened_later.front());
      opened_later.pop_front();
      work();
    }
  }
  static store::StepStatement statement(const std::string& sql) {
    store::StepStatement statement;
    statement.sql = sql;
    statement.node_id = "1";
    return statement;
  }
  void start(StepId id, const std::string& sql, store::RoleId role = 1) { start(id, statement(sql), role); }
  void start(StepId id, store::StepStatement one, store::RoleId role = 1) {
    pool->start(id, {"role" + std::to_string(role), "app", role}, std::move(one));
    settle();
  }
  void commit_and_start(StepId id, StepId next, const std::string& sql) {
    pool->commit_and_start(id, {}, next, statement(sql));
  }
  Strings take_log() { return std::exchange(log, {}); }
  Strings take_said() { return std::exchange(said, {}); }

  Strings log, said;
  std::deque<std::function<void()>> opened_later;
  std::chrono::steady_clock::time_point time{seconds(1'000)}, wake{};
  std::unique_ptr<StepPool> pool;
  Link* link = nullptr;  // the newest
};

}  // namespace durabled::test

#include "tests/sim/sim_link.hpp"

#include <algorithm>
#include <deque>
#include <optional>
#include <utility>

namespace durabled::sim {

using daemon::StepLink;
using std::chrono::milliseconds;

namespace {

std::string row(const std::string& value) {
  return "{\"rows\":[{\"v\":\"" + value +
         "\"}],\"row_count\":1,\"columns\":[{\"name\":\"v\",\"type\":\"text\"}],\"affected\":1}";
}

std::string rows(int count) {
  std::string json;
  for (int i = 0; i < count; ++i) json += (i > 0 ? ",{\"v\":" : "{\"v\":") + std::to_string(i) + '}';
  return "{\"rows\":[" + json + "],\"row_count\":" + std::to_string(count) +
         ",\"columns\":[{\"name\":\"v\",\"type\":\"integer\"}],\"affected\":" + std::to_string(count) + "}";
}

class SimLink : public StepLink {
 public:
  SimLink(SimHost& host, std::shared_ptr<int> open) : host_(host), sim_(host.sim()), open_(std::move(open)) {
    ++*open_;
  }
  ~SimLink() override { --*open_; }

  void attach(Owner& owner, std::uint64_t link) override {
    owner_ = &owner;
    number_ = link;
    may_be_ended();
  }
  void run(store::StepStatement statement) override {
    begin(Exchange::kRun);
    execute(std::move(statement), sim_.delay());
  }
  void commit(const store::StepCommit& commit) override {
    begin(Exchange::kCommit);
    send_commit(land(commit), std::nullopt);
  }
  void commit_and_run(const store::StepCommit& commit, store::StepStatement next) override {
    begin(Exchange::kCommit);
    send_commit(land(commit), std::move(next));
  }
  void run_group(std::vector<store::StepStatement> statements) override {
    begin(Exchange::kRun);
    group_ = std::move(statements);
    execute_group(sim_.delay());
  }
  void commit_group(const std::vector<store::StepCommit>& commits) override {
    begin(Exchange::kCommit);
    if (commits.size() != group_.size()) sim_.violate("a group is not committed as it was run");
    std::vector<std::string> effects;
    for (std::size_t i = 0; i < commits.size(); ++i) effects.push_back(effect_of(commits[i], group_[i]));
    send_commit([commits, effects](FakeStore& store,
                                   int worker) { return store.commit_group(worker, commits, effects); },
                std::nullopt);
  }
  bool takes_groups() const override { return true; }
  store::GroupOutcome take_group_outcome() override { return std::move(group_outcome_); }
  void commit_foreign(const std::string&) override { sim_.violate("a step of another database"); }
  void rollback() override {
    begin(Exchange::kRollback);
    answer_over(sim_.delay());
  }

  store::StepOutcome take_outcome() override { return std::move(outcome_); }
  store::CommitOutcome take_commit_outcome() override { return std::move(commit_outcome_); }
  store::StepStatement take_statement() override { return statement_; }
  bool lost() const override { return lost_; }

  // It hits what the server does when it arrives, whatever that is.
  void cancel() override {
    after(sim_.delay(), [this] {
      ++cancels_;
      if (executing_ && !group_.empty()) {
        group_over({{}, failed("57014", false).failure, 0});
      } else if (executing_) {
        statement_over(failed("57014", false));
      }
      host_.later(sim_.delay(), [this, alive = std::weak_ptr<int>(alive_)] {
        if (!alive.expired()) owner_->answered(number_, Answer::kCancelled);
      });
    });
  }

 private:
  enum class Exchange { kNone, kRun, kCommit, kRollback };
  using Land = std::function<bool(FakeStore&, int worker)>;  // what a commit does; false: nothing

  // On the server, while the connection is there.
  void after(Duration delay, std::function<void()> what) {
    sim_.after(delay, [alive = std::weak_ptr<int>(alive_), what = std::move(what)] {
      if (!alive.expired()) what();
    });
  }
  // What the socket brings comes in order.
  void answer(Duration delay, Answer what, std::function<void()> before) {
    answers_.emplace_back(what, std::move(before));
    host_.later(delay, [this, alive = std::weak_ptr<int>(alive_)] {
      if (alive.expired()) return;
      const auto [next, prepare] = std::move(answers_.front());
      answers_.pop_front();
      prepare();
      owner_->answered(number_, next);
    });
  }
  void answer_over(Duration delay) {
    answer(delay, Answer::kOver, [this] {
      const bool is_idle = exchange_ != Exchange::kRun;
      exchange_ = Exchange::kNone;
      if (is_idle) may_be_ended();
    });
  }
  void begin(Exchange exchange) {
    if (exchange_ != Exchange::kNone) sim_.violate("two exchanges on one connection");
    const bool in_transaction = transaction_;
    if (exchange == Exchange::kRun && in_transaction) sim_.violate("a step in another's transaction");
    if (exchange == Exchange::kCommit && !in_transaction) sim_.violate("a commit of nothing");
    exchange_ = exchange;
    ++exchanges_;
    transaction_ = exchange == Exchange::kRun;
  }
  // The server ends the session while it is idle.
  void may_be_ended() {
    if (!sim_.chance(Fault::kSession, 30)) return;
    after(sim_.delay(), [this, exchanges = exchanges_] {
      if (exchanges_ != exchanges || exchange_ != Exchange::kNone) return;
      lost_ = true;
      host_.later(sim_.delay(), [this, alive = std::weak_ptr<int>(alive_), exchanges] {
        if (!alive.expired() && exchanges_ == exchanges) owner_->answered(number_, Answer::kGone);
      });
    });
  }

  void execute(store::StepStatement statement, Duration way) {
    statement_ = std::move(statement);
    group_.clear();
    if (lost_) {
      outcome_ = failed("08006", true);
      outcome_.never_began = true;
      return answer_over(Duration(0));
    }
    store::StepOutcome outcome = outcome_of(statement_);
    if (sim_.chance(Fault::kSession, 60)) outcome = failed("08006", true);
    if (statement_.alone) transaction_ = false;
    after(way, [this, outcome = std::move(outcome)]() mutable {
      executing_ = true;
      const bool is_slow = sim_.below(20) == 0 || statement_.sql.starts_with("slow");
      after(is_slow ? milliseconds(sim_.below(3'000)) : sim_.delay(),
            [this, run = ++runs_, outcome = std::move(outcome)]() mutable {
              if (!executing_ || run != runs_) return;
              if (statement_.alone && outcome.result)
                sim_.server().effect_alone(statement_.instance_id + '/' + statement_.node_id);
              statement_over(std::move(outcome));
            });
    });
  }
  void execute_group(Duration way) {
    store::GroupOutcome outcome;
    if (lost_) {
      group_outcome_ = {{}, failed("08006", true).failure, {}, true};
      return answer_over(Duration(0));
    }
    bool is_slow = sim_.below(20) == 0;
    for (std::size_t i = 0; i < group_.size() && !outcome.failure; ++i) {
      store::StepOutcome one = outcome_of(group_[i]);
      is_slow |= group_[i].sql.starts_with("slow");
      if (one.failure) {
        outcome = {{}, one.failure, i};
      } else {
        outcome.steps.push_back(std::move(one));
      }
    }
    if (sim_.chance(Fault::kSession, 60)) outcome = {{}, failed("08006", true).failure, {}};
    after(way, [this, is_slow, outcome = std::move(outcome)]() mutable {
      executing_ = true;
      after(is_slow ? milliseconds(sim_.below(3'000)) : sim_.delay(),
            [this, run = ++runs_, outcome = std::move(outcome)]() mutable {
              if (executing_ && run == runs_) group_over(std::move(outcome));
            });
    });
  }
  void group_over(store::GroupOutcome outcome) {
    executing_ = false;
    group_outcome_ = std::move(outcome);
    lost_ |= group_outcome_.failure && group_outcome_.failure->code == "08006";
    answer_over(sim_.delay());
  }
  void statement_over(store::StepOutcome outcome) {
    executing_ = false;
    outcome_ = std::move(outcome);
    lost_ |= outcome_.failure && outcome_.failure->code == "08006";
    answer_over(sim_.delay());
  }

  // On its way to the server it does not matter any more whether the daemon lives.
  static std::string effect_of(const store::StepCommit& commit, const store::StepStatement& statement) {
    return commit.instance_id + '/' + statement.node_id + '@' + statement.scope;
  }
  Land land(const store::StepCommit& commit) const {
    if (statement_.alone) sim_.violate("a commit of what ran alone");
    return [commit, effect = effect_of(commit, statement_)](FakeStore& store, int worker) {
      return store.commit_step(worker, commit, effect);
    };
  }
  void send_commit(Land land, std::optional<store::StepStatement> next) {
    using Kind = store::CommitOutcome::Kind;
    const Kind not_committed = group_.empty() ? Kind::kRefused : Kind::kNotGrouped;
    const bool refused = sim_.chance(Fault::kCommit, 20);
    const bool doubtful = !refused && sim_.chance(Fault::kCommit, 30), lands = sim_.below(2) == 0;
    const Duration way = sim_.delay(), back = sim_.delay();
    const auto outcome = std::make_shared<store::CommitOutcome>();
    const auto cancels = std::make_shared<int>(cancels_);
    sim_.after(way, [this, &sim = sim_, worker = host_.worker(), land = std::move(land), outcome, refused,
                     doubtful, lands, not_committed, cancels, alive = std::weak_ptr<int>(alive_)] {
      const bool cancelled = !alive.expired() && *cancels != cancels_;
      if (refused || cancelled) {
        *outcome = {not_committed, failed(refused ? "40001" : "57014", true).failure};
      } else if (doubtful && !lands) {
        outcome->kind = Kind::kInDoubt;
      } else if (!land(sim.server(), worker)) {
        outcome->kind = not_committed == Kind::kNotGrouped ? not_committed : Kind::kLeaseLost;
      }
    });
    if (doubtful) {  // the connection breaks, at any time, even before the commit lands
      return answer(back, Answer::kOver, [this] {
        lost_ = true;
        exchange_ = Exchange::kNone;
        commit_outcome_ = {store::CommitOutcome::Kind::kInDoubt, {}};
      });
    }
    after(way, [this, outcome, back, next = std::move(next)]() mutable {
      const bool committed = outcome->kind == store::CommitOutcome::Kind::kCommitted;
      transaction_ = false;
      if (!next || !committed) {
        return answer(back, Answer::kOver, [this, outcome] {
          exchange_ = Exchange::kNone;
          commit_outcome_ = *outcome;
          may_be_ended();
        });
      }
      answer(back, Answer::kCommitted, [this, outcome] { commit_outcome_ = *outcome; });
      exchange_ = Exchange::kRun;
      transaction_ = true;
      execute(std::move(*next), back);
    });
  }

  SimHost& host_;
  Simulation& sim_;
  std::shared_ptr<int> open_;
  Owner* owner_ = nullptr;
  std::uint64_t number_ = 0, exchanges_ = 0, runs_ = 0;
  Exchange exchange_ = Exchange::kNone;
  bool transaction_ = false, executing_ = false, lost_ = false;
  int cancels_ = 0;  // that have arrived
  std::deque<std::pair<Answer, std::function<void()>>> answers_;
  store::StepStatement statement_;
  std::vector<store::StepStatement> group_;  // in place of `statement_`
  store::GroupOutcome group_outcome_;
  store::StepOutcome outcome_;
  store::CommitOutcome commit_outcome_;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

}  // namespace

store::StepOutcome failed(const std::string& code, bool transient) {
  dsl::Failure failure = dsl::make_failure(code, "made up", 0, 1);
  failure.transient = transient;
  failure.final = false;
  return {std::nullopt, failure};
}

store::StepOutcome outcome_of(const store::StepStatement& statement) {
  const std::string& sql = statement.sql;
  if (sql.starts_with("flaky") && statement.attempt < 3) return failed("40001", true);
  if (sql == "not 3: 3") return failed("22012", false);
  if (sql.starts_with("is 3:")) return {row(sql == "is 3: 3" ? "t" : "no"), std::nullopt};
  if (sql.starts_with("bad")) return failed("22012", false);
  if (sql.starts_with("alone") && !statement.alone) {
    store::StepOutcome outcome = failed("25001", false);
    outcome.needs_to_run_alone = true;
    return outcome;
  }
  if (sql.starts_with("until")) {  // a condition: true in the first three iterations
    const std::size_t dot = statement.scope.rfind('.');
    return {row(std::stoi(statement.scope.substr(dot == std::string::npos ? 0 : dot + 1)) < 2 ? "t" : "no"),
            std::nullopt};
  }
  if (sql.starts_with("rows")) return {rows(7), std::nullopt};
  return {row(sql.size() < 30 ? "did it" : "did much"), std::nullopt};
}

void SimConnector::connect(const store::StepTarget&, Opened opened, Refused refused) {
  Simulation& sim = host_.sim();
  const std::size_t trouble = sim.chance(Fault::kLogin, 200) ? 1 + sim.below(2) : 0;
  host_.later(sim.delay() * 3, [this, trouble, opened = std::move(opened), refused = std::move(refused)] {
    if (trouble == 0) return opened(std::make_unique<SimLink>(host_, open_));
    refused({store::StoreError::Kind::kTransient, "connect", "made up", trouble == 1 ? "53300" : "08006"});
  });
}

void SimConnector::post(std::function<void()> work) {
  host_.later(Duration(0), std::move(work));
}

void SimConnector::wake_at(Steady time, std::function<void()> work) {
  const Duration delay = std::chrono::ceil<Duration>(std::max(time - now(), Steady::duration(0)));
  host_.later(delay, [this, wake = ++wake_, work = std::move(work)] {
    if (wake == wake_) work();
  });
}

}  // namespace durabled::sim

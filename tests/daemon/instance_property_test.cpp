// Random sequences of what may happen to an instance. The tables of its slot and steps are asserted by the instance
// itself, the promises about its history by the simulator's store; each wrong move ends the program.
#include <map>
#include <random>
#include <set>

#include "tests/daemon/instance_driver.hpp"
#include "tests/sim/fake_store.hpp"
#include "tests/support/catch.hpp"

namespace durabled::test {
namespace {

using Commit = store::CommitOutcome::Kind;

const char* const kWorkflows[] = {
    "'a' ~> 'b' ~> 'c'",
    "df.join('a' ~> 'b', 'c', df.sleep(0.05) ~> 'd') ~> 'e'",
    "df.race('a' ~> 'b', df.sleep(0.2) ~> 'c') ~> df.any('d', 'e')",
    "df.loop(df.catch('a', 'b') ~> 'c', 'until')",
    "df.wait_for_signal('go', 3) ~> df.retry('a', 5, 0.1) ~> df.http('http://x')",
};

class RandomLife {
 public:
  RandomLife(unsigned seed, const char* workflow) : random_(seed) {
    shared_.options.served_database = "here";
    shared_.options.seed = seed;
    shared_.can_chain = below(2) == 0;
    store_.now = std::chrono::sys_days(std::chrono::year(2026) / 3 / 1);
    store_.enter(1);
    store_.submit("i", workflow);
  }

  void live() {
    for (int i = 0; i < 400 && !store_.rows().at("i").ended(); ++i) {
      store_.now += std::chrono::milliseconds(below(60));
      if (instance_) {
        happen();
        carry_out();
      } else {
        claim();
      }
    }
  }

 private:
  enum class Doing { kRunning, kCommitting, kBehind, kCalling };

  std::size_t below(std::size_t limit) { return random_() % limit; }

  void claim() {
    store::PollRequest request;
    request.limit = 1;
    for (store::ClaimedInstance& row : store_.poll(1, request).claimed) {
      instance_ = std::make_unique<daemon::Instance>(shared_);
      instance_->claimed(std::move(row), store_.now);
      carry_out();
    }
    if (!instance_ && below(4) == 0) store_.request("i", "resume");
    if (!instance_ && below(4) == 0) store_.signal("i", "go", "1");
  }

  void happen() {
    const std::size_t what = below(20);
    if (what == 0) return instance_->broke("made up", store_.now);
    if (what == 1) store_.request("i", below(2) == 0 ? "pause" : "resume");
    if (what == 2) store_.signal("i", "go", "1");
    if (what <= 3) return notice();
    if (what <= 5) return instance_->due(store_.now, [this](daemon::StepId) { return below(3) == 0; });
    if (reclaiming_ && below(3) == 0) {
      reclaiming_ = false;
      return instance_->reclaimed(store_.reclaim(1, "i"), store_.now);
    }
    if (turn_ && below(2) == 0) return answer_turn();
    if (!steps_.empty()) answer_step();
  }

  void notice() {
    store::PollRequest request;
    for (const store::Attention& attention : store_.poll(1, request).attention)
      instance_->attention(attention, store_.now);
  }

  void answer_turn() {
    const store::Turn turn = *std::exchange(turn_, std::nullopt);
    if (below(5) == 0)
      return instance_->turn_done(turn, store::TurnProblem{"i", store::TurnProblem::Kind::kBusy, ""},
                                  store_.now);
    instance_->turn_done(turn, store_.commit(1, turn), store_.now);
  }

  void answer_step() {
    auto chosen = steps_.begin();
    std::advance(chosen, static_cast<std::ptrdiff_t>(below(steps_.size())));
    const auto [id, doing] = *chosen;
    switch (doing) {
      case Doing::kBehind:
        return;
      case Doing::kCalling: {
        steps_.erase(id);
        daemon::HttpResult result;
        result.result = R"({"status":200,"body":"x","ok":true})";
        return instance_->http_done(id, std::move(result), store_.now);
      }
      case Doing::kRunning: {
        steps_.erase(id);
        return instance_->executed(id, below(5) == 0 ? step_failure("40001", true) : step_result(),
                                   store_.now);
      }
      case Doing::kCommitting:
        steps_.erase(id);
        return answer_commit(id);
    }
  }

  void answer_commit(daemon::StepId id) {
    const store::StepCommit commit = commits_.at(id);
    const std::size_t fate = below(10);
    store::CommitOutcome outcome{Commit::kCommitted, {}};
    if (fate == 0) outcome = {Commit::kRefused, step_failure("40001", true).failure};
    if (fate > 1 || below(2) == 0) {  // 1: in doubt, and it has landed or not
      if (fate != 0 && !store_.commit_step(1, commit, std::to_string(id))) outcome.kind = Commit::kLeaseLost;
    }
    if (fate == 1) outcome.kind = Commit::kInDoubt;
    if (const auto next = behind_.find(id); next != behind_.end()) {
      if (outcome.kind == Commit::kCommitted) {
        steps_[next->second] = Doing::kRunning;
      } else {
        steps_.erase(next->second);
      }
    }
    instance_->committed(id, std::move(outcome), store_.now);
  }

  void carry_out() {
    while (auto effect = instance_->effects().next()) {
      std::visit([this](auto& asked) { take(asked); }, *effect);
      if (gone_) break;
    }
    if (std::exchange(gone_, false)) {
      instance_.reset();
      turn_.reset();
      reclaiming_ = false;
      REQUIRE(steps_.empty());  // nobody is left to be told of one
    }
  }

  void take(const daemon::StartSql& asked) { steps_[asked.step] = Doing::kRunning; }
  void take(const daemon::SubstituteSql&) { FAIL("no statement is long"); }
  void take(const daemon::StartHttp& asked) { steps_[asked.step] = Doing::kCalling; }
  void take(const daemon::CommitStep& asked) {
    steps_[asked.step] = Doing::kCommitting;
    commits_[asked.step] = asked.commit;
    if (!asked.next) return;
    steps_[asked.next->step] = Doing::kBehind;
    behind_[asked.step] = asked.next->step;
  }
  void take(const daemon::CommitForeign&) { FAIL("no step is foreign"); }
  void take(const daemon::FinishStep& asked) { steps_.erase(asked.step); }
  void take(const daemon::StopStep&) {}
  void take(const daemon::StopHttp& asked) { steps_.erase(asked.step); }
  void take(const daemon::AbandonStep& asked) { steps_.erase(asked.step); }
  void take(const daemon::SendTurn& asked) { turn_ = asked.turn; }
  void take(const daemon::Reclaim&) { reclaiming_ = true; }
  void take(const daemon::FetchSignal& asked) {
    instance_->signal_fetched(asked.signal, store_.signal_data(asked.signal), store_.now);
  }
  void take(const daemon::PollAt&) {}
  void take(const daemon::WriteLog&) {}
  void take(const daemon::Gone&) { gone_ = true; }

  std::mt19937 random_;
  daemon::Surroundings shared_;
  sim::FakeStore store_;
  std::unique_ptr<daemon::Instance> instance_;
  std::map<daemon::StepId, Doing> steps_;
  std::map<daemon::StepId, store::StepCommit> commits_;
  std::map<daemon::StepId, daemon::StepId> behind_;
  std::optional<store::Turn> turn_;
  bool reclaiming_ = false, gone_ = false;
};

}  // namespace

TEST_CASE("whatever happens to an instance, it makes only moves that its tables have") {
  for (unsigned seed = 1; seed <= 200; ++seed) {
    for (const char* workflow : kWorkflows) {
      INFO("seed " << seed << ", " << workflow);
      std::string violation;
      try {
        RandomLife(seed, workflow).live();
      } catch (const sim::Violation& e) {
        violation = e.what();
      }
      REQUIRE(violation == "");
    }
  }
}

}  // namespace durabled::test

// When a daemon polls, which batches its turns make, and what it does after an error.
#include "daemon/poll_schedule.hpp"

#include <string>
#include <vector>

#include "daemon/retry_policy.hpp"
#include "daemon/turn_batches.hpp"
#include "tests/support/catch.hpp"

namespace durabled::test {
namespace {

using daemon::Moment;
using daemon::Next;
using daemon::PollSchedule;
using daemon::TurnBatches;
using std::chrono::milliseconds;
using std::chrono::seconds;

// The database's clock is an hour ahead.
Moment at(milliseconds time) {
  return {PollSchedule::Time(seconds(1'000) + time), dsl::Time(seconds(4'600) + time)};
}

store::PollResult found(bool something, std::optional<milliseconds> next_wake = std::nullopt) {
  store::PollResult result;
  if (something) result.attention.emplace_back();
  if (next_wake) result.next_wake = at(*next_wake).database;
  return result;
}

milliseconds next(const PollSchedule& polls, milliseconds now) {
  return std::chrono::duration_cast<milliseconds>(*polls.next(at(now)) - at(milliseconds(0)).steady);
}

std::string ids(const std::vector<store::Turn>& turns) {
  std::string text;
  for (const store::Turn& turn : turns) text += turn.instance_id;
  return text;
}

TurnBatches batches(const std::string& ids, std::size_t limit = 100) {
  TurnBatches turns(limit);
  for (const char id : ids) turns.add({std::string(1, id), "", 1});
  return turns;
}

}  // namespace

TEST_CASE("a doorbell that rings without a pause is not listened to for a while") {
  PollSchedule polls({seconds(1), seconds(5), true});
  milliseconds now(0);
  const auto poll = [&](milliseconds later) {
    now += later;
    polls.sent();
    polls.answered(found(false), at(now));
  };
  for (int i = 0; i < 20; ++i) {  // one client after another
    polls.ring();
    poll(milliseconds(12));
    CHECK(polls.listens());
  }
  int rings = 0;
  for (; polls.listens() && rings < 100; ++rings) {
    polls.ring();
    poll(milliseconds(2));
  }
  CHECK(rings < 20);
  polls.ring();  // of who submitted before that was known
  int deaf = 0;
  for (; !polls.listens(); ++deaf) {
    CHECK(next(polls, now) - now == milliseconds(20));
    poll(next(polls, now) - now);
  }
  CHECK(deaf > 5);
  // It looks twice more, for those who did not see yet that it listens again.
  for (int i = 0; i < 2; ++i) {
    CHECK(next(polls, now) - now == milliseconds(20));
    poll(milliseconds(20));
    CHECK(polls.listens());
  }
  polls.ring();
  CHECK(polls.is_due(at(now)));
}

TEST_CASE("with the doorbell an idle daemon polls seldom, and otherwise each second") {
  const bool doorbell = GENERATE(true, false);
  PollSchedule polls({seconds(1), seconds(5), doorbell});
  CHECK(polls.is_due(at(milliseconds(0))));
  milliseconds now(0);
  const auto poll = [&](bool something) {
    now = next(polls, now);
    polls.sent();
    CHECK_FALSE(polls.is_due(at(now + seconds(100))));
    polls.answered(found(something), at(now));
    return next(polls, now) - now;
  };
  CHECK(poll(true) == seconds(1));
  CHECK(poll(false) == seconds(1));
  CHECK(poll(false) == seconds(doorbell ? 5 : 1));
  CHECK(poll(false) == seconds(doorbell ? 5 : 1));
  CHECK(poll(true) == seconds(1));
}

TEST_CASE("the doorbell asks for a poll at once, also while one is under way that may have missed it") {
  PollSchedule polls({seconds(1), seconds(5), true});
  polls.sent();
  polls.ring();
  polls.answered(found(false), at(milliseconds(10)));
  CHECK(next(polls, milliseconds(10)) == milliseconds(10));
  polls.sent();
  polls.answered(found(false), at(milliseconds(20)));
  CHECK(next(polls, milliseconds(20)) > milliseconds(20));
}

TEST_CASE("what sleeps is polled for when it becomes due by the database's clock") {
  PollSchedule polls({seconds(1), seconds(5), true});
  polls.sent();
  SECTION("as the poll's answer says") {
    polls.answered(found(true, milliseconds(300)), at(milliseconds(0)));
    CHECK(next(polls, milliseconds(0)) == milliseconds(300));
    SECTION("but not later than the interval") {
      polls.sent();
      polls.answered(found(true, seconds(60)), at(milliseconds(0)));
      CHECK(next(polls, milliseconds(0)) == seconds(1));
    }
  }
  SECTION("as the coordinator says, be it while a poll is under way") {
    polls.wake(at(milliseconds(200)).database);
    polls.wake(at(milliseconds(400)).database);
    polls.answered(found(true, milliseconds(300)), at(milliseconds(0)));
    CHECK(next(polls, milliseconds(0)) == milliseconds(200));
  }
  SECTION("and not in a busy loop where the daemon's clock is ahead") {
    polls.answered(found(false, milliseconds(1)), at(milliseconds(2)));
    CHECK(next(polls, milliseconds(2)) == milliseconds(7));
  }
}

TEST_CASE("turns that come while a batch is under way make up the next one") {
  TurnBatches turns = batches("ca");
  CHECK(ids(turns.take()) == "ac");
  turns.add({"d", "", 1});
  turns.add({"b", "", 1});
  CHECK_FALSE(turns.is_ready());
  turns.done();
  CHECK(ids(turns.take()) == "bd");
  turns.done();
  CHECK_FALSE(turns.is_ready());
}

TEST_CASE("a batch has one turn of an instance, so that its answer is clear") {
  TurnBatches turns = batches("aba");
  turns.add({"b", "newest", 2});
  const std::vector<store::Turn> batch = turns.take();
  CHECK(ids(batch) == "ab");
  CHECK(batch.back().token == 2);
}

TEST_CASE("a batch has a limit") {
  TurnBatches turns = batches("edcba", 2);
  std::string all;
  while (turns.is_ready()) {
    all += ids(turns.take()) + ' ';
    turns.done();
  }
  CHECK(all == "de bc a ");
}

TEST_CASE("small turns do not wait behind large ones, which share a budget of bytes") {
  TurnBatches turns(100);
  const std::string large(TurnBatches::kLargeBytes / 2, 'x');
  for (const char* id : {"l1", "l2", "l3"}) turns.add({id, large, 1});
  turns.add({"small", "{}", 1});
  const auto ids = [&] {
    std::string text;
    for (const store::Turn& turn : turns.take()) text += turn.instance_id + ' ';
    turns.done();
    return text;
  };
  CHECK(ids() == "l1 l2 small ");
  turns.add({"next", "{}", 1});
  CHECK(ids() == "l3 next ");
  CHECK_FALSE(turns.is_ready());
}

TEST_CASE("a turn that the database refuses is found by halving its batch, and the others are committed") {
  const std::string bad = GENERATE("a", "d", "h", "ab", "ah", "abcdefgh");
  TurnBatches turns = batches("abcdefgh");
  std::string refused, committed;
  for (int tries = 0; turns.is_ready(); ++tries) {
    REQUIRE(tries < 16);
    const std::vector<store::Turn> batch = turns.take();
    const std::string text = ids(batch);
    const bool is_bad = text.find_first_of(bad) != std::string::npos;
    if (is_bad && batch.size() > 1) {
      turns.refused(batch);
      continue;
    }
    (is_bad ? refused : committed) += text;
    turns.done();
  }
  CHECK(refused == bad);
  CHECK(refused.size() + committed.size() == 8);
}

TEST_CASE("an error's kind decides what the daemon does next") {
  using Kind = store::StoreError::Kind;
  struct Case {
    Kind kind;
    std::string sqlstate;
    Next next;
  };
  for (const Case& one : std::vector<Case>{{Kind::kTransient, "40P01", Next::kRepeat},
                                           {Kind::kTransient, "40001", Next::kRepeat},
                                           {Kind::kTransient, "55P03", Next::kRepeat},
                                           {Kind::kTransient, "08006", Next::kLook},
                                           {Kind::kTransient, "57P01", Next::kLook},
                                           {Kind::kTransient, "", Next::kLook},
                                           {Kind::kInDoubt, "40003", Next::kLook},
                                           {Kind::kPermanent, "42501", Next::kGiveUp},
                                           {Kind::kPermanent, "22P05", Next::kGiveUp}}) {
    INFO(one.sqlstate);
    CHECK(daemon::after(store::StoreError(one.kind, "x", "y", one.sqlstate)) == one.next);
  }
}

}  // namespace durabled::test

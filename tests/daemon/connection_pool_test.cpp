// Which step gets which connection, without any connection.
#include "daemon/connection_pool.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include "tests/support/catch.hpp"

namespace durabled::test {
namespace {

using daemon::ConnectionId;
using daemon::ConnectionLimits;
using daemon::ConnectionPool;
using daemon::StepId;
using std::chrono::milliseconds;
using std::chrono::seconds;

store::StepTarget target(store::RoleId role, const std::string& database = "app") {
  return {"role" + std::to_string(role), database, role};
}

// Remembers what the pool asks for, and plays the server.
struct Server : ConnectionPool::Host {
  explicit Server(ConnectionLimits limits) : pool(*this, limits) {}

  void open(const store::StepTarget& to) override { opening.push_back(to); }
  void serve(ConnectionId connection, StepId step) override { served.emplace_back(connection, step); }
  void close(ConnectionId connection) override { closed.push_back(connection); }

  // All connections that are being opened are there.
  void accept() {
    while (!opening.empty()) {
      const store::StepTarget to = opening.front();
      opening.erase(opening.begin());
      pool.opened(++last, to, now);
    }
  }
  std::optional<milliseconds> refuse(bool server_full = false) {
    const store::StepTarget to = opening.front();
    opening.erase(opening.begin());
    return pool.refused(to, server_full, now);
  }
  // The step that was served first ends.
  StepId end_first() {
    const auto [connection, step] = served.front();
    served.erase(served.begin());
    pool.released(connection, now);
    return step;
  }
  std::vector<StepId> steps() const {
    std::vector<StepId> all;
    for (const auto& [connection, step] : served) all.push_back(step);
    return all;
  }

  ConnectionPool pool;
  std::vector<store::StepTarget> opening;
  std::vector<std::pair<ConnectionId, StepId>> served;
  std::vector<ConnectionId> closed;
  ConnectionId last = 0;
  ConnectionPool::Time now{seconds(1'000)};
};

std::string roles_of(const std::vector<store::StepTarget>& targets) {
  std::string text;
  for (const store::StepTarget& one : targets) text += std::to_string(one.role_id);
  return text;
}

}  // namespace

TEST_CASE("a step gets a connection that is idle before another is opened") {
  Server server({4, 4, 0});
  server.pool.enqueue(1, target(1), server.now);
  server.accept();
  CHECK(server.steps() == std::vector<StepId>{1});
  server.end_first();
  server.pool.enqueue(2, target(1), server.now);
  CHECK(server.opening.empty());
  CHECK(server.steps() == std::vector<StepId>{2});
}

TEST_CASE("a role has at most its own limit of connections, in all databases together") {
  Server server({8, 2, 0});
  for (StepId step = 1; step <= 4; ++step) server.pool.enqueue(step, target(1), server.now);
  server.pool.enqueue(5, target(1, "other"), server.now);
  CHECK(roles_of(server.opening) == "11");
  server.accept();
  CHECK(server.steps() == std::vector<StepId>{1, 2});
  CHECK(server.pool.waiting_by_role().at(1) == 3);
  server.end_first();
  CHECK(server.steps() == std::vector<StepId>{2, 3});
  SECTION("an idle one in one database gives way to a step in the other") {
    server.end_first();
    server.end_first();  // step 4's turn
    CHECK(server.steps() == std::vector<StepId>{4});
    CHECK(server.closed.size() == 1);
    server.accept();
    CHECK(server.steps() == std::vector<StepId>{4, 5});
  }
}

TEST_CASE("no role waits behind another's steps") {
  Server server({4, 3, 2});
  for (StepId step = 1; step <= 100; ++step) server.pool.enqueue(step, target(1), server.now);
  CHECK(roles_of(server.opening) == "111");
  server.pool.enqueue(200, target(2), server.now);
  CHECK(roles_of(server.opening) == "1112");
  SECTION("beyond the limit one that has no connection gets one of the reserve") {
    server.pool.enqueue(300, target(3), server.now);
    server.pool.enqueue(400, target(4), server.now);
    CHECK(roles_of(server.opening) == "111234");
    server.pool.enqueue(500, target(5), server.now);
    CHECK(roles_of(server.opening) == "111234");
    SECTION("then one that has two more gives a connection up before it is used") {
      server.accept();
      CHECK(server.steps() == std::vector<StepId>{1, 2, 200, 300, 400, 500});
      SECTION("and the reserve's are closed as soon as nobody waits for them") {
        server.served.erase(server.served.begin(), server.served.begin() + 2);
        CHECK(server.pool.open() == 6);
        server.end_first();
        server.end_first();
        CHECK(server.pool.open() == 4);
        server.end_first();
        CHECK(server.pool.open() == 4);
      }
    }
  }
  SECTION("and a role with two more than one that waits gives a connection up") {
    server.accept();
    server.pool.enqueue(201, target(2), server.now);
    CHECK(server.opening.empty());
    server.end_first();
    CHECK(server.closed.size() == 1);
    CHECK(roles_of(server.opening) == "2");
  }
}

TEST_CASE("a target whose login fails is tried again after growing pauses, by one attempt at a time") {
  Server server({8, 8, 0, seconds(60), seconds(2)});
  for (StepId step = 1; step <= 3; ++step) server.pool.enqueue(step, target(1), server.now);
  CHECK(roles_of(server.opening) == "111");
  CHECK(server.refuse() == milliseconds(400));
  CHECK(server.refuse() == std::nullopt);  // of the same attempt
  CHECK(server.refuse() == std::nullopt);
  CHECK(server.pool.tick(server.now) == server.now + milliseconds(400));
  for (const milliseconds pause : {milliseconds(800), milliseconds(1'600), milliseconds(2'000)}) {
    server.now = *server.pool.tick(server.now);
    server.pool.tick(server.now);
    CHECK(roles_of(server.opening) == "1");
    CHECK(server.refuse() == pause);
    CHECK(server.opening.empty());
  }
  SECTION("a change of the configuration ends the pause") {
    server.pool.reconfigure(seconds(60), seconds(2), server.now);
    CHECK(roles_of(server.opening) == "1");
  }
  SECTION("only a step that runs shows that it works") {
    server.now += seconds(2);
    server.pool.tick(server.now);
    server.accept();
    CHECK(server.steps() == std::vector<StepId>{1, 2, 3});
    CHECK(server.pool.works(server.last));
    CHECK_FALSE(server.pool.works(server.last));
  }
}

TEST_CASE("while another connection serves a target, a refused login is no news") {
  Server server({8, 8, 0});
  server.pool.enqueue(1, target(1), server.now);
  server.accept();
  server.pool.enqueue(2, target(1), server.now);
  CHECK(server.refuse() == std::nullopt);
}

TEST_CASE("a full server gets an idle connection back") {
  Server server({8, 8, 0});
  server.pool.enqueue(1, target(1), server.now);
  server.accept();
  server.end_first();
  server.pool.enqueue(2, target(2), server.now);
  CHECK(server.refuse(true) == milliseconds(400));
  CHECK(server.closed == std::vector<ConnectionId>{1});
}

TEST_CASE("a step whose session was dead before it took anything is the next one again") {
  Server server({1, 1, 0});
  for (StepId step = 1; step <= 3; ++step) server.pool.enqueue(step, target(1), server.now);
  server.accept();
  server.served.clear();
  SECTION("a session that had worked is replaced at once") {
    CHECK(server.pool.put_back(server.last, 1, true, server.now) == std::nullopt);
    server.accept();
  }
  SECTION("one that had not counts as a refused login") {
    CHECK(server.pool.put_back(server.last, 1, false, server.now) == milliseconds(400));
    CHECK(server.opening.empty());
    server.now += milliseconds(400);
    server.pool.tick(server.now);
    server.accept();
  }
  CHECK(server.steps() == std::vector<StepId>{1});
}

TEST_CASE("a connection that was idle for too long is closed, and its target is forgotten") {
  Server server({8, 8, 0, seconds(60)});
  server.pool.enqueue(1, target(1), server.now);
  server.accept();
  server.end_first();
  server.now += seconds(60);
  server.pool.tick(server.now);
  CHECK(server.closed.empty());
  server.now += milliseconds(1);
  server.pool.tick(server.now);
  CHECK(server.closed == std::vector<ConnectionId>{1});
  CHECK(server.pool.open() == 0);
  CHECK_FALSE(server.pool.knows(target(1)));
}

TEST_CASE("a step that is withdrawn is not served") {
  Server server({1, 1, 0});
  for (StepId step = 1; step <= 3; ++step) server.pool.enqueue(step, target(1), server.now);
  server.pool.withdraw(1, target(1));
  server.accept();
  CHECK(server.steps() == std::vector<StepId>{2});
  CHECK(server.pool.withdraw_all(target(1), server.now) == std::vector<StepId>{3});
  CHECK(server.pool.waiting_by_role().empty());
  CHECK_FALSE(server.pool.is_wanted(server.last));
}

TEST_CASE("with any number of roles that take all they can, one more is served as soon as a step ends") {
  const int hostile = GENERATE(1, 2, 3, 8, 20);
  Server server({4, 3, 2});
  StepId step = 0;
  for (int i = 0; i < 50; ++i) {
    for (int role = 1; role <= hostile; ++role)
      server.pool.enqueue(++step, target(static_cast<store::RoleId>(role)), server.now);
  }
  server.accept();
  server.pool.enqueue(++step, target(99), server.now);
  const StepId ours = step;
  int ended = 0;
  for (; ended <= 2 * hostile; ++ended) {
    server.accept();
    const std::vector<StepId> running = server.steps();
    if (std::find(running.begin(), running.end(), ours) != running.end()) break;
    server.now += milliseconds(250);
    server.end_first();
    CHECK(server.pool.open() <= 6);
  }
  CHECK(ended <= hostile);
}

}  // namespace durabled::test

// How long a session lasts, and how many there are.
#include "daemon/web/sessions.hpp"
#include "tests/support/catch.hpp"

namespace durabled::test {
namespace {

using namespace std::chrono_literals;
using daemon::web::Clock;
using daemon::web::Session;
using daemon::web::Sessions;

struct Visits {
  boost::asio::io_context io;
  boost::asio::thread_pool threads{1};
  Sessions sessions;
  Clock::time_point now = Clock::now();

  std::string come() {
    auto session = std::make_shared<Session>();
    session->database = std::make_shared<daemon::web::Database>(io, threads, 1, [] { return nullptr; });
    session->created = session->used = now;
    return sessions.add(std::move(session));
  }
  bool may_come_in(const std::string& key, Clock::duration later) {
    return sessions.find(key, now + later) != nullptr;
  }
};

}  // namespace

TEST_CASE("a session ends after 30 minutes without a request") {
  Visits visits;
  const std::string key = visits.come();
  CHECK(visits.may_come_in(key, 30min));
  CHECK_FALSE(visits.may_come_in(key, 30min + 1s));
  CHECK_FALSE(visits.may_come_in(key, 0s));  // for good
}

TEST_CASE("a session that shows a live page ends after 8 hours") {
  Visits visits;
  const std::string key = visits.come();
  const auto session = visits.sessions.find(key, visits.now);
  session->streams = 1;
  CHECK(visits.may_come_in(key, 8h));
  CHECK_FALSE(visits.may_come_in(key, 8h + 1s));
  CHECK(session->has_ended);  // its streams close
}

TEST_CASE("a role has at most 10 sessions of its own, so that others can sign in") {
  Visits visits;
  for (int i = 0; i < Sessions::kMostOfRole; ++i) {
    CHECK_FALSE(visits.sessions.is_full("mallory", visits.now));
    visits.sessions.find(visits.come(), visits.now)->role = "mallory";
  }
  CHECK(visits.sessions.is_full("mallory", visits.now));
  CHECK_FALSE(visits.sessions.is_full("alice", visits.now));
  CHECK_FALSE(visits.sessions.is_full(visits.now));
}

TEST_CASE("guesses that are made side by side count before they are answered") {
  daemon::web::LoginDelays delays;
  const auto now = Clock::now();
  for (int i = 0; i < 5; ++i) {
    CHECK(delays.wait_for("alice", "here", now) == 0);
    delays.failed("alice", "here", now);
  }
  CHECK(delays.wait_for("alice", "here", now) > 0);
  delays.take_back("alice", "here");  // one of them was not a failure
  CHECK(delays.wait_for("alice", "here", now) == 0);
}

TEST_CASE("there are at most 100 sessions, and those that are over make room") {
  Visits visits;
  for (std::size_t i = 0; i < Sessions::kMost; ++i) {
    CHECK_FALSE(visits.sessions.is_full(visits.now));
    visits.come();
  }
  CHECK(visits.sessions.is_full(visits.now));
  CHECK_FALSE(visits.sessions.is_full(visits.now + 31min));
}

}  // namespace durabled::test

// Who is signed in: tokens, cookies, and what failed logins cost.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "daemon/web/database.hpp"

namespace durabled::daemon::web {

using Clock = std::chrono::steady_clock;

struct Session {
  std::string role;     // that the database knows
  std::string acts_as;  // for SET LOCAL ROLE; empty: the role is logged in itself
  store::WebFacts facts;
  std::shared_ptr<Database> database;
  Clock::time_point created, used, checked;
  int streams = 0;
  bool has_ended = false;
};

// As the session's role.
inline boost::asio::awaitable<void> run(const Session& session, const Database::Work& work) {
  const bool sees_own_only = session.facts.is_bound && !session.facts.is_operator;
  return session.database->run(session.acts_as, sees_own_only, work);
}

// 256 random bits as 64 hexadecimal digits.
std::string random_key();

// Without telling by its time where they differ.
bool same_key(std::string_view a, std::string_view b);

// Sessions by the value of their cookie. An idle one ends after 30 minutes, any after 8 hours.
class Sessions {
 public:
  static constexpr std::size_t kMost = 100;

  bool is_full(Clock::time_point now);
  static constexpr int kMostOfRole = 10;
  // Those of a role that has logged in itself.
  bool is_full(const std::string& role, Clock::time_point now);
  // Returns the key.
  std::string add(std::shared_ptr<Session> session);
  // nullptr: it does not exist or has ended.
  std::shared_ptr<Session> find(const std::string& key, Clock::time_point now);
  void end(const std::string& key);

 private:
  void sweep(Clock::time_point now);
  std::map<std::string, std::shared_ptr<Session>> sessions_;
};

bool is_over(const Session& session, Clock::time_point now);

// After five failures of a role from an address, or twenty of an address, the next try has to wait, longer each time.
class LoginDelays {
 public:
  // Seconds to wait; 0: may try.
  int wait_for(const std::string& role, const std::string& address, Clock::time_point now);
  void failed(const std::string& role, const std::string& address, Clock::time_point now);
  void succeeded(const std::string& role, const std::string& address);
  // What failed() counted was no failure after all.
  void take_back(const std::string& role, const std::string& address);

 private:
  struct Failures {
    int count = 0;
    Clock::time_point last;
  };
  int wait_of(const std::string& key, int free, Clock::time_point now);
  void count(const std::string& key, Clock::time_point now);
  std::map<std::string, Failures> failures_;
};

}  // namespace durabled::daemon::web

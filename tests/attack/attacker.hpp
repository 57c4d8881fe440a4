// A hostile but ordinary role, mallory, beside a victim, in a database that a daemon serves. After each
// attempt nothing of the victim's may have changed or be shown.
#pragma once

#include <optional>
#include <string>

#include "tests/support/await.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/daemon_process.hpp"
#include "tests/support/postgres_server.hpp"
#include "tests/support/sql.hpp"

namespace durabled::test {

class Attack {
 public:
  Attack();

  std::string conninfo(const std::string& role) const { return database_.conninfo(role); }
  const TestDatabase& database() const { return database_; }
  Sql& mallory() { return mallory_; }
  Sql& owner() { return owner_; }
  Sql& victim() { return victim_; }
  const std::string& victims_instance() const { return victims_instance_; }
  const std::string& own_instance() const { return own_instance_; }
  DaemonProcess& daemon() { return *daemon_; }

  // Runs a statement as mallory; VICTIM and OWN in it stand for ids of instances, KEY for a key that is not
  // known.
  void attempt(const std::string& statement);
  // As attempt(), and the statement must fail.
  void attempt_in_vain(const std::string& statement);
  // The same as a step of a workflow of mallory's; returns the instance's id once it has ended.
  std::string attempt_as_step(const std::string& statement);

  // Whether the key that some instance was or is claimed with is in this text.
  bool tells_a_key(const std::string& text);

  // A workflow of somebody who has nothing to do with it all gets through.
  void others_go_on();

 private:
  std::string filled(std::string statement) const;
  std::string fingerprint();
  void require_nothing_happened(const std::string& output);

  TestDatabase database_ = fresh_database();
  Sql owner_{database_.conninfo()};
  std::optional<DaemonProcess> daemon_;
  Sql mallory_;
  Sql victim_;
  std::string victims_instance_, own_instance_, before_;
};

}  // namespace durabled::test

// A database with the schema, in which durabled_owner is client as well, and a daemon that serves it.
#pragma once

#include <string>

#include "tests/support/await.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/daemon_process.hpp"
#include "tests/support/postgres_server.hpp"
#include "tests/support/sql.hpp"

namespace durabled::test {

struct Served {
  TestDatabase database = fresh_database();
  DaemonProcess daemon{
      DaemonProcess::Options{.database = database.conninfo(),
                             .settings = {{"worker.poll_interval", "200ms"}, {"loop.min_interval", "10ms"}}}};
  Sql sql{database.conninfo()};

  Served() { daemon.wait_until_ready(); }

  std::string start(const std::string& expression) { return sql.text("select df.start(" + expression + ")"); }
  std::string end_of(const std::string& id) { return sql.text("select df.await_instance($1, 20)", id); }
  std::string finished(const std::string& expression) {
    std::string id = start(expression);
    INFO(sql.text("select df.explain($1)", id));
    CHECK(end_of(id) != "running");
    return id;
  }
  std::string explain(const std::string& id) { return sql.text("select df.explain($1)", id); }
  void wait_for_node(const std::string& id, const std::string& status) {
    wait_until("a node of " + id + " is " + status, [&] {
      return sql.number(
                 "select count(*) from df.instance_nodes($1) where status = $2 and node_type <> 'THEN'", id,
                 status) > 0;
    });
  }
  void wait_for_waits(const std::string& id, int count) {
    wait_until(id + " waits for " + std::to_string(count),
               [&] { return sql.number("select count(*) from df.waiting($1)", id) == count; });
  }
};

}  // namespace durabled::test

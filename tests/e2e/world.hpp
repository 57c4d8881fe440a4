// A database with the schema, a role that may use it, and daemons that serve it: what every test with the
// whole system begins with.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/await.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/daemon_process.hpp"
#include "tests/support/postgres_server.hpp"
#include "tests/support/sql.hpp"

namespace durabled::test {

using Settings = std::map<std::string, std::string>;

// Not thread-safe. Roles are the server's, so they survive the world; everything else ends with it.
class World {
 public:
  explicit World(PostgresServer& server = shared_server())
      : server_(server), database_(server.fresh_database()), owner_(database_.conninfo()) {
    add_role("alice");
  }

  // With everything that a submitter needs, and the right to create tables in public.
  void add_role(const std::string& name, const std::string& attributes = "") {
    server_.create_role(name, attributes);
    owner_.exec("select df.grant_usage('" + name + "', true)");
    owner_.exec("grant usage, create on schema public to " + name);
  }

  // A daemon that is ready. Timings are short, so that tests are; `settings` win over them.
  DaemonProcess& start_daemon(Settings settings = {}) {
    DaemonProcess& daemon = launch_daemon(std::move(settings));
    daemon.wait_until_ready();
    return daemon;
  }

  // The same, not waited for.
  DaemonProcess& launch_daemon(Settings settings = {}) {
    settings.insert({{"retry.delay", "20ms"}, {"retry.max_delay", "200ms"}, {"loop.min_interval", "10ms"}});
    daemons_.push_back(std::make_unique<DaemonProcess>(
        DaemonProcess::Options{.database = database_.conninfo(), .settings = std::move(settings)}));
    return *daemons_.back();
  }

  Sql session(const std::string& role = "alice") const { return Sql(database_.conninfo(role)); }
  Sql& owner() { return owner_; }
  void reconnect() { owner_ = Sql(database_.conninfo()); }
  const TestDatabase& database() const { return database_; }
  PostgresServer& server() const { return server_; }
  DaemonProcess& daemon(std::size_t number = 0) { return *daemons_.at(number); }

 private:
  PostgresServer& server_;
  TestDatabase database_;
  Sql owner_;
  std::vector<std::unique_ptr<DaemonProcess>> daemons_;
};

inline std::string submit(Sql& sql, const std::string& dsl, const std::string& label = "") {
  return sql.text("insert into df.submit (dsl, label) values ($1, nullif($2, '')) returning id", dsl, label);
}

inline std::string status_of(Sql& sql, const std::string& id) {
  return sql.text("select status from df.instances where id = $1", id);
}

inline std::string error_of(Sql& sql, const std::string& id) {
  return sql.value("select error::text from df.instances where id = $1", id).value_or("");
}

inline std::string result_of(Sql& sql, const std::string& id) {
  return sql.value("select df.result($1)::text", id).value_or("");
}

// Its status once it has ended, or at the end of `timeout`. Looks again and again, each time in a transaction
// of its own: df.await_instance would hold one open, for which statements such as CREATE INDEX CONCURRENTLY
// wait.
inline std::string end_of(Sql& sql, const std::string& id,
                          std::chrono::milliseconds timeout = std::chrono::seconds{20}) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  while (true) {
    const bool last = std::chrono::steady_clock::now() >= deadline;
    std::string status = status_of(sql, id);
    if (last || status == "completed" || status == "failed" || status == "cancelled") return status;
    std::this_thread::sleep_for(std::chrono::milliseconds{5});
  }
}

// Requires that it completes; returns the result.
inline std::string completes(Sql& sql, const std::string& id,
                             std::chrono::milliseconds timeout = std::chrono::seconds{20}) {
  const std::string status = end_of(sql, id, timeout);
  INFO(id << ": " << error_of(sql, id));
  REQUIRE(status == "completed");
  return result_of(sql, id);
}

// Requires that it fails; returns the error.
inline std::string fails(Sql& sql, const std::string& id,
                         std::chrono::milliseconds timeout = std::chrono::seconds{20}) {
  REQUIRE(end_of(sql, id, timeout) == "failed");
  return error_of(sql, id);
}

inline std::string run_workflow(Sql& sql, const std::string& dsl) {
  return completes(sql, submit(sql, dsl));
}

inline std::string run_failing(Sql& sql, const std::string& dsl) {
  return fails(sql, submit(sql, dsl));
}

inline void await_status(Sql& sql, const std::string& id, const std::string& status) {
  wait_until("instance " + id + " is " + status, [&] { return status_of(sql, id) == status; });
}

// Until it is put down: it runs, and no daemon holds it.
inline void await_put_down(Sql& sql, const std::string& id) {
  wait_until("instance " + id + " is put down", [&] {
    return sql.text("select status = 'running' and worker_id is null from df.instances where id = $1", id) ==
           "t";
  });
}

}  // namespace durabled::test

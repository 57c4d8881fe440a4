// What the page reads of a big table: counted by the server itself, row by row.
#include <iostream>

#include "tests/e2e/world.hpp"
#include "tests/web/ui.hpp"

using namespace durabled::test;

namespace {

// Many instances that have ended, of two roles, with a few that have not.
void fill(World& world) {
  Sql super(world.server().conninfo(world.database().name()));
  super.exec(
      "set session_replication_role = replica; "
      "insert into df.instances (label, status, submitted_by, created_at, started_at, completed_at, wake_at, "
      "error, dsl) "
      "select 'label' || n % 50, case when n % 1000 = 0 then 'failed' else 'completed' end, "
      "(case when n % 100 = 0 then 'alice' else 'bob' end)::regrole, now() - n * interval '20 s', now() - n "
      "* interval '20 s', "
      "now() - n * interval '20 s', null, case when n % 1000 = 0 then '{\"message\": \"no\", \"code\": "
      "\"22012\"}'::json end, "
      "'''SELECT 1''' from generate_series(1, 60000) n; "
      "insert into df.instances (label, submitted_by, dsl) select 'waiting', 'alice'::regrole, '''SELECT "
      "1''' from "
      "generate_series(1, 100)");
  super.exec("vacuum analyze df.instances");
}

struct Reads {
  long long sequential, fetched;
};

Reads reads(Sql& super) {
  const Rows row = super.exec(
      "select seq_tup_read, idx_tup_fetch from pg_stat_user_tables where schemaname = 'df' and relname = "
      "'instances'");
  return {std::stoll(*row[0][0]), std::stoll(*row[0][1])};
}

// What one request reads of df.instances. The server counts a session's reads when the session ends.
Reads reads_of(World& world, const std::string& role, const std::string& path) {
  Sql super(world.server().conninfo(world.database().name()));
  const Reads before = reads(super);
  {
    Ui ui(world.database().conninfo(role));
    Visitor visitor(ui.port());
    visitor.enter(ui.token());
    CHECK(visitor.get(path).status == 200);
    ui.process().signal(SIGTERM);
    ui.process().wait();
  }
  wait_until("its sessions have ended", [&] {
    return super.number("select count(*) from pg_stat_activity where application_name = 'durabled ui'") == 0;
  });
  const Reads after = reads(super);
  return {after.sequential - before.sequential, after.fetched - before.fetched};
}

}  // namespace

TEST_CASE("no list reads much more of a big table than it shows") {
  World world;
  world.add_role("bob");
  fill(world);
  for (const char* path :
       {"/api/instances", "/api/instances?status=failed", "/api/instances?status=pending,running,paused",
        "/api/instances?label=label7", "/api/instances?role=me", "/api/instances?id=k3",
        "/api/instances?limit=200", "/api/label?label=label7", "/api/overview", "/api/labels", "/api/waiting",
        "/api/changes?newest=0.0"}) {
    const Reads read = reads_of(world, "alice", path);
    std::cout << path << ": " << read.fetched << " rows by index, " << read.sequential << " by scans\n";
    INFO(path);
    CHECK(read.sequential == 0);
    CHECK(read.fetched < 6000);
  }
}

// An instance that its daemons do not survive.
#include "tests/support/catch.hpp"
#include "tests/support/postgres_server.hpp"
#include "tests/support/sql.hpp"

using namespace durabled::test;

namespace {

// A daemon that claims what it may and dies, or stops as it should; returns how many it claimed, and the ids
// that were parked.
std::string claim_and_end(Sql& sql, bool dies, const std::string& meanwhile = "") {
  const std::string worker = sql.text("select worker_id from df._register('w', 'h', 1, 'v', false)");
  const std::string claimed = sql.text("select count((claimed).id) from df._poll($1::int, 100)", worker);
  if (!meanwhile.empty()) sql.exec(meanwhile);
  if (!dies) {
    sql.exec("select df._release($1::int)", worker);
    return claimed;
  }
  sql.exec("update df.workers set last_seen_at = now() - interval '1 day'");
  return claimed +
         sql.text("select array_to_string(parked, ',', '') from df._release_dead(0, '1 hour', false)");
}

}  // namespace

TEST_CASE("an instance with which three daemons die is parked, apart from others, until it is resumed",
          "[S3.9]") {
  const TestDatabase database = fresh_database();
  database.server().create_role("alice");
  Sql sql(database.conninfo());
  sql.exec("select df.grant_usage('alice')");
  Sql alice(database.conninfo("alice"));
  alice.exec("insert into df.submit (dsl) select 'x' from generate_series(1, 3)");
  CHECK(claim_and_end(sql, false) == "3");  // that counts for nothing
  CHECK(claim_and_end(sql, true) == "3");
  CHECK(claim_and_end(sql, false) == "3");
  CHECK(claim_and_end(sql, true) == "3");
  // From now on one at a time, but what is new is not held up by them.
  alice.exec("insert into df.submit (dsl) values ('x')");
  const std::string end = claim_and_end(sql, true);
  CHECK(end.substr(0, 1) == "2");
  const std::string parked = end.substr(1);
  CHECK(alice.text("select status || ' ' || (error ->> 'code') from df.instances where id = $1", parked) ==
        "paused daemon_died");
  CHECK(alice.exec("select seq, kind, data -> 'error' ->> 'code' from df.history($1)", parked) ==
        Rows{{"1", "InstanceParked", "daemon_died"}});
  CHECK(alice.number("select count(*) from df.instances where status = 'paused'") == 1);
  alice.exec("select df.resume($1)", parked);
  CHECK(alice.text(
            "select status || ' ' || (error is null) || ' ' || lost_claims from df.instances where id = $1",
            parked) == "running true 0");
  // Who records something is no suspect.
  sql.exec("update df.instances set lost_claims = 0");
  const std::string event =
      "insert into df.events (instance_id, seq, at, kind) select id,"
      " 1 + coalesce((select max(seq) from df.events where instance_id = id), 0), now(), 'X' from "
      "df.instances";
  for (int i = 0; i < 5; ++i) CHECK(claim_and_end(sql, true, event) == "4");
}

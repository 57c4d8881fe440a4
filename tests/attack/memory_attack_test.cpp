// A hostile role tries to take the daemon's memory, which is limited as by `ulimit -v` with 1 GB.
#include <sys/resource.h>

#include "tests/attack/attacker.hpp"

using namespace durabled::test;

namespace {

constexpr rlim_t kLimit = 1'000'000'000;

// Submits the text as mallory.
std::string submit(Attack& attack, const std::string& text) {
  return attack.mallory().text("insert into df.submit (dsl) values ($1) returning id", text);
}

std::string status_at_end(Attack& attack, const std::string& id) {
  wait_until(
      "it ends",
      [&] {
        return attack.owner().text("select (completed_at is not null)::text from df.instances where id = $1",
                                   id) == "true";
      },
      std::chrono::minutes{2});
  return attack.owner().text("select status from df.instances where id = $1", id);
}

void limit_memory(Attack& attack) {
  const rlimit limit{kLimit, kLimit};
  REQUIRE(::prlimit(attack.daemon().pid(), RLIMIT_AS, &limit, nullptr) == 0);
}

// Until this number of instances meet the condition.
void await_count(Attack& attack, long long count, const std::string& condition) {
  wait_until(
      std::to_string(count) + " have " + condition,
      [&] { return attack.owner().number("select count(*) from df.instances where " + condition) == count; },
      std::chrono::minutes{5});
}

// The instance ends within its own means, the daemon lives on, and others' workflows go through meanwhile.
std::string end_of(Attack& attack, const std::string& text) {
  limit_memory(attack);
  const std::string id = submit(attack, text);
  attack.others_go_on();
  CHECK(status_at_end(attack, id) == "failed");
  attack.others_go_on();
  CHECK(attack.daemon().running());
  return attack.mallory().text("select df.error($1) ->> 'message'", id);
}

}  // namespace

TEST_CASE("values that many rows break with do not take the daemon's memory", "[attack]") {
  Attack attack;
  CHECK_THAT(end_of(attack,
                    "'select repeat(''a'',16000000) as v' |=> 'x' ~> df.for_each('select from "
                    "generate_series(1,1000)', "
                    "df.loop(df.break('$x.v')), 10000)"),
             ContainsSubstring("limits.instance_bytes (128 MiB)"));
}

TEST_CASE("one value that a break repeats is bounded as a result is", "[attack]") {
  Attack attack;
  CHECK_THAT(end_of(attack,
                    "'select repeat(''a'',16000000) as v' |=> 'x' ~> df.for_each('select from "
                    "generate_series(1,1000)', "
                    "df.loop(df.break('$x.v$x.v$x.v')), 10000)"),
             ContainsSubstring("limits.instance_bytes"));
}

TEST_CASE("statements that large values are put into are made one after the other", "[attack]") {
  Attack attack;
  limit_memory(attack);
  const std::string id = submit(
      attack,
      "'select repeat(''a'',12000000) as v' |=> 'x' ~> df.for_each('select from generate_series(1,40)', "
      "'select length(''$x.v'') + length(''$x.v'')', 40)");
  attack.others_go_on();
  CHECK(status_at_end(attack, id) == "completed");
  CHECK(attack.daemon().running());
}

TEST_CASE("rows without columns do not take the daemon's memory", "[smoke][attack]") {
  Attack attack;
  CHECK_THAT(end_of(attack, "df.for_each('select from generate_series(1, 5000000)', 'select 1')"),
             ContainsSubstring("limits.instance_bytes"));
}

TEST_CASE("a million rows that would wait at the same time are begun no further than the budget",
          "[attack]") {
  Attack attack;
  CHECK_THAT(end_of(attack,
                    "df.for_each('select from generate_series(1,1000)', df.for_each('select from "
                    "generate_series(1,1000)', df.wait_for_signal('never'), 1000), 1000)"),
             ContainsSubstring("limits.instance_bytes"));
}

TEST_CASE("an error's text and a single cell do not take the daemon's memory", "[attack]") {
  Attack attack;
  limit_memory(attack);
  submit(attack, "$w$ do $do$ begin raise exception '%', repeat('x', 200000000); end $do$ $w$");
  submit(attack, "'select repeat(''x'', 400000000)'");
  for (int i = 0; i < 5; ++i) attack.others_go_on();
  CHECK(attack.daemon().running());
}

TEST_CASE("references into a large row hold up nobody", "[smoke][attack]") {
  Attack attack;
  std::string values = "($x.k)";
  for (int i = 1; i < 100'000; ++i) values += ",($x.k)";
  const std::string id =
      submit(attack,
             "'select repeat(''a'',12000000) as big, 1 as k' |=> 'x' ~> 'select count(*) as n from "
             "(values " +
                 values + ") v'");
  CHECK(status_at_end(attack, id) == "completed");
  CHECK(attack.mallory().text("select df.result($1) -> 'rows' -> 0 ->> 'n'", id) == "100000");
  attack.others_go_on();
}

TEST_CASE("many long texts do not take the daemon's memory", "[attack]") {
  Attack attack;
  limit_memory(attack);
  attack.mallory().exec("set statement_timeout = 0");
  attack.mallory().exec(
      "insert into df.submit (dsl) select repeat(' ', 16777216) from generate_series(1, 40)");
  attack.others_go_on();
  await_count(attack, 40, "status = 'failed'");
  CHECK(attack.daemon().running());
}

TEST_CASE("many signals with long data do not take the daemon's memory", "[attack]") {
  Attack attack;
  limit_memory(attack);
  attack.mallory().exec("set statement_timeout = 0");
  attack.mallory().exec(
      "insert into df.submit (dsl, label) select 'df.wait_for_signal(''go'')', 'sent' from "
      "generate_series(1, 5)");
  attack.mallory().exec(
      "insert into df.signals (instance_id, name, data)"
      " select id, 'other', to_json(repeat('x', 85000)) from df.instances, generate_series(1, 1000)"
      " where label = 'sent'");
  attack.others_go_on();
  attack.mallory().exec("select df.signal(id, 'go') from df.instances where label = 'sent'");
  await_count(attack, 5, "label = 'sent' and status = 'completed'");
  attack.others_go_on();
  CHECK(attack.daemon().running());
}

TEST_CASE("long histories that are claimed together do not take the daemon's memory", "[attack]") {
  Attack attack;
  limit_memory(attack);
  std::string text;
  for (int i = 0; i < 12; ++i)
    text += "'select repeat(''a'', 1000000) as v' |=> 'x" + std::to_string(i) + "' ~> ";
  attack.mallory().exec("insert into df.submit (dsl, label) select $1, 'long' from generate_series(1, 30)",
                        text + "df.wait_for_signal('go') ~> 'select 1'");
  attack.others_go_on();
  await_count(attack, 30,
              "label = 'long' and (completed_at is not null or worker_id is null and wake_at is null)");
  attack.mallory().exec(
      "select df.signal(id, 'go') from df.instances where label = 'long' and completed_at is null");
  attack.others_go_on();
  await_count(attack, 30, "label = 'long' and completed_at is not null");
  CHECK(
      attack.owner().number("select count(*) from df.instances where label = 'long' and status <> 'completed'"
                            " and error ->> 'code' not in ('instance_bytes', 'role_bytes')") == 0);
  attack.others_go_on();
  CHECK(attack.daemon().running());
}

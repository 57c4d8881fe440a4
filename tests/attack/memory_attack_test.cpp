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

TEST_CASE("rows without columns do not take the daemon's memory", "[attack]") {
  Attack attack;
  CHECK_THAT(end_of(attack, "df.for_each('select from generate_series(1, 5000000)', 'select 1')"),
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

TEST_CASE("references into a large row hold up nobody", "[attack]") {
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

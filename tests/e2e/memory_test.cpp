// What one role sends does not take the memory of the daemon that serves all.
#include <sys/resource.h>

#include "tests/e2e/world.hpp"

using namespace durabled::test;

TEST_CASE("texts and signals, however many and large, leave a daemon of 1 GB its memory") {
  World world;
  world.add_role("bob");
  Sql alice = world.session(), bob = world.session("bob");
  DaemonProcess& daemon = world.start_daemon({{"http.max_in_flight", "10"}});
  const rlimit limit{1'000'000'000, 1'000'000'000};
  REQUIRE(prlimit(daemon.pid(), RLIMIT_AS, &limit, nullptr) == 0);
  const std::string waiting = submit(bob, "df.wait_for_signal('never')");
  await_put_down(bob, waiting);
  bob.exec("insert into df.submit (dsl) select repeat(' ', 16777216) from generate_series(1, 100)");
  bob.exec("insert into df.submit (dsl) select $1 || repeat(' ', 1000000) from generate_series(1, 200)",
           "'select pg_sleep(600)'");
  bob.exec(
      "insert into df.signals (instance_id, name, data) select $1, 'other', to_json(repeat('x', 85000))"
      " from generate_series(1, 10000)",
      waiting);
  for (int i = 0; i < 5; ++i) completes(alice, submit(alice, "'select 1'"), std::chrono::seconds{60});
  wait_until(
      "bob's long texts have failed",
      [&] { return bob.number("select count(*) from df.instances where status = 'failed'") == 100; },
      std::chrono::seconds{60});
  bob.exec("select df.signal($1, 'never', '1')", waiting);
  completes(bob, waiting, std::chrono::seconds{60});
  completes(alice, submit(alice, "'select 2'"), std::chrono::seconds{60});
  CHECK(alice.number("select count(*) from df.workers") == 1);
  CHECK(bob.text("select distinct error ->> 'reason' from df.instances where status = 'failed'") ==
        "text_too_long");
}

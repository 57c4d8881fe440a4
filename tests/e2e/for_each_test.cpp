// df.for_each through the whole system: every row once, whatever happens to the daemon; side by side; with
// many rows.
#include <chrono>

#include "tests/e2e/world.hpp"
#include "tests/support/temporary_directory.hpp"

using namespace durabled::test;
using std::chrono::seconds;

namespace {

// The most memory that a process ever had, in MiB.
long long peak_memory(pid_t pid) {
  const std::string status = read_file("/proc/" + std::to_string(pid) + "/status");
  const std::size_t at = status.find("VmHWM:");
  if (at == std::string::npos) throw std::runtime_error("no VmHWM for process " + std::to_string(pid));
  return std::stoll(status.substr(at + 6)) / 1024;
}

}  // namespace

TEST_CASE("df.for_each runs its body for each row and returns the results in row order", "[L3.13]") {
  World world;
  Sql alice = world.session();
  world.start_daemon();
  const std::string json = run_workflow(
      alice,
      "df.for_each('SELECT n, ''name '' || n AS name FROM generate_series(1, 20) n ORDER BY n DESC',"
      " 'SELECT $item.n * 10 AS n, $item.name AS name, pg_sleep(random() / 50)', max_parallel => 5)");
  CHECK(alice.text("select string_agg(e -> 'rows' -> 0 ->> 'name', ',' order by ord)"
                   " = (select string_agg('name ' || n, ',' order by n desc) from generate_series(1, 20) n)"
                   " from jsonb_array_elements($1::jsonb) with ordinality t (e, ord)",
                   json) == "t");
  CHECK(run_workflow(alice, "df.for_each('SELECT 1 WHERE false', 'SELECT 1')") == "[]");
}

TEST_CASE("df.for_each never runs more rows at once than max_parallel, and that many where it can",
          "[L3.13]") {
  World world;
  Sql alice = world.session();
  alice.exec("create table seen (most bigint)");
  world.start_daemon();
  run_workflow(alice,
               "df.for_each('SELECT generate_series(1, 30) AS n', 'SELECT pg_sleep(0.05), count(*) AS most "
               "FROM pg_stat_activity WHERE application_name = ''durabled step'' AND"
               " state = ''active'' AND usename = ''alice'' AND datname = current_database()' |=> 's'"
               " ~> 'INSERT INTO seen SELECT $s.most', max_parallel => 3)");
  CHECK(alice.number("select count(*) from seen") == 30);
  CHECK(alice.number("select max(most) from seen") == 3);
}

TEST_CASE(
    "a row that fails ends df.for_each with its error; what was under way is finished, the rest never "
    "begun") {
  World world;
  Sql alice = world.session();
  alice.exec("create table done (n int primary key)");
  world.start_daemon();
  const std::string error = run_failing(
      alice,
      "df.for_each('SELECT generate_series(0, 999) AS n',"
      " 'INSERT INTO done SELECT $item.n WHERE 10 / ($item.n - 3) IS NOT NULL', max_parallel => 4)");
  CHECK_THAT(error, ContainsSubstring("division by zero"));
  CHECK(alice.number("select count(*) from done where n < 3") == 3);
  CHECK(alice.number("select count(*) from done") < 50);
}

TEST_CASE("df.for_each takes a hundred thousand rows, each once, through a kill -9 in the middle",
          "[L3.13]") {
  constexpr int kRows = 100'000;
  World world;
  Sql alice = world.session();
  // No unique key: a doubled effect must show, not fail.
  alice.exec("create table effects (n int not null)");
  DaemonProcess& first = world.start_daemon();
  const std::string id = submit(alice, "df.for_each('SELECT generate_series(1, " + std::to_string(kRows) +
                                           ") AS n', 'INSERT INTO effects VALUES ($item.n)')");
  const auto effects = [&] { return alice.number("select count(*) from effects"); };
  wait_until(
      "half of it is done", [&] { return effects() > kRows / 2; }, seconds{300});
  const long long memory_before = peak_memory(first.pid());
  first.kill9();
  const long long done_before = effects();
  DaemonProcess& second = world.start_daemon();
  wait_until(
      "it goes on", [&] { return effects() > done_before; }, seconds{60});
  const std::string result = completes(alice, id, seconds{300});
  const long long memory_after = peak_memory(second.pid());
  CHECK(effects() == kRows);
  CHECK(alice.number("select count(distinct n) from effects") == kRows);
  CHECK(alice.number("select jsonb_array_length($1::jsonb)", result) == kRows);
  CHECK(memory_before < 400);
  CHECK(memory_after < 400);
}

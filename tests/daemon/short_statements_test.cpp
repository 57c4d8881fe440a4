// Which statements may share a transaction.
#include "daemon/short_statements.hpp"

#include <string>

#include "tests/support/catch.hpp"

namespace durabled::test {
namespace {

using daemon::ShortStatements;
using std::chrono::milliseconds;

ShortStatements::Shape shape(const std::string& sql) {
  return ShortStatements::shape_of(sql);
}

}  // namespace

TEST_CASE("only plain statements have a shape") {
  for (const char* sql :
       {"select 1", " /* c */ INSERT into t values (1)", "(values (1))", "with a as (select 1) select 1",
        "update t set a = 1", "delete from t", "merge into t using u on true when matched then delete"})
    CHECK(shape(sql) != ShortStatements::kNone);
  for (const char* sql :
       {"call p()", "do $$ begin commit; end $$", "commit", "rollback to savepoint a", "vacuum", "set x = 1",
        "selected", "", "'", "select 'open", "select $$ open", "table t", "execute p"})
    CHECK(shape(sql) == ShortStatements::kNone);
  CHECK(shape("select '" + std::string(20'000, 'x') + "'") == ShortStatements::kNone);
}

TEST_CASE("statements that differ in their literals alone have one shape") {
  const auto one = shape("insert into t2 (v) values (1, 'a', $$b$$, E'\\'', 1e5)");
  CHECK(shape("insert into t2 (v) values (23, 'it''s', $q$ c $q$, e'x', 0.25)") == one);
  CHECK(shape("insert into t3 (v) values (1, 'a', $$b$$, E'x', 1)") != one);
  CHECK(shape("select \"a\"") != shape("select \"b\""));
}

TEST_CASE("a statement joins others once it has run short") {
  ShortStatements known;
  CHECK_FALSE(known.may_join(1));
  known.ran(1, milliseconds(500));
  CHECK_FALSE(known.may_join(1));
  known.ran(1, milliseconds(1));
  CHECK(known.may_join(1));
  CHECK_FALSE(known.may_join(2));
  CHECK_FALSE(known.may_join(ShortStatements::kNone));
}

TEST_CASE(
    "a statement that fails stays by itself, for longer each time, until much of it was committed with "
    "others") {
  ShortStatements known;
  known.ran(1, milliseconds(1));
  const auto runs_alone = [&] {
    int runs = 0;
    for (; !known.may_join(1); ++runs) known.ran(1, milliseconds(1));
    return runs;
  };
  for (const int expected : {2, 4, 8}) {
    known.failed(1);
    CHECK(runs_alone() == expected);
  }
  for (int i = 0; i < 1'000; ++i) known.joined(1);
  known.failed(1);
  CHECK(runs_alone() == 8);
  known.fell_apart(1);
  CHECK(runs_alone() == 1);
}

}  // namespace durabled::test

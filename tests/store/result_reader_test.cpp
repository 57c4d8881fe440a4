// From libpq's results to a step's result, and libpq's pipeline below it.
#include "store/result_reader.hpp"

#include <poll.h>

#include "store/pipeline.hpp"
#include "store/type_reader.hpp"
#include "tests/support/await.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/postgres_server.hpp"
#include "tests/support/sql.hpp"

using namespace durabled;
using namespace durabled::test;
using store::Sent;

namespace {

store::PGresultPtr query(Sql& sql, const std::string& text) {
  return store::PGresultPtr(PQexec(sql.raw(), text.c_str()));
}

std::string read(Sql& sql, const std::string& text) {
  const dsl::TypeCatalog catalog;
  store::ResultReader reader(catalog, 1 << 20);
  reader.add(query(sql, text));
  CHECK(reader.unknown_types().empty());
  return reader.finish();
}

// A pipeline that has been started.
struct Open {
  store::Pipeline pipeline{store::Pipeline::connect({{"dbname", shared_server().conninfo()}})};

  Open() { REQUIRE(pipeline.start()); }

  // Until everything is answered or the connection is lost; what came, as "kind:status".
  std::vector<std::string> answers() {
    std::vector<std::string> result;
    pipeline.flush();
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    while (!pipeline.idle() && !pipeline.lost() && std::chrono::steady_clock::now() < deadline) {
      const bool received = pipeline.receive([&](store::PGresultPtr answer, Sent kind) {
        if (!answer) return;
        result.push_back(std::to_string(static_cast<int>(kind)) + ":" +
                         PQresStatus(PQresultStatus(answer.get())));
      });
      if (received) continue;
      pollfd waiting{PQsocket(pipeline.connection()), POLLIN, 0};
      ::poll(&waiting, 1, 100);
      pipeline.pump();
    }
    return result;
  }
};

std::string answer(Sent kind, const std::string& status) {
  return std::to_string(static_cast<int>(kind)) + ":" + status;
}

}  // namespace

TEST_CASE("a result has its rows, columns and numbers") {
  Sql sql(shared_server().conninfo());
  CHECK(read(sql, "select 1 as a, null::text as b, 'x\"y' as c union all select 2, 'z', '' order by 1") ==
        R"({"rows":[{"a":1,"b":null,"c":"x\"y"},{"a":2,"b":"z","c":""}],"row_count":2,)"
        R"("columns":[{"name":"a","type":"integer"},{"name":"b","type":"text"},{"name":"c","type":"text"}],)"
        R"("affected":2})");
  CHECK(read(sql, "select 1 as a where false") ==
        R"({"rows":[],"row_count":0,"columns":[{"name":"a","type":"integer"}],"affected":0})");
  CHECK(read(sql, "select") == R"({"rows":[{}],"row_count":1,"columns":[],"affected":1})");
  CHECK(read(sql, "create temporary table t (n int)") ==
        R"({"rows":[],"row_count":0,"columns":[],"affected":0})");
  CHECK(read(sql, "insert into t values (1), (2)") ==
        R"({"rows":[],"row_count":0,"columns":[],"affected":2})");
}

TEST_CASE("rows that come one by one are one result") {
  Sql sql(shared_server().conninfo());
  const dsl::TypeCatalog catalog;
  store::ResultReader reader(catalog, 1 << 20);
  REQUIRE(PQsendQuery(sql.raw(), "select n from generate_series(1, 3) n") == 1);
  REQUIRE(PQsetSingleRowMode(sql.raw()) == 1);
  while (store::PGresultPtr result{PQgetResult(sql.raw())}) reader.add(std::move(result));
  CHECK_THAT(reader.finish(), ContainsSubstring(R"("rows":[{"n":1},{"n":2},{"n":3}],"row_count":3)"));
}

TEST_CASE("a result that grows too large says so, whatever it is made of") {
  Sql sql(shared_server().conninfo());
  for (const char* text :
       {"select repeat('x', 101) as x", "select repeat('\\', 60) as x", "select from generate_series(1, 60)",
        "select n as a_long_name from generate_series(1, 9) n"}) {
    INFO(text);
    const dsl::TypeCatalog catalog;
    store::ResultReader reader(catalog, 100);
    reader.add(query(sql, "select 'small' as x"));
    CHECK_FALSE(reader.too_large());
    store::ResultReader another(catalog, 100);
    another.add(query(sql, text));
    CHECK(another.too_large());
  }
}

TEST_CASE("rows of types that are not known wait until they are") {
  Sql sql(shared_server().conninfo());
  sql.exec("create type pg_temp.pair as (a int, b text)");
  dsl::TypeCatalog catalog;
  store::ResultReader reader(catalog, 1 << 20);
  reader.add(query(sql, "select row(1, 'x')::pg_temp.pair as p"));
  const std::vector<dsl::TypeOid> unknown = reader.unknown_types();
  REQUIRE(unknown.size() == 1);
  const std::string oids = '{' + std::to_string(unknown[0]) + '}';
  const char* const parameters[] = {oids.c_str(), "none"};
  const store::PGresultPtr types(
      PQexecParams(sql.raw(), store::kTypesQuery, 2, nullptr, parameters, nullptr, nullptr, 0));
  REQUIRE(PQresultStatus(types.get()) == PGRES_TUPLES_OK);
  store::add_types(types.get(), catalog);
  CHECK(reader.unknown_types().empty());
  reader.resolve();
  CHECK_THAT(reader.finish(), ContainsSubstring(R"("rows":[{"p":{"a":1,"b":"x"}}])"));
}

TEST_CASE("columns of the same name are named once each") {
  Sql sql(shared_server().conninfo());
  const dsl::TypeCatalog catalog;
  store::ResultReader reader(catalog, 1 << 20);
  reader.add(query(sql, "select 1 as a, 2 as b, 3 as a, 4 as a, 5 as b, 6 as c"));
  CHECK(reader.duplicate_columns() == std::vector<std::string>{"a", "b"});
}

TEST_CASE("a pipeline's answers come in order, each for what it was sent for") {
  Open open;
  open.pipeline.send("begin", Sent::kOwn);
  open.pipeline.send("select $1::int as x", Sent::kStatement, {"1"});
  open.pipeline.send("commit", Sent::kCommit);
  open.pipeline.sync();
  CHECK(open.answers() ==
        std::vector{answer(Sent::kOwn, "PGRES_COMMAND_OK"), answer(Sent::kStatement, "PGRES_SINGLE_TUPLE"),
                    answer(Sent::kStatement, "PGRES_TUPLES_OK"), answer(Sent::kCommit, "PGRES_COMMAND_OK"),
                    answer(Sent::kSync, "PGRES_PIPELINE_SYNC")});
  CHECK(open.pipeline.idle());
}

TEST_CASE("after an error nothing of a pipeline runs until its sync") {
  Open open;
  open.pipeline.send("select 1/0", Sent::kOwn);
  open.pipeline.send("select 1", Sent::kStatement);
  open.pipeline.sync();
  open.pipeline.send("select 1", Sent::kOwn);
  open.pipeline.sync();
  CHECK(open.answers() == std::vector{answer(Sent::kOwn, "PGRES_FATAL_ERROR"),
                                      answer(Sent::kStatement, "PGRES_PIPELINE_ABORTED"),
                                      answer(Sent::kSync, "PGRES_PIPELINE_SYNC"),
                                      answer(Sent::kOwn, "PGRES_TUPLES_OK"),
                                      answer(Sent::kSync, "PGRES_PIPELINE_SYNC")});
}

TEST_CASE("a pipeline whose server ends the session is lost") {
  Open open;
  open.pipeline.send("select pg_terminate_backend(pg_backend_pid())", Sent::kOwn);
  open.pipeline.sync();
  open.answers();
  wait_until("it notices", [&] {
    open.pipeline.pump();
    return open.pipeline.lost();
  });
  CHECK_FALSE(open.pipeline.error().empty());
}

TEST_CASE("a pipeline that connects to nothing says why") {
  store::Pipeline pipeline(store::Pipeline::connect({{"dbname", "host=127.0.0.1 port=1"}}));
  CHECK(PQstatus(pipeline.connection()) == CONNECTION_BAD);
  CHECK_FALSE(pipeline.error().empty());
}

// What a driver's exception means: whether to try again, to look first, or to give up.
#include "store/guard.hpp"

#include "store/pqxx_compat.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/postgres_server.hpp"
#include "tests/support/proxy.hpp"
#include "tests/support/sql.hpp"

using namespace durabled;
using namespace durabled::test;
using Kind = store::StoreError::Kind;

namespace {

template <typename Function>
store::StoreError error_of(Function&& function) {
  try {
    store::guarded("the operation", std::forward<Function>(function));
  } catch (const store::StoreError& error) {
    return error;
  }
  throw std::runtime_error("there was no StoreError");
}

}  // namespace

TEST_CASE("whether a SQLSTATE may pass by itself") {
  for (const char* sqlstate :
       {"40001", "40P01", "40003", "08006", "08001", "53300", "53200", "57P01", "57P02", "57P03", "55P03"})
    CHECK(store::is_transient(sqlstate));
  for (const char* sqlstate : {"", "22012", "23505", "42501", "42601", "08P01", "57014", "XX000", "DF001"})
    CHECK_FALSE(store::is_transient(sqlstate));
}

TEST_CASE("an error of the server has its kind, its SQLSTATE and the operation") {
  struct Case {
    const char* sqlstate;
    Kind kind;
  };
  pqxx::connection connection(shared_server().conninfo());
  store::forbid_reconnect(connection);
  for (const auto& [sqlstate, kind] : std::vector<Case>{{"40001", Kind::kTransient},
                                                        {"40P01", Kind::kTransient},
                                                        {"55P03", Kind::kTransient},
                                                        {"53300", Kind::kTransient},
                                                        {"57P03", Kind::kTransient},
                                                        {"42501", Kind::kPermanent},
                                                        {"23505", Kind::kPermanent},
                                                        {"42P01", Kind::kPermanent},
                                                        {"DF003", Kind::kPermanent},
                                                        {"P0001", Kind::kPermanent}}) {
    INFO(sqlstate);
    const store::StoreError error = error_of([&] {
      pqxx::work work(connection);
      work.exec("do $$ begin raise exception 'made up' using errcode = '" + std::string(sqlstate) +
                "'; end $$");
    });
    CHECK(error.kind() == kind);
    if (kind == Kind::kPermanent) CHECK(error.sqlstate() == sqlstate);
    CHECK_THAT(error.what(), ContainsSubstring("the operation: ") && ContainsSubstring("made up"));
  }
}

TEST_CASE("a connection that cannot be made, or ends, is transient") {
  CHECK(error_of([] { pqxx::connection connection("host=127.0.0.1 port=1"); }).kind() == Kind::kTransient);
  pqxx::connection connection(shared_server().conninfo());
  store::forbid_reconnect(connection);
  Sql(shared_server().conninfo()).exec("select pg_terminate_backend($1::int)", connection.backendpid());
  CHECK(error_of([&] {
          pqxx::work work(connection);
          work.exec("select 1");
        }).kind() == Kind::kTransient);
}

TEST_CASE("a commit whose answer is lost is in doubt, and may have happened") {
  const TestDatabase database = shared_server().empty_database();
  Sql sql(database.conninfo());
  sql.exec("create table t (n int)");
  Proxy proxy(shared_server().port());
  for (const bool happens : {true, false}) {
    pqxx::connection connection("host=127.0.0.1 port=" + std::to_string(proxy.port()) + " dbname=" +
                                database.name() + " user=durabled_owner sslmode=disable gssencmode=disable");
    store::forbid_reconnect(connection);
    const store::StoreError error = error_of([&] {
      pqxx::work work(connection);
      work.exec("insert into t values (1)");
      proxy.arm({"durabled_owner", ""}, happens ? Proxy::Direction::kFromServer : Proxy::Direction::kToServer,
                1);
      work.commit();
    });
    CHECK(error.kind() == Kind::kInDoubt);
    CHECK(proxy.disarm("durabled_owner"));
    CHECK(sql.number("select count(*) from t") == 1);
  }
}

TEST_CASE("an exception of our own goes through as it is, and any other is permanent") {
  const store::StoreError own(Kind::kInDoubt, "inner", "said", "40003");
  const store::StoreError through = error_of([&]() { throw own; });
  CHECK(through.kind() == Kind::kInDoubt);
  CHECK(std::string(through.what()) == "inner: said");
  CHECK(error_of([] { throw std::runtime_error("a defect"); }).kind() == Kind::kPermanent);
}

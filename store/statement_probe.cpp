#include "store/statement_probe.hpp"

#include <libpq-fe.h>

#include <cstdlib>

#include "store/store_error.hpp"

namespace durabled::store {
namespace {

using Result = std::unique_ptr<PGresult, decltype(&PQclear)>;

std::string field(const PGresult* result, int code) {
  const char* text = PQresultErrorField(result, code);
  return text == nullptr ? "" : text;
}

}  // namespace

class StatementProbe::Impl {
 public:
  explicit Impl(const std::string& conninfo) : connection_(PQconnectdb(conninfo.c_str()), &PQfinish) {
    if (PQstatus(connection_.get()) != CONNECTION_OK) fail("connect");
    if (PQsetClientEncoding(connection_.get(), "UTF8") != 0) fail("connect");
    PQsetNoticeProcessor(
        connection_.get(), [](void*, const char*) {}, nullptr);
    command("begin read only");
  }

  void command(const char* sql) {
    const Result result(PQexec(connection_.get(), sql), &PQclear);
    if (PQresultStatus(result.get()) != PGRES_COMMAND_OK) fail("check the statements");
  }

  Result prepare(const std::string& statement) {
    return {PQprepare(connection_.get(), "", statement.c_str(), 0, nullptr), &PQclear};
  }

  [[noreturn]] void fail(const char* operation) {
    throw StoreError(StoreError::Kind::kTransient, operation, PQerrorMessage(connection_.get()));
  }

 private:
  std::unique_ptr<PGconn, decltype(&PQfinish)> connection_;
};

StatementProbe::StatementProbe(const std::string& conninfo) : impl_(std::make_unique<Impl>(conninfo)) {}
StatementProbe::~StatementProbe() = default;

std::optional<StatementProblem> StatementProbe::problem(const std::string& statement) {
  impl_->command("savepoint probe");
  const Result result = impl_->prepare(statement);
  std::optional<StatementProblem> problem;
  if (PQresultStatus(result.get()) != PGRES_COMMAND_OK) {
    problem.emplace();
    problem->message = field(result.get(), PG_DIAG_MESSAGE_PRIMARY);
    problem->sqlstate = field(result.get(), PG_DIAG_SQLSTATE);
    problem->hint = field(result.get(), PG_DIAG_MESSAGE_HINT);
    problem->position = std::strtoul(field(result.get(), PG_DIAG_STATEMENT_POSITION).c_str(), nullptr, 10);
    if (problem->sqlstate.empty()) impl_->fail("check the statements");
  }
  impl_->command("rollback to savepoint probe");
  return problem;
}

}  // namespace durabled::store

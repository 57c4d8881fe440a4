#include "tests/support/sql.hpp"

namespace durabled::test {
namespace {

using Result = std::unique_ptr<PGresult, decltype(&PQclear)>;

Rows rows_of(const PGresult* result) {
  Rows rows;
  for (int row = 0; row < PQntuples(result); ++row) {
    Row& values = rows.emplace_back();
    for (int column = 0; column < PQnfields(result); ++column) {
      if (PQgetisnull(result, row, column) != 0) {
        values.emplace_back(std::nullopt);
      } else {
        values.emplace_back(std::string(PQgetvalue(result, row, column),
                                        static_cast<std::size_t>(PQgetlength(result, row, column))));
      }
    }
  }
  return rows;
}

}  // namespace

Sql::Sql(const std::string& conninfo) : connection_(PQconnectdb(conninfo.c_str()), &PQfinish) {
  if (PQstatus(connection_.get()) != CONNECTION_OK) throw SqlError("", PQerrorMessage(connection_.get()));
  // Notices would only clutter the tests' output.
  PQsetNoticeProcessor(
      connection_.get(), [](void*, const char*) {}, nullptr);
}

Rows Sql::exec_with(const std::string& text, const std::vector<Value>& parameters) {
  std::vector<const char*> pointers;
  for (const auto& parameter : parameters) pointers.push_back(parameter ? parameter->c_str() : nullptr);
  PGconn* connection = connection_.get();
  const Result result(parameters.empty()
                          ? PQexec(connection, text.c_str())
                          : PQexecParams(connection, text.c_str(), static_cast<int>(pointers.size()), nullptr,
                                         pointers.data(), nullptr, nullptr, 0),
                      &PQclear);
  const ExecStatusType status = PQresultStatus(result.get());
  if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK || status == PGRES_EMPTY_QUERY) {
    return rows_of(result.get());
  }
  const char* sqlstate = PQresultErrorField(result.get(), PG_DIAG_SQLSTATE);
  throw SqlError(sqlstate == nullptr ? "" : sqlstate, PQerrorMessage(connection));
}

Value Sql::only_value(const Rows& rows, const std::string& text) {
  if (rows.size() == 1 && rows[0].size() == 1) return rows[0][0];
  throw std::runtime_error("expected one value, got " + std::to_string(rows.size()) + " rows of " +
                           std::to_string(rows.empty() ? 0 : rows[0].size()) + " columns: " + text);
}

std::string Sql::not_null(Value value, const std::string& text) {
  if (value) return *value;
  throw std::runtime_error("expected a value, got NULL: " + text);
}

}  // namespace durabled::test

// SQL for tests, on libpq itself: text in, text out, errors with their SQLSTATE. It shares nothing with
// store/, so a fault there cannot hide itself.
#pragma once

#include <libpq-fe.h>

#include <concepts>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace durabled::test {

using Value = std::optional<std::string>;  // nothing: NULL
using Row = std::vector<Value>;
using Rows = std::vector<Row>;

// `sqlstate` is "" when the connection itself failed.
class SqlError : public std::runtime_error {
 public:
  SqlError(std::string sqlstate, const std::string& text)
      : std::runtime_error(text), sqlstate_(std::move(sqlstate)) {}
  const std::string& sqlstate() const { return sqlstate_; }

 private:
  std::string sqlstate_;
};

// One session. Closed on destruction. Not thread-safe. Every call blocks.
class Sql {
 public:
  // Throws SqlError.
  explicit Sql(const std::string& conninfo);

  // Without parameters `text` may hold several statements, which are then one transaction unless it says
  // otherwise; the rows are those of the last. With parameters ($1 …) it is one statement. Throws SqlError.
  template <typename... Parameters>
  Rows exec(const std::string& text, const Parameters&... parameters) {
    return exec_with(text, {to_value(parameters)...});
  }

  // The one value of the one row. Throws std::runtime_error when the result has another shape.
  template <typename... Parameters>
  Value value(const std::string& text, const Parameters&... parameters) {
    return only_value(exec(text, parameters...), text);
  }

  // As value(), where NULL is an error too.
  template <typename... Parameters>
  std::string text(const std::string& query, const Parameters&... parameters) {
    return not_null(value(query, parameters...), query);
  }

  // The one value as a number.
  template <typename... Parameters>
  long long number(const std::string& query, const Parameters&... parameters) {
    return std::stoll(text(query, parameters...));
  }

  // Requires that the statement fails with `sqlstate`, and returns the message (with DETAIL and HINT). Throws
  // std::runtime_error when it succeeds or fails otherwise.
  template <typename... Parameters>
  std::string expects_error(const std::string& sqlstate, const std::string& text,
                            const Parameters&... parameters) {
    try {
      exec(text, parameters...);
    } catch (const SqlError& error) {
      if (error.sqlstate() == sqlstate) return error.what();
      throw std::runtime_error("expected " + sqlstate + ", got " + error.sqlstate() + ": " + error.what());
    }
    throw std::runtime_error("expected " + sqlstate + ", but this succeeded: " + text);
  }

  // Of the session's backend.
  int backend_pid() const { return PQbackendPID(connection_.get()); }

  // For what is not covered: COPY, notifications, asynchronous calls.
  PGconn* raw() { return connection_.get(); }

 private:
  static Value to_value(const std::string& text) { return text; }
  static Value to_value(const char* text) { return std::string(text); }
  static Value to_value(const Value& value) { return value; }
  static Value to_value(std::nullopt_t) { return std::nullopt; }
  static Value to_value(bool value) { return std::string(value ? "true" : "false"); }
  template <typename Number>
  requires(std::integral<Number> || std::floating_point<Number>) static Value to_value(Number number) {
    return std::to_string(number);
  }

  Rows exec_with(const std::string& text, const std::vector<Value>& parameters);
  static Value only_value(const Rows& rows, const std::string& text);
  static std::string not_null(Value value, const std::string& text);

  std::unique_ptr<PGconn, decltype(&PQfinish)> connection_;
};

}  // namespace durabled::test

// What the files of WebStore share. Private to store/.
#pragma once

#include <libpq-fe.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "store/conninfo.hpp"
#include "store/result_reader.hpp"
#include "store/web_store.hpp"

namespace durabled::store {

// One statement with its parameters, all of them text.
struct WebQuery {
  std::string sql;
  std::vector<std::string> values;

  // Adds a parameter; returns "$3".
  std::string bind(std::string value) {
    values.push_back(std::move(value));
    return '$' + std::to_string(values.size());
  }
};

class WebStore::Impl {
 public:
  Impl(const std::string& conninfo, const ConnectParams& login);

  void act_as(const std::string& role, bool sees_own_only) {
    role_ = role;
    sees_own_only_ = sees_own_only;
  }
  bool sees_own_only() const { return sees_own_only_; }
  bool is_broken() const { return PQstatus(connection_.get()) != CONNECTION_OK; }

  // A read-only transaction. The one value of the one row; nullopt: no row, or NULL. `settings`: further `set local`.
  std::optional<std::string> read(const char* operation, const WebQuery& query,
                                  const std::string& settings = "");
  // The same where there is always a row.
  std::string read_one(const char* operation, const WebQuery& query, const std::string& settings = "") {
    return read(operation, query, settings).value_or("null");
  }
  // Begin, the statements that `work` executes, commit.
  template <typename Function>
  auto write(const char* operation, Function&& work) {
    operation_ = operation;
    begin("begin");
    try {
      auto result = work();
      end();
      return result;
    } catch (...) {
      roll_back();
      throw;
    }
  }
  PGresultPtr execute(const WebQuery& query);
  // Without a transaction around it where nobody else acts; every name in it is qualified.
  PGresultPtr probe(const WebQuery& query);

 private:
  void begin(const std::string& how);
  void end();
  void roll_back() noexcept;
  PGresultPtr checked(PGresult* result);

  std::unique_ptr<PGconn, decltype(&PQfinish)> connection_;
  std::string role_;
  bool sees_own_only_ = false;
  const char* operation_ = "connect";
};

inline std::optional<std::string> field(const PGresult* result, int column, int row = 0) {
  if (PQntuples(result) <= row || PQgetisnull(result, row, column) == 1) return std::nullopt;
  return std::string(PQgetvalue(result, row, column),
                     static_cast<std::size_t>(PQgetlength(result, row, column)));
}

// Pieces of SQL ------------------------------------------------------------------------------------------------

// A time as RFC 3339.
inline std::string web_time(const std::string& column) {
  return "to_char((" + column + ") at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')";
}
// {"text", "bytes", "cut"} of an expression of type text; NULL of NULL.
std::string web_piece(const std::string& expression, int characters);
// The row of an instance `i`, with `why` it is where it is; needs web_why("i") among the joins.
std::string web_row();
// "left join lateral (…) recent on true": what the last events of `i` say.
std::string web_why();
// STATES of the instance `i`.
std::string web_states();
// `w.*` of df.waiting, `i` its instance or NULLs, `f` of kWebLastFailure.
std::string web_wait();
// Joined to `w`: the attempt that failed last, where `w` waits for the next one.
inline constexpr const char* kWebLastFailure = R"(
left join lateral (
  select e.attempt, e.data -> 'error' ->> 'message' as message from df.events e
  where w.kind = 'retry' and e.instance_id = w.instance_id and e.node = w.node_id and e.kind = 'StepFailed'
  order by e.seq desc limit 1) f on true)";
// The waits of the instance `i`, a list of at most 200.
std::string web_waits();
// What the person may do with the instance `i`.
std::string web_can();
// One event `e` with its data cut.
std::string web_event(int characters);
// A time, or how long ago ("2h"), as an expression.
std::string web_time_value(const std::string& text, WebQuery& query);
// The condition on `i`, beginning with "true".
std::string web_condition(const WebFilter& filter, WebQuery& query, bool sees_own_only);
// " and …": what row-level security says anyway, for the planner to find the role's own rows by an index.
std::string web_own(bool sees_own_only, const std::string& alias);

}  // namespace durabled::store

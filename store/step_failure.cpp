#include "store/step_failure.hpp"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <utility>

#include "dsl/value/utf8.hpp"

namespace durabled::store {
namespace {

// What servers, poolers and libpq say when a login fails, with the SQLSTATE that belongs to it. Only for people: nothing
// is decided by it, because a server may say it in another language.
constexpr std::pair<const char*, const char*> kRefusals[] = {{"authentication failed", "28P01"},
                                                             {"no password supplied", "28P01"},
                                                             {"password is wrong", "28P01"},
                                                             {"pg_hba.conf", "28000"},
                                                             {"is not permitted to log in", "28000"},
                                                             {"permission denied for database", "42501"},
                                                             {"too many", "53300"},
                                                             {"remaining connection slots", "53300"},
                                                             {"no more connections allowed", "53300"},
                                                             {"is starting up", "57P03"},
                                                             {"is shutting down", "57P03"},
                                                             {"recovery", "57P03"},
                                                             {"not currently accepting", "55000"},
                                                             {"does not exist", "3D000"}};

// For a statement with $1, because none is ever bound. In class 08, it would be tried again.
constexpr const char* kProtocolViolation = "08P01";

// Members of the failure beside those that have a place of their own.
constexpr std::pair<const char*, int> kFields[] = {
    {"context", PG_DIAG_CONTEXT},    {"position", PG_DIAG_STATEMENT_POSITION},
    {"schema", PG_DIAG_SCHEMA_NAME}, {"table", PG_DIAG_TABLE_NAME},
    {"column", PG_DIAG_COLUMN_NAME}, {"constraint", PG_DIAG_CONSTRAINT_NAME}};

std::string trimmed(const char* text) {
  std::string message = text;
  while (!message.empty() && message.back() == '\n') message.pop_back();
  return message;
}

// What a step raises is kept in every history that it comes to.
constexpr std::size_t kMaxField = 64 * 1024;

std::string bounded(std::string text) {
  if (text.size() <= kMaxField) return text;
  return std::string(dsl::utf8_prefix(text, kMaxField)) + "…";
}

}  // namespace

bool is_transient(const std::string& sqlstate) {
  return sqlstate.starts_with("40") || (sqlstate.starts_with("08") && sqlstate != kProtocolViolation) ||
         sqlstate.starts_with("53") || sqlstate == "57P01" || sqlstate == "57P02" || sqlstate == "57P03" ||
         sqlstate == "55P03";
}

std::string error_field(const PGresult* result, int code) {
  const char* text = PQresultErrorField(result, code);
  return text != nullptr ? std::string(text, strnlen(text, kMaxField + 1)) : "";
}

dsl::Failure failure_of(const PGresult* result, const StepOrigin& origin, bool with_context) {
  dsl::Failure failure;
  failure.code = error_field(result, PG_DIAG_SQLSTATE);
  if (failure.code.find_first_not_of("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") != std::string::npos)
    failure.code = "XX000";
  std::string message = error_field(result, PG_DIAG_MESSAGE_PRIMARY);
  if (failure.code.empty()) {  // libpq's own: the connection broke
    failure.code = "08006";
    message = trimmed(PQresultErrorMessage(result));
  }
  if (failure.code == kProtocolViolation && message.starts_with("bind message")) {
    return make_step_failure(origin, "42P02", "parameters such as $1 cannot be bound in a workflow",
                             "$1 is not a reference: name an earlier step's result with |=> 'name' and write "
                             "$name, or give a variable and write {name}");
  }
  failure.transient = is_transient(failure.code);
  failure.message = bounded(std::move(message));
  failure.detail = bounded(error_field(result, PG_DIAG_MESSAGE_DETAIL));
  failure.hint = bounded(error_field(result, PG_DIAG_MESSAGE_HINT));
  failure.node = origin.node_id;
  failure.attempts = origin.attempt;
  for (const auto& [name, code] : kFields) {
    const std::string text = error_field(result, code);
    if (text.empty() || (code == PG_DIAG_CONTEXT && !with_context)) continue;
    failure.add_text(name, bounded(text));
  }
  return failure;
}

dsl::Failure make_step_failure(const StepOrigin& origin, const std::string& code, const std::string& message,
                               const std::string& hint) {
  dsl::Failure failure{code, message};
  failure.hint = hint;
  failure.node = origin.node_id;
  failure.attempts = origin.attempt;
  failure.transient = is_transient(code);
  failure.final = !failure.transient;
  return failure;
}

// libpq gives no SQLSTATE for a failed connection, only its text.
StoreError login_error(PGconn* conn) {
  const std::string message = conn != nullptr ? trimmed(PQerrorMessage(conn)) : "out of memory";
  const auto refusal = std::find_if(std::begin(kRefusals), std::end(kRefusals), [&](const auto& known) {
    return message.find(known.first) != std::string::npos;
  });
  return {StoreError::Kind::kTransient, "connect", message,
          refusal != std::end(kRefusals) ? refusal->second : "08001"};
}

}  // namespace durabled::store

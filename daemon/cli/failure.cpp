#include "daemon/cli/failure.hpp"

#include <iostream>
#include <sstream>

namespace durabled::daemon::cli {
namespace {

constexpr const char* kNoDataFound = "P0002";  // what the functions of df raise for an instance that is not there
constexpr const char* kNoSuchSchema = "3F000";
constexpr const char* kNoSuchTable = "42P01";
constexpr const char* kNotAllowed = "42501";

bool is_connection_failure(const std::string& sqlstate) {
  // Without a SQLSTATE the server never answered; 57P01 to 57P03: it is stopping or starting.
  return sqlstate.empty() || sqlstate.starts_with("08") || sqlstate.starts_with("57P0");
}

bool is_decoration(const std::string& line) {
  return line.starts_with("CONTEXT:") || line.starts_with("PL/pgSQL function") || line.starts_with("SQL function") ||
         line.starts_with("LINE ") || line.empty() || line.find_first_not_of(" ^") == std::string::npos;
}

std::string advice(const std::string& sqlstate) {
  if (sqlstate == kNoSuchSchema || sqlstate == kNoSuchTable) {
    return "\nhint: is the schema installed in this database? durabled init installs it, durabled doctor looks.";
  }
  if (sqlstate == kNotAllowed) return "\nhint: the owner of the schema can allow it: select df.grant_usage('ROLE');";
  return "";
}

}  // namespace

ExitCode exit_code(const store::StoreError& error) {
  if (error.sqlstate() == kNoDataFound) return ExitCode::kNotFound;
  if (error.kind() == store::StoreError::Kind::kPermanent) return ExitCode::kFailed;
  return is_connection_failure(error.sqlstate()) ? ExitCode::kUnreachable : ExitCode::kFailed;
}

std::string explain(const store::StoreError& error) {
  std::string text = error.what();
  constexpr std::string_view kSeverity = "ERROR:  ";
  if (const auto at = text.find(kSeverity); at != std::string::npos) text.erase(0, at + kSeverity.size());
  std::istringstream lines(text);
  std::string result;
  bool has_hint = false;
  for (std::string line; std::getline(lines, line);) {
    if (is_decoration(line)) continue;
    const bool hint = line.starts_with("HINT:  ");
    has_hint = has_hint || hint;
    if (hint) line = "hint: " + line.substr(7);
    if (line.starts_with("DETAIL:  ")) line = "detail: " + line.substr(9);
    result += (result.empty() ? "" : "\n") + line;
  }
  return has_hint ? result : result + advice(error.sqlstate());
}

ExitCode report(ExitCode code, const std::string& message) {
  std::cout.flush();
  std::cerr << "durabled: " << message << '\n';
  return code;
}

}  // namespace durabled::daemon::cli

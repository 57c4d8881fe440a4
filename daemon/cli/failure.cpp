#include "daemon/cli/failure.hpp"

#include <iostream>
#include <sstream>
#include <string_view>

#include "daemon/cli/json_output.hpp"

namespace durabled::daemon::cli {
namespace {

constexpr const char* kNoDataFound =
    "P0002";  // what the functions of df raise for an instance that is not there
constexpr const char* kNoSuchSchema = "3F000";
constexpr const char* kNoSuchTable = "42P01";
constexpr const char* kNotAllowed = "42501";

constexpr std::string_view kSeverity = "ERROR:  ";

bool is_connection_failure(const store::StoreError& error) {
  // Some errors of statements come without their SQLSTATE, a deadlock for one, but a server's answer shows.
  // 57P01 to 57P03: it is stopping or starting.
  if (error.sqlstate().empty())
    return std::string_view(error.what()).find(kSeverity) == std::string_view::npos;
  return error.sqlstate().starts_with("08") || error.sqlstate().starts_with("57P0");
}

bool is_decoration(const std::string& line) {
  return line.starts_with("CONTEXT:") || line.starts_with("PL/pgSQL function") ||
         line.starts_with("SQL function") || line.starts_with("LINE ") || line.empty() ||
         line.find_first_not_of(" ^") == std::string::npos;
}

std::string advice(const store::StoreError& error) {
  const std::string& sqlstate = error.sqlstate();
  if (sqlstate == kNoSuchSchema || sqlstate == kNoSuchTable) {
    return "\nhint: is the schema installed in this database? durabled init installs it, durabled doctor "
           "looks.";
  }
  const bool is_owners =
      std::string_view(error.what()).find("permission denied for function") != std::string_view::npos;
  if (is_denied(error) && is_owners) return "\nhint: this is for the owner of the schema df.";
  if (is_denied(error)) return "\nhint: the owner of the schema can allow it: select df.grant_usage('ROLE');";
  return "";
}

}  // namespace

bool is_denied(const store::StoreError& error) {
  // libpqxx 6 keeps the SQLSTATE of this one error to itself.
  return error.sqlstate() == kNotAllowed ||
         (error.sqlstate().empty() &&
          std::string_view(error.what()).find("permission denied") != std::string_view::npos);
}

ExitCode exit_code(const store::StoreError& error) {
  if (error.sqlstate() == kNoDataFound) return ExitCode::kNotFound;
  if (error.kind() == store::StoreError::Kind::kPermanent) return ExitCode::kFailed;
  return is_connection_failure(error) ? ExitCode::kUnreachable : ExitCode::kFailed;
}

std::string explain(const store::StoreError& error) {
  std::string text = error.what();
  if (const auto at = text.find(kSeverity); at != std::string::npos) {
    text.erase(0, at + kSeverity.size());
  } else if (const auto operation = text.find(": "); operation != std::string::npos) {
    text.erase(0, operation + 2);
  }
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
  return has_hint ? result : result + advice(error);
}

ExitCode report(bool json, ExitCode code, const std::string& message) {
  std::cout.flush();
  if (json) {
    const std::string error =
        JsonObject().text("message", message).number("exit_code", static_cast<long long>(code)).text();
    std::cerr << JsonObject().raw("error", error).text() << '\n';
  } else {
    std::cerr << "durabled: " << message << '\n';
  }
  return code;
}

void warn(bool json, const std::string& message) {
  if (json) {
    std::cerr << JsonObject().raw("warning", JsonObject().text("message", message).text()).text() << '\n';
  } else {
    std::cerr << "warning: " << message << '\n';
  }
}

}  // namespace durabled::daemon::cli

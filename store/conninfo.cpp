#include "store/conninfo.hpp"

#include <libpq-fe.h>

#include <algorithm>
#include <memory>

#include "store/quiet_login.hpp"

namespace durabled::store {
namespace {

using Options = std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)>;

Options parse(const std::string& conninfo) {
  return {PQconninfoParse(conninfo.c_str(), nullptr), &PQconninfoFree};
}

// Results are read in these text forms; the server looks for a client that is gone while a long statement
// runs. libpq would print what a server says at a login, which may be a text of the role's.
constexpr const char* kOptions =
    "-c datestyle=ISO -c intervalstyle=postgres -c bytea_output=hex -c extra_float_digits=1 "
    "-c standard_conforming_strings=on -c array_nulls=on -c client_connection_check_interval=2000 "
    "-c client_min_messages=error";

// When a session gives up a daemon that is silent within a transaction, or whose host is.
std::string silence_options(std::chrono::milliseconds lease_ttl) {
  const std::string limit = std::to_string(lease_ttl.count());
  const std::string idle = std::to_string(std::max<long long>(1, lease_ttl.count() / 2000));
  return " -c idle_in_transaction_session_timeout=" + limit + " -c tcp_user_timeout=" + limit +
         " -c tcp_keepalives_idle=" + idle + " -c tcp_keepalives_interval=" + idle +
         " -c tcp_keepalives_count=2";
}

}  // namespace

std::string conninfo_problem(const std::string& conninfo) {
  if (conninfo.empty()) return "";
  const bool is_uri = conninfo.starts_with("postgresql://") || conninfo.starts_with("postgres://");
  if (!parse(conninfo)) {
    return is_uri
               ? "is not a valid URI; in a user name or password write / as %2F, @ as %40, : as %3A, % as %25"
               : "is not a valid connection string; write a URI, postgresql://USER@HOST/DATABASE, or "
                 "keywords, 'host=HOST dbname=DATABASE user=USER'";
  }
  if (!is_uri) return "";
  const std::string main = conninfo.substr(0, conninfo.find('?'));
  const std::size_t at = main.find('@'), slash = main.find('/', main.find("://") + 3);
  const bool at_is_unclear =
      at != std::string::npos && (at > slash || main.find('@', at + 1) != std::string::npos);
  const bool port_is_none =
      conninfo_value(conninfo, "port").find_first_not_of("0123456789,") != std::string::npos;
  if (!at_is_unclear && !port_is_none) return "";
  return "can be read in two ways; in a user name, password or database write / as %2F, @ as %40, : as %3A";
}

std::string conninfo_value(const std::string& conninfo, const std::string& key) {
  const Options options = parse(conninfo);
  for (const PQconninfoOption* option = options.get(); option != nullptr && option->keyword != nullptr;
       ++option) {
    if (key == option->keyword && option->val != nullptr) return option->val;
  }
  return "";
}

std::optional<ConnectParams> conninfo_params(const std::string& conninfo) {
  const Options options = parse(conninfo);
  if (!options) return std::nullopt;
  ConnectParams params;
  for (const PQconninfoOption* option = options.get(); option->keyword != nullptr; ++option) {
    if (option->val != nullptr) params.emplace_back(option->keyword, option->val);
  }
  return params;
}

std::string conninfo_text(const ConnectParams& params) {
  std::string text;
  for (const auto& [keyword, value] : params) {
    text += (text.empty() ? "" : " ") + keyword + "='";
    for (const char c : value) {
      if (c == '\'' || c == '\\') text += '\\';
      text += c;
    }
    text += '\'';
  }
  return text;
}

// An empty password would not do: libpq takes no notice of it.
std::string without_password(const std::string& conninfo) {
  auto params = conninfo_params(conninfo);
  if (!params) return conninfo;
  std::erase_if(*params, [](const auto& param) { return param.first == "password"; });
  return conninfo_text(*params);
}

std::string redacted(const std::string& conninfo) {
  const Options options = parse(conninfo);
  std::string text;
  for (const PQconninfoOption* option = options.get(); option != nullptr && option->keyword != nullptr;
       ++option) {
    if (option->val == nullptr) continue;
    const bool secret = option->dispchar[0] == '*';
    text += std::string(text.empty() ? "" : " ") + option->keyword + '=' + (secret ? "****" : option->val);
  }
  return text;
}

ConnectParams step_params(const std::string& base, const StepTarget& target, const std::string& login,
                          const std::string& own_role, const std::string& extra, bool pooled,
                          std::chrono::milliseconds lease_ttl) {
  // The daemon's password is for its own role: another one logs in by the passfile, or by identity.roles.
  const std::string shared = login == own_role ? base : without_password(base);
  ConnectParams params = {{"dbname", shared.empty() ? "dbname=''" : shared}};
  params.emplace_back("dbname", target.database);
  params.emplace_back("user", login);
  if (conninfo_value(base, "connect_timeout").empty()) params.emplace_back("connect_timeout", "10");
  params.emplace_back("application_name", "durabled step");
  params.emplace_back("client_encoding", "UTF8");
  const Options more = parse(extra);
  for (const PQconninfoOption* option = more.get(); option != nullptr && option->keyword != nullptr;
       ++option) {
    if (option->val != nullptr) params.emplace_back(option->keyword, option->val);
  }
  for (std::size_t i = params.size(); i-- > 0;) {
    if (params[i].first != "passfile") continue;
    if (passfile_problem(params[i].second)) params.emplace_back("passfile", kNoPassfile);
    break;
  }
  if (!pooled) {
    std::string theirs = conninfo_value(extra, "options");
    if (theirs.empty()) theirs = conninfo_value(base, "options");
    params.emplace_back("options",
                        theirs + (theirs.empty() ? "" : " ") + kOptions + silence_options(lease_ttl));
  }
  return params;
}

}  // namespace durabled::store

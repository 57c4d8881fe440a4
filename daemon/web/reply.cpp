#include "daemon/web/reply.hpp"

#include "daemon/cli/json_output.hpp"

namespace durabled::daemon::web {
namespace {

std::optional<std::string> unless_empty(const std::string& text) {
  return text.empty() ? std::nullopt : std::optional(text);
}

}  // namespace

std::string Refused::json() const {
  return cli::JsonObject()
      .text("message", std::string(what()))
      .text("code", code_)
      .text("sqlstate", unless_empty(sqlstate_))
      .text("hint", unless_empty(hint_))
      .text();
}

Refused refusal(const store::WebError& error) {
  const std::string& state = error.sqlstate();
  const std::string kind = state.substr(0, 2);
  const auto as = [&](int status, const char* code) {
    return Refused(status, code, error.text(), state, error.hint());
  };
  if (state == "P0002") return as(404, "not_found");
  if (state == "42501") return as(403, "forbidden");
  if (state == "57014")
    return {504, "timeout", "the query took longer than 5 s", state, "Narrow the filter."};
  if (kind == "28") return as(401, "login_failed");
  if (state == "3F000" || kind == "08" || kind == "53" || kind == "57") return as(503, "database");
  if (state == "55000" || kind == "40" || state == "55P03") return as(409, "refused");
  if (kind == "22" || kind == "23" || kind == "54") return as(400, "bad_request");
  return as(500, "internal");
}

Reply error_reply(const Refused& refused, const std::string& more) {
  Reply reply{.status = refused.status(), .body = "{\"error\":" + refused.json() + more + '}'};
  if (refused.status() == 429) reply.headers.emplace_back("Retry-After", "10");
  return reply;
}

Reply json_reply(std::optional<std::string> body) {
  if (!body) throw not_found();
  return {.body = *std::move(body)};
}

}  // namespace durabled::daemon::web

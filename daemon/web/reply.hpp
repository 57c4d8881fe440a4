// Answers before they are HTTP.
#pragma once

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "store/web_store.hpp"

namespace durabled::daemon::web {

struct Reply {
  int status = 200;
  std::string body;
  std::string type = "application/json";
  std::vector<std::pair<std::string, std::string>> headers = {};
};

// Ends a request with {"error": …}.
class Refused : public std::runtime_error {
 public:
  Refused(int status, std::string code, const std::string& message, std::string sqlstate = {},
          std::string hint = {})
      : std::runtime_error(message),
        status_(status),
        code_(std::move(code)),
        sqlstate_(std::move(sqlstate)),
        hint_(std::move(hint)) {}
  int status() const { return status_; }
  const std::string& code() const { return code_; }
  std::string json() const;  // {"message", "code", "sqlstate", "hint"}

 private:
  int status_;
  std::string code_, sqlstate_, hint_;
};

Refused refusal(const store::WebError& error);
inline Refused not_found() {
  return {404, "not_found", "there is no such thing, or this role may not see it"};
}

// `more`: further members after the error, beginning with a comma.
Reply error_reply(const Refused& refused, const std::string& more = "");

inline Reply json_reply(std::string body) {
  return {.body = std::move(body)};
}
// 404 where there is nothing.
Reply json_reply(std::optional<std::string> body);

}  // namespace durabled::daemon::web

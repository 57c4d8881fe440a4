// A database, a page in alice's name, and alice in front of it: what most tests of the page begin with.
#pragma once

#include <string>

#include "tests/e2e/world.hpp"
#include "tests/web/ui.hpp"

namespace durabled::test {

struct Shown {
  World world;
  Ui ui{world.database().conninfo("alice")};
  Visitor visitor{ui.port()};
  Sql alice = world.session("alice");
  Shown() { visitor.enter(ui.token()); }
  // "done", or the code of the error.
  std::string act(const std::string& id, const std::string& action, boost::json::object body = {}) {
    const WebAnswer answer = visitor.post("/api/instances/" + id + "/" + action, body);
    return answer.status == 200 ? "done" : answer.error_code();
  }
};

inline std::string text(const boost::json::value& value) {
  return value.is_null() ? "null" : std::string(value.as_string());
}

}  // namespace durabled::test

// A World with the HTTP test server beside it, and daemons that may call it.
#pragma once

#include <string>
#include <utility>

#include "tests/e2e/json_check.hpp"
#include "tests/e2e/world.hpp"
#include "tests/support/http_server.hpp"

namespace durabled::test {

class HttpWorld : public World {
 public:
  explicit HttpWorld(PostgresServer& server = shared_server()) : World(server) { http.add_standard_routes(); }

  // The settings that allow the test server, by its address.
  Settings allowed() const { return {{"http.allow", "[" + entry("127.0.0.1") + "]"}}; }

  // An entry of http.allow for the test server under that name; `more` is added to it.
  std::string entry(const std::string& host, const std::string& more = "") const {
    return "{scheme: http, host: " + host + ", port: " + std::to_string(http.port()) +
           ", address_ranges: [127.0.0.0/8]" + more + "}";
  }

  // start_daemon() with allowed(); `settings` win.
  DaemonProcess& start_calling_daemon(Settings settings = {}) {
    settings.merge(allowed());
    return start_daemon(std::move(settings));
  }

  HttpTestServer http;
};

// df.http('URL'rest) for a path of the test server; `rest` begins with a comma.
inline std::string call(const HttpWorld& world, const std::string& path,
                        const std::string& rest = ", 'GET'") {
  return "df.http('" + world.http.url(path) + "'" + rest + ")";
}

}  // namespace durabled::test

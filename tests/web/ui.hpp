// durabled ui as a test's child, and a client of it that says what a browser or an attacker would say.
#pragma once

#include <boost/json.hpp>
#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/catch.hpp"
#include "tests/support/child_process.hpp"
#include "tests/support/temporary_directory.hpp"

using Catch::Matchers::StartsWith;

namespace durabled::test {

using Headers = std::vector<std::pair<std::string, std::string>>;

struct WebAnswer {
  int status = 0;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;

  std::string header(const std::string& name) const;  // "" if the header is missing
  boost::json::value json() const { return boost::json::parse(body); }
  std::string error_code() const;  // of {"error": {"code"}}
};

class Ui {
 public:
  // `options`: of the command, without --database.
  explicit Ui(const std::string& database, std::vector<std::string> options = {});

  int port() const { return port_; }
  std::string token() const { return token_; }  // of the link that was printed first
  std::string log() const { return read_file(directory_.path() / "log"); }
  ChildProcess& process() { return *process_; }

 private:
  TemporaryDirectory directory_{"durabled-ui"};
  std::unique_ptr<ChildProcess> process_;
  int port_ = 0;
  std::string token_;
};

// One person at a page. Every request has a connection of its own.
class Visitor {
 public:
  explicit Visitor(int port) : port_(port) {}

  // With the head that a browser sends from the page itself: Host, Sec-Fetch-Site, Content-Type, the cookie. A header in
  // `more` takes the place of that one; an empty value leaves it out.
  WebAnswer request(const std::string& method, const std::string& path, const std::string& body = "",
                    const Headers& more = {});
  WebAnswer get(const std::string& path) { return request("GET", path); }
  WebAnswer post(const std::string& path, const boost::json::value& body) {
    return request("POST", path, boost::json::serialize(body));
  }
  // Requires 200.
  boost::json::value json(const std::string& path);

  // By the link's token; requires that it works.
  void enter(const std::string& token);
  // Returns the status.
  int log_in(const std::string& user, const std::string& password);

  std::string cookie;  // "name=value", kept from Set-Cookie
  Headers always;      // in each request
  int port() const { return port_; }

 private:
  int port_;
};

// Bytes as they are; what the server answers until it closes, or nothing for `timeout`.
std::string raw_exchange(int port, const std::string& bytes,
                         std::chrono::milliseconds timeout = std::chrono::seconds{10});

// A stream of server-sent events.
class EventStream {
 public:
  struct Event {
    std::string name, data, id;
  };
  EventStream(const Visitor& visitor, const std::string& path);
  ~EventStream();

  // Nothing when it takes too long, or the stream has ended.
  std::optional<Event> next(std::chrono::milliseconds timeout = std::chrono::seconds{20});
  // The next of that name; throws when none comes.
  boost::json::value next(const std::string& name);
  bool has_ended() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace durabled::test

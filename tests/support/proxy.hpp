// A TCP proxy in front of PostgreSQL that breaks a connection at a chosen message of the protocol (version 3), so that
// tests can lose any message there is. Connect through it without TLS (sslmode=disable gssencmode=disable).
#pragma once

#include <memory>
#include <string>

namespace durabled::test {

// Forwards on a thread of its own. Thread-safe. Destruction breaks all connections.
class Proxy {
 public:
  enum class Direction { kToServer, kFromServer };

  // Which connections: those of a role, with an application_name. "": of any.
  struct Match {
    std::string user, application;
  };

  // `server_port` is on the loopback interface.
  explicit Proxy(int server_port);
  ~Proxy();
  Proxy(const Proxy&) = delete;
  Proxy& operator=(const Proxy&) = delete;

  // On the loopback interface.
  int port() const;

  // Instead of the `at`th message in this direction, from 1, counted from now on over all connections that match,
  // its connection is broken: what came before it is forwarded, it is not. One cut at a time for each `match.user`.
  void arm(const Match& match, Direction direction, int at);
  // Whether the message has come.
  bool has_cut(const std::string& user) const;
  // Ends the counting; returns whether the message came.
  bool disarm(const std::string& user);
  // Whether the server has answered all that was asked over the connections that match.
  bool is_quiet(const Match& match) const;
  // Breaks the connections that match.
  void hang_up(const Match& match);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace durabled::test

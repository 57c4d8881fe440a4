// The fault sweep: a real daemon behind a proxy that breaks a connection at the Nth message of the protocol, while a
// short workflow of each kind of step runs.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/e2e/http_world.hpp"
#include "tests/support/proxy.hpp"

namespace durabled::test {

// A workflow whose steps write rows (instance, step) into the table effects.
struct SweptKind {
  std::string name, dsl;
  int steps = 1;  // that have an effect, exactly once each
  std::string at_least_once =
      {};                   // "step", "call": there is one effect more, of this kind, and it may be repeated
  std::string signal = {};  // that it waits for
  bool elsewhere = false;   // in another database
  bool logs_in = false;     // its step has no session yet
};

// Every kind, with an HTTP server of that base URL.
std::vector<SweptKind> swept_kinds(const std::string& url);

// One role's workflows, on a session of its own that the proxy does not see: for one thread.
class SweptRole {
 public:
  SweptRole(const World& world, const TestDatabase& elsewhere, const HttpTestServer& http,
            const std::string& role);

  std::string submit(const SweptKind& kind);
  // What is wrong with it once it has ended; "": nothing. Waits for the end.
  std::string fault_of(const SweptKind& kind, const std::string& id);

 private:
  std::string history_of(const std::string& id);

  const HttpTestServer& http_;
  Sql sql_, elsewhere_;
  std::map<std::string, std::string> histories_;  // by kind: that of the first one
};

}  // namespace durabled::test

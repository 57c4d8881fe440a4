// What the tests of the HTTP client share: a server, a client that may reach it, and calls that wait for
// their outcome.
#pragma once

#include <boost/json.hpp>
#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <utility>

#include "daemon/http/client.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/http_server.hpp"

namespace durabled::test {

using namespace std::chrono_literals;
using AllowEntry = config::Config::Http::Allow;

inline std::shared_ptr<const daemon::HttpPolicy> make_policy(const config::Config::Http& config) {
  auto policy = daemon::HttpPolicy::create(config);
  INFO((policy ? "" : policy.error()));
  REQUIRE(policy);
  return *policy;
}

inline AllowEntry allow(const std::string& scheme, const std::string& host, int port = 0,
                        const std::string& path_prefix = "/") {
  AllowEntry entry;
  entry.scheme = scheme;
  entry.host = host;
  entry.port = port;
  entry.path_prefix = path_prefix;
  return entry;
}

// A server with the standard routes, and a configuration that allows every call to it at 127.0.0.1.
struct HttpFixture {
  HttpTestServer server;
  config::Config::Http config;

  HttpFixture() {
    server.add_standard_routes();
    allow_host("127.0.0.1").address_ranges = {"127.0.0.0/8"};
  }

  // Adds an entry for `host` at the server's port, with no address range.
  AllowEntry& allow_host(const std::string& host) {
    return config.allow.emplace_back(allow("http", host, server.port()));
  }

  // "host:port:127.0.0.1": makes `host` lead to the server.
  std::string lookup(const std::string& host) const {
    return host + ":" + std::to_string(server.port()) + ":127.0.0.1";
  }

  std::unique_ptr<daemon::HttpClient> client(const daemon::HttpClient::Options& options = {}) const {
    return std::make_unique<daemon::HttpClient>(config, make_policy(config), options);
  }

  daemon::HttpRequest request(const std::string& path, const std::string& method = "GET",
                              const std::string& host = "127.0.0.1") const {
    daemon::HttpRequest request;
    request.method = method;
    request.url = server.url(path, host);
    request.timeout = 10s;
    request.role = "alice";
    return request;
  }
};

inline daemon::HttpOutcome call(daemon::HttpClient& client, daemon::HttpRequest request) {
  std::promise<daemon::HttpOutcome> promise;
  auto future = promise.get_future();
  client.start(std::move(request),
               [&](daemon::HttpOutcome outcome) { promise.set_value(std::move(outcome)); });
  REQUIRE(future.wait_for(20s) == std::future_status::ready);
  return future.get();
}

// The envelope of a call that must succeed.
inline boost::json::object answer(daemon::HttpClient& client, daemon::HttpRequest request) {
  auto outcome = call(client, std::move(request));
  INFO((outcome ? "" : outcome.error().code + ": " + outcome.error().message));
  REQUIRE(outcome);
  return boost::json::parse(outcome->json).as_object();
}

// What the server's /echo saw.
inline boost::json::object echoed(daemon::HttpClient& client, daemon::HttpRequest request) {
  const auto envelope = answer(client, std::move(request));
  return boost::json::parse(envelope.at("body").as_string()).as_object();
}

inline daemon::HttpFailure failure(daemon::HttpClient& client, daemon::HttpRequest request) {
  auto outcome = call(client, std::move(request));
  INFO((outcome ? outcome->json : ""));
  REQUIRE(!outcome);
  return outcome.error();
}

inline std::string text(const boost::json::value& value) {
  return std::string(value.as_string());
}

inline daemon::SecretText with_secrets(const std::string& template_text) {
  auto parsed = daemon::SecretText::parse(template_text);
  REQUIRE(parsed);
  return *parsed;
}

inline bool is_transient(const daemon::HttpFailure& failure) {
  return failure.failure_class == daemon::HttpFailure::Class::kTransient;
}

}  // namespace durabled::test

// A small HTTP server for tests and demos, on loopback. It answers what it is told to, misbehaves on demand,
// and remembers what it was asked. Holds hundreds of connections at once.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace durabled::test {

struct TestCall {
  std::string method;
  std::string path;                            // without query, as sent
  std::string query;                           // without '?'
  std::map<std::string, std::string> headers;  // lower-case names
  std::string body;
  int number = 1;  // of the calls for this path, from 1

  std::string header(const std::string& name) const;     // "" when it is not there
  std::string parameter(const std::string& name) const;  // from the query, percent-decoded; "" likewise
};

struct TestAnswer {
  enum class Fate {
    kAnswer,
    kHang,   // never answers, until the client goes away
    kReset,  // breaks the connection off (RST)
    kFlood,  // a body without end
    kRaw,    // writes `body` as it is, without a status line, and closes
  };
  int status = 200;
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers = {};
  std::chrono::milliseconds delay{0};  // before anything of the above
  Fate fate = Fate::kAnswer;
};

// Thread-safe. Handlers run on the server's threads.
class HttpTestServer {
 public:
  using Handler = std::function<TestAnswer(const TestCall&)>;

  // Listens at once. `port` 0: any free one. Throws when it cannot.
  explicit HttpTestServer(std::uint16_t port = 0, const std::string& address = "127.0.0.1");
  ~HttpTestServer();
  HttpTestServer(const HttpTestServer&) = delete;
  HttpTestServer& operator=(const HttpTestServer&) = delete;

  std::uint16_t port() const;
  // "http://127.0.0.1:PORT/path"; another host by name where it resolves to here.
  std::string url(const std::string& path, const std::string& host = "127.0.0.1") const;

  // Answers every path that begins with `prefix`; the longest prefix wins, a later route replaces an earlier
  // one. Without any: 404.
  void route(const std::string& prefix, Handler handler);
  void route(const std::string& prefix, TestAnswer answer);

  // The routes that http_test_server has:
  //   /echo              the request as JSON: method, path, query, headers, body (or body_b64), number
  //   /json              {"message":"hello","items":[1,2,3]}, with "number"
  //   /bytes             all 256 bytes, application/octet-stream
  //   /status/CODE       that status
  //   /delay/MS          200 after MS milliseconds
  //   /sequence/503,200  the n-th call of this very path gets the n-th status, later ones the last
  //   /retry-after/N     429 with Retry-After: N on the first call, 200 afterwards
  //   /redirect/CODE     to ?to=URL
  //   /flood /hang /reset
  //   /calls             {"path": number of calls so far, …}
  void add_standard_routes();

  // What the examples call (http_server_example_routes.cpp); http_test_server has these too:
  //   /v1/embeddings     as OpenAI's: an embedding of 4 numbers for each input; 401 without a bearer token
  //   /enrich/ID         429 with Retry-After: 0 on the first call, then {"id":"ID","segment":…}
  //   /jobs              202 {"job":"job-N"}: a webhook receiver that would call back later
  //   /export            [{"sku","price"},…]
  void add_example_routes();

  std::vector<TestCall> calls(const std::string& path) const;  // in order of arrival
  int count(const std::string& path) const;
  std::map<std::string, int> counts() const;  // by path
  int open_calls() const;                     // being answered (or hung) now
  int most_open() const;                      // the most there ever were at once
  int abandoned() const;                      // calls whose client went away before the answer
  int connections() const;                    // accepted so far

  class State;

 private:
  std::shared_ptr<State> state_;
};

}  // namespace durabled::test

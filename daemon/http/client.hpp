// The HTTP steps' client: one thread that carries hundreds of calls at once, over libcurl's multi interface.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "config/config.hpp"
#include "daemon/http/policy.hpp"
#include "daemon/http/request.hpp"

namespace durabled::daemon {

using HttpCallId = std::uint64_t;  // never 0, never used twice

struct HttpLoad {
  std::size_t in_flight = 0;
  std::size_t queued = 0;
};

// Thread-safe. Certificates are verified; only http and https are spoken, HTTP/1.1 or, over TLS, 2. No proxy
// is used: variables like https_proxy are not read, since a proxy would make the connections that the policy
// is to judge. Connections are kept for reuse; the address of a reused one is judged again for the call that
// takes it. At most http.max_in_flight calls run; the others wait, roles taking turns (fair_queue.hpp).
class HttpClient {
 public:
  using Done = std::function<void(HttpOutcome)>;

  // For tests: answers to name lookups, as "host:port:address". Addresses are judged all the same.
  struct Options {
    std::vector<std::string> resolve;
  };

  // Requires: `policy` not null. Starts the thread.
  HttpClient(const config::Config::Http& config, std::shared_ptr<const HttpPolicy> policy);
  HttpClient(const config::Config::Http& config, std::shared_ptr<const HttpPolicy> policy,
             const Options& options);
  // Breaks off what is in flight and joins the thread; `done` of those calls is never called. Must not run on
  // the client's thread.
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // Queues the call and returns at once. `done` is called exactly once, unless abort() comes first, on the
  // client's thread, never from within start(): it must be quick, must not throw, and may call start() and
  // abort(). Secrets are read and the policy is asked when the call leaves the queue.
  HttpCallId start(HttpRequest request, Done done);

  // True: the call's `done` will never be called; its connection is closed soon after. False: `done` has been
  // called, is being called, or the id is unknown. Safe to repeat. Does not block.
  bool abort(HttpCallId id);

  // Takes a reloaded configuration (SIGHUP): holds for every call that leaves the queue from now on, and for
  // redirects of those in flight.
  void reconfigure(const config::Config::Http& config, std::shared_ptr<const HttpPolicy> policy);

  HttpLoad load() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace durabled::daemon

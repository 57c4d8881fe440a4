// The configuration: one struct, one YAML file, one environment variable a key (`steps.connections` is
// DURABLED_STEPS_CONNECTIONS). config/durabled.yaml documents each key; a test holds the two together.
#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace durabled::config {

using Milliseconds = std::chrono::milliseconds;

struct Config {
  // Where the schema is: a URI or conninfo string; what it leaves out comes from libpq's environment.
  std::string database;

  struct Worker {
    std::string name;                                 // shown in df.workers; empty: host name and pid
    int max_instances = 2'000;                        // held in memory at once
    int claim_batch = 200;                            // instances a claim takes at most
    std::size_t claim_bytes = std::size_t{16} << 20;  // read by a claim at most, by about
    std::size_t max_bytes = std::size_t{128} << 20;   // what was read of all that are held, by about
    Milliseconds poll_interval{1'000};                // how long work may wait when no notification comes
    Milliseconds idle_poll_interval{5'000};           // the same with `listen` and nothing to do
    Milliseconds heartbeat_interval{2'000};
    Milliseconds lease_ttl{15'000};       // others take over after that time without a heartbeat
    bool listen = true;                   // LISTEN as doorbell; false behind a transaction pooler
    bool advisory_lock = true;            // liveness by session lock; false behind a transaction pooler
    Milliseconds shutdown_grace{30'000};  // how long SIGTERM lets running steps finish
  } worker;

  struct Steps {
    int connections = 16;             // in total, but for the reserve
    int connections_per_role = 12;    // in all databases
    int connections_reserve = 16;     // beyond these, one for each role without a connection
    Milliseconds timeout{3'600'000};  // a step that lasts longer fails; 0: it may last for ever
    Milliseconds idle_timeout{60'000};
    Milliseconds max_connect_pause{60'000};  // between tries to log in
    Milliseconds mark_running_after{500};    // a step that lasts longer gets an event for its start
    std::size_t max_result_bytes = 16 << 20;
    bool prepared_statements = true;   // false behind a transaction pooler
    std::string group_commit = "off";  // off | auto: short steps of a role share a transaction
  } steps;

  struct Identity {
    std::string mode = "login";  // login | set_role
    std::map<std::string, std::string>
        roles;                        // login: role -> conninfo added to `database` (password, sslcert, …)
    std::string passwords_directory;  // login: one file a role, named like it, with its password
  } identity;

  struct Retry {  // transient failures that nobody asked to retry
    int max_attempts = 5;
    Milliseconds delay{1'000};
    double backoff = 2;
    Milliseconds max_delay{60'000};
  } retry;

  struct Limits {
    int depth = 256;
    int nodes = 10'000;
    std::size_t dsl_bytes = 1 << 20;
    std::size_t instance_bytes = 128 << 20;  // that the results which an instance holds may take
    std::size_t role_bytes = 256 << 20;      // the same of all instances of a role
  } limits;

  struct Loop {
    Milliseconds min_interval{1'000};  // between the starts of iterations of a loop without a condition
    int keep_iterations = 10;          // whose history is kept
  } loop;

  struct Retention {
    std::chrono::seconds keep_finished{0};  // 0: for ever
    int batch = 1'000;
  } retention;

  struct Schema {
    bool auto_upgrade = false;
  } schema;

  struct Http {
    struct Allow {
      std::string scheme = "https";  // http | https
      std::string host;              // exact, or a pattern with * ("*.example.org")
      int port = 0;                  // 0: the scheme's default
      std::string path_prefix = "/";
      std::vector<std::string> roles;           // empty: every role
      std::vector<std::string> address_ranges;  // CIDRs that this entry allows although they are private
      int redirects = 0;                        // followed at most, each checked again
    };
    std::vector<Allow> allow;  // empty: every call is refused
    int max_in_flight = 500;
    std::size_t max_response_bytes = 8 << 20;
    std::string secrets_directory;  // one file a secret: NAME, or ROLE/NAME for one role's own
  } http;

  struct Metrics {
    std::string listen = "127.0.0.1:9464";  // where /metrics, /healthz and /readyz are; empty: nowhere
    std::string labels;                     // of workflows, separated by commas, that /metrics may name
  } metrics;

  struct Traces {
    std::string endpoint;      // of an OpenTelemetry collector, over HTTP; empty: no traces
    std::string headers_file;  // lines "Name: value" that go with what is sent; empty: none
    double sample = 1;         // the share of instances that are traced
  } traces;

  struct Log {
    std::string level = "info";   // trace debug info warning error; warn is the same as warning
    std::string format = "text";  // text | json
    std::string file;             // empty: stderr
  } log;
};

}  // namespace durabled::config

#include "config/loader.hpp"

#include <stdlib.h>

#include <filesystem>

#include "config/keys.hpp"
#include "tests/support/catch.hpp"

using namespace durabled::config;
using std::chrono::milliseconds;

namespace {

Config from(const std::string& yaml) {
  return load_text(yaml, "test.yaml").config;
}

// The text of the error that loading `yaml` ends with; "" when it loads.
std::string error_of(const std::string& yaml, const Sources& others = {}) {
  try {
    load_text(yaml, "test.yaml", others);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "";
}

Config from_environment(const std::string& name, const std::string& text) {
  return load({.environment = {{name, text}}}).config;
}

}  // namespace

TEST_CASE("nothing given: the defaults, and no origins") {
  const Loaded loaded = load({});
  CHECK(loaded.config.steps.connections == Config{}.steps.connections);
  CHECK(loaded.origin.empty());
  for (const auto& key : keys()) CHECK(key.print(loaded.config) == key.print(Config{}));
}

TEST_CASE("an empty file, a file of comments and an empty section are fine") {
  CHECK(error_of("").empty());
  CHECK(error_of("# nothing yet\n").empty());
  CHECK(error_of("steps:\nlog:\n  level: debug\n").empty());
}

TEST_CASE("the file sets values of every kind") {
  const Config config = from(
      "database: postgresql://db/app\n"
      "worker: {name: w1, lease_ttl: 1m, listen: off}\n"
      "steps:\n  connections: 4\n  max_result_bytes: 2MiB\n"
      "retry: {backoff: 1.5, max_delay: 90}\n"
      "retention: {keep_finished: 7d}\n"
      "identity: {mode: set_role, roles: {alice: sslcert=a.crt, bob: ''}}\n");
  CHECK(config.database == "postgresql://db/app");
  CHECK(config.worker.name == "w1");
  CHECK(config.worker.lease_ttl == milliseconds{60'000});
  CHECK_FALSE(config.worker.listen);
  CHECK(config.worker.advisory_lock);
  CHECK(config.steps.connections == 4);
  CHECK(config.steps.max_result_bytes == 2U << 20);
  CHECK(config.retry.backoff == 1.5);
  CHECK(config.retry.max_delay == milliseconds{90'000});
  CHECK(config.retention.keep_finished == std::chrono::hours{24 * 7});
  CHECK(config.identity.mode == "set_role");
  CHECK(config.identity.roles == std::map<std::string, std::string>{{"alice", "sslcert=a.crt"}, {"bob", ""}});
}

TEST_CASE("http.allow reads every field, with defaults for those left out") {
  const Config config = from(
      "http:\n"
      "  allow:\n"
      "    - host: api.example.org\n"
      "    - {scheme: http, host: '*.internal', port: 8080, path_prefix: /v1/, roles: [a, b],\n"
      "       address_ranges: [10.0.0.0/8, '::1'], redirects: 3}\n");
  REQUIRE(config.http.allow.size() == 2);
  const auto& plain = config.http.allow[0];
  CHECK(plain.scheme == "https");
  CHECK(plain.host == "api.example.org");
  CHECK(plain.port == 0);
  CHECK(plain.path_prefix == "/");
  CHECK(plain.roles.empty());
  CHECK(plain.address_ranges.empty());
  CHECK(plain.redirects == 0);
  const auto& full = config.http.allow[1];
  CHECK(full.scheme == "http");
  CHECK(full.host == "*.internal");
  CHECK(full.port == 8080);
  CHECK(full.path_prefix == "/v1/");
  CHECK(full.roles == std::vector<std::string>{"a", "b"});
  CHECK(full.address_ranges == std::vector<std::string>{"10.0.0.0/8", "::1"});
  CHECK(full.redirects == 3);
}

TEST_CASE("the environment wins over the file, and the command line over both", "[S5.1]") {
  const Sources others{.environment = {{"DURABLED_STEPS_CONNECTIONS", "5"}, {"DURABLED_LOG_LEVEL", "warn"}},
                       .overrides = {{"log.level", "error"}}};
  const Loaded loaded =
      load_text("steps:\n  connections: 4\n  idle_timeout: 1s\nlog: {level: debug}\n", "f", others);
  CHECK(loaded.config.steps.connections == 5);
  CHECK(loaded.config.log.level == "error");
  CHECK(loaded.origin ==
        std::map<std::string, std::string>{{"steps.connections", "environment DURABLED_STEPS_CONNECTIONS"},
                                           {"steps.idle_timeout", "f:3"},
                                           {"log.level", "command line"}});
}

TEST_CASE("every key has a variable of its own, and each takes the key's own printed value", "[S5.1]") {
  std::map<std::string, std::string> environment;
  for (const auto& key : keys()) environment[environment_variable(key.path)] = key.print(Config{});
  CHECK(environment.size() == keys().size());
  CHECK(environment.contains("DURABLED_DATABASE"));
  CHECK(environment.contains("DURABLED_WORKER_POLL_INTERVAL"));
  const Loaded loaded = load({.environment = environment});
  CHECK(loaded.origin.size() == keys().size());
  for (const auto& key : keys()) CHECK(key.print(loaded.config) == key.print(Config{}));
}

TEST_CASE("maps and lists come through the environment as YAML") {
  CHECK(from_environment("DURABLED_IDENTITY_ROLES", "{alice: 'password=a b'}").identity.roles.at("alice") ==
        "password=a b");
  const auto allow = from_environment("DURABLED_HTTP_ALLOW", "[{host: example.org}]").http.allow;
  REQUIRE(allow.size() == 1);
  CHECK(allow[0].host == "example.org");
  CHECK_THROWS_WITH(
      from_environment("DURABLED_HTTP_ALLOW", "[{hots: example.org}]"),
      "environment DURABLED_HTTP_ALLOW: key 'http.allow[0].hots': unknown key (did you mean 'host'?)");
  CHECK_THROWS_WITH(from_environment("DURABLED_HTTP_ALLOW", "[{"), ContainsSubstring("is not YAML"));
}

TEST_CASE("printed maps and lists read back as the same value") {
  const Config config = from(
      "identity: {roles: {\"o'hara\": 'password=\"\\ x', b: 'y: z'}}\n"
      "http: {allow: [{host: a.example, roles: ['x, y', '\"'], address_ranges: [fd00::/8]}]}\n");
  for (const auto* path : {"identity.roles", "http.allow"}) {
    const Key* key = find_key(path);
    REQUIRE(key != nullptr);
    const Config again = from_environment(environment_variable(key->path), key->print(config));
    CHECK(key->print(again) == key->print(config));
    CHECK(key->print(again) != key->print(Config{}));
  }
}

TEST_CASE("a misspelt variable of a known section is an error, a stranger's variable is not", "[S5.3]") {
  CHECK_THROWS_WITH(
      from_environment("DURABLED_STEPS_CONECTIONS", "5"),
      "environment DURABLED_STEPS_CONECTIONS: no such key (did you mean DURABLED_STEPS_CONNECTIONS?)");
  CHECK_NOTHROW(from_environment("DURABLED_PG_BIN", "/usr/bin"));
}

TEST_CASE("an unknown key is an error with file, line and a suggestion", "[S5.3]") {
  CHECK(error_of("log:\n  level: info\nsteps:\n  conections: 4\n") ==
        "test.yaml:4: key 'steps.conections': unknown key (did you mean 'steps.connections'?)");
  CHECK(error_of("steps:\n  poll_interval: 1s\n") ==
        "test.yaml:2: key 'steps.poll_interval': unknown key (did you mean 'worker.poll_interval'?)");
  CHECK(error_of("stpes:\n  connections: 1\n") ==
        "test.yaml:1: key 'stpes': unknown key (did you mean 'steps'?)");
  CHECK(error_of("connections: 4\n") ==
        "test.yaml:1: key 'connections': unknown key (did you mean 'steps.connections'?)");
  CHECK(error_of("log:\n  colour_of_the_sky: blue\n") ==
        "test.yaml:2: key 'log.colour_of_the_sky': unknown key");
  CHECK(error_of("", {.overrides = {{"log.levl", "info"}}}) ==
        "command line: key 'log.levl': unknown key (did you mean 'log.level'?)");
}

TEST_CASE("a wrong type is an error that names what was expected", "[S5.3]") {
  struct Case {
    const char* yaml;
    const char* error;
  };
  for (const auto& [yaml, error] : std::vector<Case>{
           {"steps:\n  connections: many",
            "test.yaml:2: key 'steps.connections': expected a whole number, got 'many'"},
           {"steps: {connections: 1.5}",
            "test.yaml:1: key 'steps.connections': expected a whole number, got '1.5'"},
           {"steps: {connections: [1]}",
            "test.yaml:1: key 'steps.connections': expected a single value, got a list"},
           {"steps:\n\n  connections:\n",
            "test.yaml:3: key 'steps.connections': expected a single value, got nothing"},
           {"worker: {listen: maybe}",
            "test.yaml:1: key 'worker.listen': expected true or false, got 'maybe'"},
           {"retry: {backoff: x}", "test.yaml:1: key 'retry.backoff': expected a number, got 'x'"},
           {"limits: {dsl_bytes: big}",
            "test.yaml:1: key 'limits.dsl_bytes': expected a size such as 16MiB, 8MB or a number of bytes, "
            "got 'big'"},
           {"loop: {min_interval: soon}",
            "test.yaml:1: key 'loop.min_interval': expected a duration such as 500ms, 2s, 5m, 1h, 7d or a "
            "number of "
            "seconds, got 'soon'"},
           {"retention: {keep_finished: 500ms}",
            "test.yaml:1: key 'retention.keep_finished': expected whole seconds, got '500ms'"},
           {"steps: 4", "test.yaml:1: key 'steps': expected a map of keys and values"},
           {"- steps", "test.yaml:1: expected a map of keys and values"},
           {"identity: {roles: [a]}", "test.yaml:1: key 'identity.roles': expected a map of keys and values"},
           {"identity:\n  roles:\n    alice: {}\n",
            "test.yaml:3: key 'identity.roles.alice': expected a connection string, got a map"},
           {"http: {allow: {host: a}}", "test.yaml:1: key 'http.allow': expected a list of entries"},
       }) {
    CHECK(error_of(yaml) == error);
  }
}

TEST_CASE("a value outside its range is an error that gives the range", "[S5.3]") {
  struct Case {
    const char* yaml;
    const char* error;
  };
  for (const auto& [yaml, error] : std::vector<Case>{
           {"steps: {connections: 0}", "key 'steps.connections': must be from 1 to 10000, got 0"},
           {"steps: {connections: -3}", "must be from 1 to 10000, got -3"},
           {"steps: {connections: 99999999999}", "must be from 1 to 10000, got 99999999999"},
           {"worker: {claim_batch: 0}", "must be from 1 to 100000, got 0"},
           {"worker: {poll_interval: 1ms}", "must be from 10ms to 1h, got 1ms"},
           {"steps: {max_result_bytes: 1}", "must be from 1KiB to 1GiB, got 1"},
           {"retry: {backoff: 0.5}", "must be from 1 to 1000, got 0.5"},
           {"limits: {depth: 257}", "must be from 1 to 256, got 257"},
           {"identity: {mode: root}", "key 'identity.mode': expected one of login, set_role, got 'root'"},
           {"log: {level: loud}", "expected one of trace, debug, info, warning, warn, error, got 'loud'"},
           {"log: {format: xml}", "expected one of text, json, got 'xml'"},
       }) {
    CHECK_THAT(error_of(yaml), ContainsSubstring(error));
  }
}

TEST_CASE("an entry of http.allow is checked field by field") {
  struct Case {
    const char* entry;
    const char* error;
  };
  for (const auto& [entry, error] : std::vector<Case>{
           {"{}", "key 'http.allow[0]': needs a host"},
           {"{scheme: ftp, host: a}", "key 'http.allow[0].scheme': expected one of http, https, got 'ftp'"},
           {"{host: 'https://a'}", "without scheme, port or path, got 'https://a'"},
           {"{host: 'a:80'}", "got 'a:80'"},
           {"{host: '[zz]'}", "got '[zz]'"},
           {"{host: a, port: 65536}", "must be from 0 to 65535, got 65536"},
           {"{host: a, path_prefix: v1}", "expected a path that begins with /, got 'v1'"},
           {"{host: a, roles: bob}", "key 'http.allow[0].roles': expected a list"},
           {"{host: a, address_ranges: [10.0.0.0/33]}",
            "expected a range such as 10.0.0.0/8, got '10.0.0.0/33'"},
           {"{host: a, address_ranges: [intranet]}", "got 'intranet'"},
           {"{host: a, redirects: 21}", "must be from 0 to 20, got 21"},
           {"{host: a, host: b}", "key 'http.allow[0].host': is given twice"},
       }) {
    CHECK_THAT(error_of("http: {allow: [" + std::string(entry) + "]}"), ContainsSubstring(error));
  }
  CHECK(error_of("http: {allow: [{host: '[::1]', address_ranges: ['::1/128']}]}").empty());
}

TEST_CASE("rules between keys are checked after all sources", "[S5.3]") {
  CHECK(
      error_of("worker:\n  heartbeat_interval: 2s\n  lease_ttl: 4s\n") ==
      "test.yaml:3: key 'worker.lease_ttl': must be more than twice worker.heartbeat_interval (2s), got 4s");
  CHECK(error_of("worker: {heartbeat_interval: 10s}") ==
        "default: key 'worker.lease_ttl': must be more than twice worker.heartbeat_interval (10s), got 15s");
  CHECK(error_of("worker: {heartbeat_interval: 10s}", {.environment = {{"DURABLED_WORKER_LEASE_TTL", "21s"}}})
            .empty());
  CHECK_THAT(error_of("retry: {delay: 2m}"),
             ContainsSubstring("key 'retry.max_delay': must not be less than"));
}

TEST_CASE("a key given twice is an error that names both lines") {
  CHECK(error_of("steps:\n  connections: 1\n  idle_timeout: 1s\n  connections: 2\n") ==
        "test.yaml:4: key 'steps.connections': is given twice (first on line 2)");
  CHECK(error_of("log: {level: info}\nsteps: {}\nlog: {level: warn}\n") ==
        "test.yaml:3: key 'log': is given twice (first on line 1)");
}

TEST_CASE("what is not YAML is said in plain words, with line and column") {
  CHECK(error_of("log:\n\tlevel: info\n") ==
        "test.yaml:2: not YAML at column 7: line 2 is indented with a tab; indent with spaces");
  CHECK(
      error_of("log: {}\nretry: a: b\n") ==
      "test.yaml:2: not YAML at column 9: a second value on this line; put a text that holds ': ' in quotes");
  CHECK(error_of("log:\n  level: info\n format: text\n") ==
        "test.yaml:3: not YAML at column 2: this line does not fit those above it: look at its indentation");
  CHECK(error_of("database: @db\n") ==
        "test.yaml:1: not YAML at column 11: a text cannot begin with this character; put it in quotes");
  CHECK_THAT(error_of("log:\n  level: [info\nsteps: {}\n"), ContainsSubstring("a [ is not closed by ]"));
  CHECK_THAT(error_of("database: *db\n"), ContainsSubstring("not YAML at column 11: the referenced anchor"));
}

TEST_CASE("text that is not YAML is an error with its line", "[S5.3]") {
  CHECK_THAT(error_of("log:\n  level: [info\nsteps: {}\n"), ContainsSubstring("test.yaml:3: "));
  CHECK_THAT(error_of("log: {level: info}\n---\nlog: {level: warn}\n"),
             ContainsSubstring("test.yaml:3: expected one document"));
}

TEST_CASE("a connection string is never repeated in a message") {
  CHECK_THAT(error_of("database: [secret]"), !ContainsSubstring("secret"));
  CHECK_THAT(error_of("identity: {roles: {a: [secret]}}"), !ContainsSubstring("secret"));
}

TEST_CASE("a file that cannot be read is an error with its name") {
  const std::string directory = std::filesystem::temp_directory_path().string();
  CHECK_THROWS_WITH(load({.file = "/nonexistent/durabled.yaml"}),
                    "/nonexistent/durabled.yaml: cannot be read: No such file or directory");
  CHECK_THROWS_AS(load({.file = directory}), ConfigError);
}

TEST_CASE("DATABASE_URL names the database where nothing else does") {
  const std::map<std::string, std::string> platform{{"DATABASE_URL", "postgresql://a@b/c"}};
  CHECK(load_text("", "f", {.environment = platform}).config.database == "postgresql://a@b/c");
  CHECK(load_text("database: dbname=mine", "f", {.environment = platform}).config.database == "dbname=mine");
  auto both = platform;
  both["DURABLED_DATABASE"] = "dbname=chosen";
  CHECK(load_text("", "f", {.environment = both}).config.database == "dbname=chosen");
}

TEST_CASE("OTEL_EXPORTER_OTLP_ENDPOINT names the collector where nothing else does and it can be used") {
  const auto endpoint = [](const std::string& yaml, const std::string& value) {
    return load_text(yaml, "f", {.environment = {{"OTEL_EXPORTER_OTLP_ENDPOINT", value}}})
        .config.traces.endpoint;
  };
  CHECK(endpoint("", "http://collector:4318/") == "http://collector:4318");
  CHECK(endpoint("traces: {endpoint: \"\"}", "https://c/otlp") == "https://c/otlp");
  CHECK(endpoint("traces: {endpoint: \"http://mine:1\"}", "http://c") == "http://mine:1");
  CHECK(endpoint("", "collector:4317").empty());
  CHECK(endpoint("", "").empty());
}

TEST_CASE("an endpoint is the beginning of a URL, in which no password can be") {
  for (const char* bad : {"collector:4318", "grpc://c:4317", "http://", "http://user:pw@c", "http://c/?key=1",
                          "http://c/#a", "http://c d", "http://c\\nd"}) {
    CAPTURE(bad);
    CHECK_THROWS_WITH(
        from("traces: {endpoint: \"" + std::string(bad) + "\"}"),
        ContainsSubstring("traces.endpoint") && ContainsSubstring("such as http://127.0.0.1:4318"));
  }
  CHECK_THROWS_WITH(from("traces: {sample: 1.5}"), ContainsSubstring("must be from 0 to 1"));
}

TEST_CASE("the process's environment is read under its prefix only") {
  setenv("DURABLED_LOG_LEVEL", "debug=1", 1);
  setenv("OTHER_LOG_LEVEL", "x", 1);
  const auto environment = process_environment();
  unsetenv("DURABLED_LOG_LEVEL");
  unsetenv("OTHER_LOG_LEVEL");
  CHECK(environment.at("DURABLED_LOG_LEVEL") == "debug=1");
  CHECK_FALSE(environment.contains("OTHER_LOG_LEVEL"));
}

TEST_CASE("a reload applies what is reloadable and names what is not", "[S5.5]") {
  const Config old = from("steps: {connections: 4}\nlog: {level: info}\n");
  const Config fresh = from(
      "steps: {connections: 8, mark_running_after: 1s}\nlog: {level: debug, format: json}\n"
      "http: {allow: [{host: a}]}\nidentity: {roles: {a: b}}\n");
  CHECK(changed_but_not_reloadable(old, fresh) ==
        std::vector<std::string>{"steps.connections", "log.format"});
  CHECK(changed_but_not_reloadable(old, old).empty());
  Config now = old;
  apply_reloadable(now, fresh);
  CHECK(now.steps.connections == 4);
  CHECK(now.log.format == "text");
  CHECK(now.log.level == "debug");
  CHECK(now.steps.mark_running_after == milliseconds{1'000});
  CHECK(now.http.allow.size() == 1);
  CHECK(now.identity.roles.size() == 1);
}

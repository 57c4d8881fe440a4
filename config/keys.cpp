#include "config/keys.hpp"

#include <algorithm>
#include <cctype>
#include <numeric>
#include <utility>

#include "config/structured.hpp"
#include "config/units.hpp"

namespace durabled::config {
namespace {

using std::chrono::hours;

constexpr bool kReload = true;    // SIGHUP applies it
constexpr bool kRestart = false;  // read once, at the start

constexpr std::size_t kLargestPayload = std::size_t{1} << 30;  // PostgreSQL's own limit on one value

// `text` quoted for a message; a long one is cut.
std::string quoted(const std::string& text) {
  constexpr std::size_t kShown = 60;
  return "'" + (text.size() > kShown ? text.substr(0, kShown) + "…" : text) + "'";
}

std::string expected(const std::string& what, const std::string& text) {
  return "expected " + what + ", got " + quoted(text);
}

std::string out_of_range(const std::string& low, const std::string& high, const std::string& text) {
  return "must be from " + low + " to " + high + ", got " + text;
}

// A table row from a member accessor, so that set, print and copy cannot disagree about where the value
// lives.
template <typename Member, typename Set, typename Print>
Key make_key(std::string path, bool reloadable, Member member, Set set, Print print) {
  Key key;
  key.path = std::move(path);
  key.reloadable = reloadable;
  key.set = [member, set](Config& config, const std::string& text) { return set(member(config), text); };
  key.print = [member, print](const Config& config) { return print(member(config)); };
  key.copy = [member](Config& to, const Config& from) { member(to) = member(from); };
  return key;
}

template <typename Member>
Key integer(std::string path, bool reloadable, Member member, int low, int high) {
  const auto set = [low, high](int& value, const std::string& text) -> std::optional<std::string> {
    const auto number = parse_integer(text);
    if (!number) return expected("a whole number", text);
    if (*number < low || *number > high) return out_of_range(std::to_string(low), std::to_string(high), text);
    value = static_cast<int>(*number);
    return std::nullopt;
  };
  return make_key(std::move(path), reloadable, member, set, [](int value) { return std::to_string(value); });
}

template <typename Member>
Key decimal(std::string path, bool reloadable, Member member, double low, double high) {
  const auto set = [low, high](double& value, const std::string& text) -> std::optional<std::string> {
    const auto number = parse_decimal(text);
    if (!number) return expected("a number", text);
    if (*number < low || *number > high) return out_of_range(print_decimal(low), print_decimal(high), text);
    value = *number;
    return std::nullopt;
  };
  return make_key(std::move(path), reloadable, member, set, print_decimal);
}

// For milliseconds and for seconds alike; what the member cannot hold exactly is refused.
template <typename Member>
Key duration(std::string path, bool reloadable, Member member, Milliseconds low, Milliseconds high) {
  const auto set = [low, high]<typename Duration>(Duration& value,
                                                  const std::string& text) -> std::optional<std::string> {
    const auto parsed = parse_duration(text);
    if (!parsed) return expected("a duration such as 500ms, 2s, 5m, 1h, 7d or a number of seconds", text);
    if (*parsed < low || *parsed > high) return out_of_range(print_duration(low), print_duration(high), text);
    const auto exact = std::chrono::duration_cast<Duration>(*parsed);
    if (exact != *parsed) return expected("whole seconds", text);
    value = exact;
    return std::nullopt;
  };
  return make_key(std::move(path), reloadable, member, set, print_duration);
}

template <typename Member>
Key size(std::string path, bool reloadable, Member member, std::size_t low, std::size_t high) {
  const auto set = [low, high](std::size_t& value, const std::string& text) -> std::optional<std::string> {
    const auto bytes = parse_size(text);
    if (!bytes) return expected("a size such as 16MiB, 8MB or a number of bytes", text);
    if (*bytes < low || *bytes > high) return out_of_range(print_size(low), print_size(high), text);
    value = static_cast<std::size_t>(*bytes);
    return std::nullopt;
  };
  return make_key(std::move(path), reloadable, member, set, print_size);
}

template <typename Member>
Key boolean(std::string path, bool reloadable, Member member) {
  const auto set = [](bool& value, const std::string& text) -> std::optional<std::string> {
    std::string word = text;
    std::transform(word.begin(), word.end(), word.begin(),
                   [](char c) { return static_cast<char>(std::tolower(static_cast<unsigned char>(c))); });
    const bool yes = word == "true" || word == "yes" || word == "on";
    if (!yes && word != "false" && word != "no" && word != "off") return expected("true or false", text);
    value = yes;
    return std::nullopt;
  };
  return make_key(std::move(path), reloadable, member, set,
                  [](bool value) { return std::string(value ? "true" : "false"); });
}

template <typename Member>
Key word(std::string path, bool reloadable, Member member, const std::vector<std::string>& allowed) {
  const auto set = [allowed](std::string& value, const std::string& text) -> std::optional<std::string> {
    if (std::find(allowed.begin(), allowed.end(), text) == allowed.end()) {
      const std::string list = std::accumulate(
          std::next(allowed.begin()), allowed.end(), allowed.front(),
          [](std::string all, const std::string& one) { return std::move(all) + ", " + one; });
      return expected("one of " + list, text);
    }
    value = text;
    return std::nullopt;
  };
  return make_key(std::move(path), reloadable, member, set, [](const std::string& value) { return value; });
}

template <typename Member>
Key text(std::string path, bool reloadable, Member member) {
  const auto set = [](std::string& value, const std::string& given) -> std::optional<std::string> {
    value = given;
    return std::nullopt;
  };
  return make_key(std::move(path), reloadable, member, set, [](const std::string& value) { return value; });
}

// The beginning of a URL, or nothing. The log shows it, so that no password may be in it.
template <typename Member>
Key endpoint(std::string path, bool reloadable, Member member) {
  const auto set = [](std::string& value, const std::string& given) -> std::optional<std::string> {
    const bool is_url = given.starts_with("http://") || given.starts_with("https://");
    const bool is_plain = std::all_of(given.begin(), given.end(), [](char c) {
      return c > ' ' && c < '\x7f' && c != '@' && c != '?' && c != '#';
    });
    if (!given.empty() && (!is_url || !is_plain || given.find("://") + 3 == given.size()))
      return "expected a URL such as http://127.0.0.1:4318, without a user, a password or a query";
    value = given;
    while (value.ends_with('/')) value.pop_back();
    return std::nullopt;
  };
  return make_key(std::move(path), reloadable, member, set, [](const std::string& value) { return value; });
}

template <typename Member, typename Print>
Key structured(std::string path, Shape shape, bool reloadable, Member member, Print print) {
  const auto set = [](auto&, const std::string&) -> std::optional<std::string> {
    return "is a map or a list, not a single value";
  };
  Key key = make_key(std::move(path), reloadable, member, set, print);
  key.shape = shape;
  return key;
}

// A member of a Config, const or not, as a function.
// NOLINTBEGIN(bugprone-macro-parentheses): the argument names a member
#define MEMBER(expression)    \
  [](auto& config) -> auto& { \
    return config.expression; \
  }
// NOLINTEND(bugprone-macro-parentheses)

std::vector<Key> worker_keys() {
  return {
      text("worker.name", kRestart, MEMBER(worker.name)),
      integer("worker.max_instances", kReload, MEMBER(worker.max_instances), 1, 10'000'000),
      integer("worker.claim_batch", kReload, MEMBER(worker.claim_batch), 1, 100'000),
      size("worker.claim_bytes", kReload, MEMBER(worker.claim_bytes), 1'024, kLargestPayload),
      size("worker.max_bytes", kReload, MEMBER(worker.max_bytes), 1'024, std::size_t{1} << 40),
      duration("worker.poll_interval", kReload, MEMBER(worker.poll_interval), Milliseconds{10}, hours{1}),
      duration("worker.idle_poll_interval", kReload, MEMBER(worker.idle_poll_interval), Milliseconds{10},
               hours{1}),
      duration("worker.heartbeat_interval", kRestart, MEMBER(worker.heartbeat_interval), Milliseconds{10},
               hours{1}),
      duration("worker.lease_ttl", kRestart, MEMBER(worker.lease_ttl), Milliseconds{50}, hours{24}),
      boolean("worker.listen", kRestart, MEMBER(worker.listen)),
      boolean("worker.advisory_lock", kRestart, MEMBER(worker.advisory_lock)),
      duration("worker.shutdown_grace", kReload, MEMBER(worker.shutdown_grace), Milliseconds{0}, hours{24}),
  };
}

std::vector<Key> step_keys() {
  return {
      integer("steps.connections", kRestart, MEMBER(steps.connections), 1, 10'000),
      integer("steps.connections_per_role", kRestart, MEMBER(steps.connections_per_role), 1, 10'000),
      integer("steps.connections_reserve", kRestart, MEMBER(steps.connections_reserve), 0, 10'000),
      duration("steps.timeout", kReload, MEMBER(steps.timeout), Milliseconds{0}, hours{24 * 24}),
      duration("steps.idle_timeout", kReload, MEMBER(steps.idle_timeout), Milliseconds{1}, hours{24}),
      duration("steps.max_connect_pause", kReload, MEMBER(steps.max_connect_pause), Milliseconds{10},
               hours{24}),
      duration("steps.mark_running_after", kReload, MEMBER(steps.mark_running_after), Milliseconds{0},
               hours{24}),
      size("steps.max_result_bytes", kReload, MEMBER(steps.max_result_bytes), 1'024, kLargestPayload),
      boolean("steps.prepared_statements", kRestart, MEMBER(steps.prepared_statements)),
      word("steps.group_commit", kRestart, MEMBER(steps.group_commit), {"off", "auto"}),
      word("identity.mode", kRestart, MEMBER(identity.mode), {"login", "set_role"}),
      structured("identity.roles", Shape::kRoles, kReload, MEMBER(identity.roles), print_roles),
      text("identity.passwords_directory", kReload, MEMBER(identity.passwords_directory)),
  };
}

std::vector<Key> policy_keys() {
  return {
      integer("retry.max_attempts", kReload, MEMBER(retry.max_attempts), 1, 1'000'000),
      duration("retry.delay", kReload, MEMBER(retry.delay), Milliseconds{0}, hours{24 * 365}),
      decimal("retry.backoff", kReload, MEMBER(retry.backoff), 1, 1'000),
      duration("retry.max_delay", kReload, MEMBER(retry.max_delay), Milliseconds{0}, hours{24 * 365}),
      // Not reloadable: an instance that was accepted under one limit must replay under the same.
      integer("limits.depth", kRestart, MEMBER(limits.depth), 1, 256),
      integer("limits.nodes", kRestart, MEMBER(limits.nodes), 1, 1'000'000),
      size("limits.dsl_bytes", kRestart, MEMBER(limits.dsl_bytes), 1, std::size_t{16} << 20),
      size("limits.instance_bytes", kRestart, MEMBER(limits.instance_bytes), std::size_t{1} << 20,
           std::size_t{1} << 40),
      size("limits.role_bytes", kRestart, MEMBER(limits.role_bytes), std::size_t{1} << 20,
           std::size_t{1} << 40),
      duration("loop.min_interval", kReload, MEMBER(loop.min_interval), Milliseconds{0}, hours{24 * 365}),
      integer("loop.keep_iterations", kReload, MEMBER(loop.keep_iterations), 1, 1'000'000),
      duration("retention.keep_finished", kReload, MEMBER(retention.keep_finished), Milliseconds{0},
               kLongestDuration),
      integer("retention.batch", kReload, MEMBER(retention.batch), 1, 1'000'000),
      boolean("schema.auto_upgrade", kRestart, MEMBER(schema.auto_upgrade)),
  };
}

std::vector<Key> outside_keys() {
  return {
      structured("http.allow", Shape::kAllow, kReload, MEMBER(http.allow), print_allow),
      integer("http.max_in_flight", kRestart, MEMBER(http.max_in_flight), 1, 100'000),
      size("http.max_response_bytes", kReload, MEMBER(http.max_response_bytes), 1'024, kLargestPayload),
      text("http.secrets_directory", kRestart, MEMBER(http.secrets_directory)),
      text("metrics.listen", kRestart, MEMBER(metrics.listen)),
      text("metrics.labels", kRestart, MEMBER(metrics.labels)),
      endpoint("traces.endpoint", kRestart, MEMBER(traces.endpoint)),
      text("traces.headers_file", kRestart, MEMBER(traces.headers_file)),
      decimal("traces.sample", kRestart, MEMBER(traces.sample), 0, 1),
      word("log.level", kReload, MEMBER(log.level), {"trace", "debug", "info", "warning", "warn", "error"}),
      word("log.format", kRestart, MEMBER(log.format), {"text", "json"}),
      text("log.file", kRestart, MEMBER(log.file)),
  };
}

std::vector<Key> all_keys() {
  std::vector<Key> all{text("database", kRestart, MEMBER(database))};
  for (const auto& part : {worker_keys(), step_keys(), policy_keys(), outside_keys()}) {
    all.insert(all.end(), part.begin(), part.end());
  }
  return all;
}

#undef MEMBER

std::string last_part(std::string_view path) {
  const auto dot = path.rfind('.');
  return std::string(dot == std::string_view::npos ? path : path.substr(dot + 1));
}

// Levenshtein's distance.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i + 1);
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row.back();
}

}  // namespace

std::string environment_variable(std::string_view path) {
  std::string name = "DURABLED_";
  for (const char c : path)
    name += c == '.' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return name;
}

const std::vector<Key>& keys() {
  static const std::vector<Key> all = all_keys();
  return all;
}

const Key* find_key(std::string_view path) {
  const auto found =
      std::find_if(keys().begin(), keys().end(), [&](const Key& key) { return key.path == path; });
  return found == keys().end() ? nullptr : &*found;
}

std::string closest_word(std::string_view word, const std::vector<std::string>& words) {
  std::string best;
  std::size_t best_distance = std::min(1 + std::clamp<std::size_t>(word.size() / 3, 2, 3), word.size());
  for (const auto& candidate : words) {
    const std::size_t d = distance(word, candidate);
    if (d < best_distance) {
      best = candidate;
      best_distance = d;
    }
  }
  return best;
}

std::string closest_key(std::string_view path) {
  std::vector<std::string> paths;
  for (const auto& key : keys()) paths.push_back(key.path);
  if (std::string near = closest_word(path, paths); !near.empty()) return near;
  // The right name in the wrong section, or in none.
  const auto found = std::find_if(paths.begin(), paths.end(), [&](const std::string& known) {
    return last_part(known) == last_part(path);
  });
  return found == paths.end() ? std::string() : *found;
}

std::optional<BrokenRule> check_rules(const Config& config) {
  const auto& worker = config.worker;
  if (worker.lease_ttl <= 2 * worker.heartbeat_interval) {
    // One lost heartbeat must not cost a healthy daemon its leases.
    return BrokenRule{"worker.lease_ttl", "must be more than twice worker.heartbeat_interval (" +
                                              print_duration(worker.heartbeat_interval) + "), got " +
                                              print_duration(worker.lease_ttl)};
  }
  if (config.retry.max_delay < config.retry.delay) {
    return BrokenRule{"retry.max_delay", "must not be less than retry.delay (" +
                                             print_duration(config.retry.delay) + "), got " +
                                             print_duration(config.retry.max_delay)};
  }
  return std::nullopt;
}

}  // namespace durabled::config

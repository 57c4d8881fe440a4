// What the log says of instances that have ended.
#include <boost/json.hpp>

#include "tests/e2e/world.hpp"

using namespace durabled::test;

namespace {

// The line of a JSON log about the end of an instance.
boost::json::object end_line(DaemonProcess& daemon, const std::string& id) {
  return wait_until("the log has the end of " + id,
                    [&]() -> std::optional<boost::json::object> {
                      std::istringstream lines(daemon.log());
                      for (std::string line; std::getline(lines, line);) {
                        boost::system::error_code error;
                        const auto value = boost::json::parse(line, error);
                        if (error || !value.is_object()) continue;
                        const auto* instance = value.as_object().if_contains("instance");
                        if (instance != nullptr && instance->as_string() == id) return value.as_object();
                      }
                      return std::nullopt;
                    })
      .value();
}

}  // namespace

TEST_CASE("each instance that has ended is one line of the log, with fields in JSON") {
  World world;
  Sql alice = world.session();
  DaemonProcess& daemon = world.start_daemon({{"log.format", "json"}, {"log.level", "debug"}});
  const std::string failed = submit(alice, "'select 1' ~> 'select 1 / 0'", "nightly\n\x1b[31m \"import\""),
                    completed = submit(alice, "'select 1'"), cancelled = submit(alice, "df.sleep(1000)");
  fails(alice, failed);
  completes(alice, completed);
  await_put_down(alice, cancelled);
  alice.exec("select df.cancel($1)", cancelled);
  boost::json::object line = end_line(daemon, failed);
  CHECK(line["seconds"].is_number());
  line.erase("time");
  line.erase("message");
  line.erase("seconds");
  CHECK(line == boost::json::object{{"level", "warning"},
                                    {"instance", failed},
                                    {"label", "nightly\n\x1b[31m \"import\""},
                                    {"role", "alice"},
                                    {"status", "failed"},
                                    {"code", "22012"},
                                    {"node", "00000002"},
                                    {"attempts", 1}});
  line = end_line(daemon, completed);
  CHECK(line["level"] == "debug");
  CHECK(line["status"] == "completed");
  CHECK(line["label"].is_null());
  CHECK(line["code"].is_null());
  line = end_line(daemon, cancelled);
  CHECK(line["level"] == "debug");
  CHECK(line["status"] == "cancelled");
  CHECK(line["code"] == "cancelled");
  CHECK(line["node"].is_null());
}

TEST_CASE("in the text log an end is one line without control characters or values") {
  World world;
  Sql alice = world.session();
  DaemonProcess& daemon = world.start_daemon({{"log.level", "warning"}});
  const std::string id =
      submit(alice, "'select ''bob@example.org''::int'", "a\n\x1b[31m\u202eb\u009b" + std::string(900, 'x'));
  fails(alice, id);
  const std::string log = wait_until("the log has the end", [&]() -> std::optional<std::string> {
                            const std::string all = daemon.log();
                            const auto at = all.find("instance " + id);
                            if (at == std::string::npos || all.find('\n', at) == std::string::npos)
                              return std::nullopt;
                            return all.substr(at, all.find('\n', at) - at);
                          }).value();
  CHECK(log.starts_with("instance " + id + " (a | \\x1b[31m\\u{202e}b\\x9bx"));
  CHECK_THAT(log, ContainsSubstring("…) of alice failed after "));
  INFO(log);
  CHECK(log.ends_with(" s: 22P02 at node 00000000, attempt 1"));
  CHECK_THAT(daemon.log(), !ContainsSubstring("bob@example.org"));
}

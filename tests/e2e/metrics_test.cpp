// /metrics, /healthz and /readyz of a running daemon.
#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <boost/json.hpp>

#include "tests/e2e/world.hpp"
#include "tests/support/child_process.hpp"

using namespace durabled::test;

namespace {

// Where a daemon listens that was given port 0.
int metrics_port(DaemonProcess& daemon) {
  const std::string before = "/readyz are at port ";
  return wait_until("the daemon listens for monitoring",
                    [&]() -> std::optional<int> {
                      const std::string log = daemon.log();
                      const auto at = log.find(before);
                      if (at == log.npos || log.find('\n', at) == log.npos) return std::nullopt;
                      return std::stoi(log.substr(at + before.size()));
                    })
      .value();
}

// The whole answer, with its status line and headers; "" when nobody listens.
std::string get(int port, const std::string& path) {
  namespace asio = boost::asio;
  asio::io_context io;
  asio::ip::tcp::socket socket(io);
  boost::system::error_code error;
  socket.connect({asio::ip::address_v4::loopback(), static_cast<unsigned short>(port)}, error);
  if (error) return "";
  asio::write(socket, asio::buffer("GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n"), error);
  std::string answer;
  asio::read(socket, asio::dynamic_buffer(answer), error);
  return answer;
}

std::string body(const std::string& answer) {
  return answer.substr(answer.find("\r\n\r\n") + 4);
}

const std::map<std::string, std::string> kListening{{"metrics.listen", "\"127.0.0.1:0\""},
                                                    {"metrics.labels", "\"nightly, other\""}};

}  // namespace

TEST_CASE("metrics count what a daemon does, and name no instance, role or text") {
  World world;
  Sql alice = world.session();
  submit(alice, "'select 1'", "secretlabel");
  const std::string done = submit(alice, "'select 1' ~> 'select 2'", "nightly"),
                    failed = submit(alice, "'select 1 / 0 -- hushhush'", "secretlabel");
  DaemonProcess& daemon = world.start_daemon(kListening);
  completes(alice, done);
  fails(alice, failed);
  const int port = metrics_port(daemon);
  std::string text;
  wait_until("the ends are counted", [&] {
    text = body(get(port, "/metrics"));
    return text.find("durabled_instances_finished_total{status=\"completed\"} 2\n") != text.npos &&
           text.find("durabled_instances_finished_total{status=\"failed\"} 1\n") != text.npos;
  });
  CHECK_THAT(text, ContainsSubstring("durabled_up 1\n"));
  CHECK_THAT(text, ContainsSubstring("{code_class=\"\",kind=\"sql\",result=\"completed\"} 3\n"));
  CHECK_THAT(text, ContainsSubstring("{code_class=\"sql_22\",kind=\"sql\",result=\"failed\"} 1\n"));
  CHECK_THAT(text, ContainsSubstring("durabled_step_duration_seconds_count{kind=\"sql\"} "));
  CHECK_THAT(text, ContainsSubstring("durabled_claim_delay_seconds_count 3\n"));
  CHECK_THAT(text, ContainsSubstring("durabled_db_workers 1\n"));
  CHECK_THAT(text, ContainsSubstring("durabled_db_relation_bytes{table=\"events\"} "));
  for (const std::string& secret :
       {done, failed, std::string("alice"), std::string("secretlabel"), std::string("hushhush")})
    CHECK_THAT(text, !ContainsSubstring(secret));
  const TemporaryDirectory directory("durabled-metrics");
  write_file(directory.path() / "metrics", text);
  const auto log = directory.path() / "log";
  const auto code = ChildProcess({.argv = {"/bin/sh", "-c", "exec promtool check metrics < metrics"},
                                  .output = log,
                                  .directory = directory.path()})
                        .wait();
  INFO(read_file(log));
  CHECK(code == 0);
}

TEST_CASE("a daemon that has lost its database is alive and not ready, and ready again afterwards") {
  PostgresServer server;
  World world(server);
  DaemonProcess& daemon = world.start_daemon(kListening);
  const int port = metrics_port(daemon);
  CHECK_THAT(get(port, "/readyz"), ContainsSubstring("HTTP/1.1 200"));
  server.stop_fast();
  wait_until("the daemon is not ready", [&] { return get(port, "/readyz").find("HTTP/1.1 503") == 0; });
  CHECK_THAT(get(port, "/readyz"), ContainsSubstring("not serving: the database is lost"));
  CHECK_THAT(get(port, "/healthz"), ContainsSubstring("HTTP/1.1 200"));
  CHECK_THAT(get(port, "/metrics"),
             ContainsSubstring("durabled_up 0\n") && ContainsSubstring("durabled_reconnects_total 1\n"));
  server.start();
  wait_until("the daemon is ready again", [&] { return get(port, "/readyz").find("HTTP/1.1 200") == 0; });
}

TEST_CASE("a daemon whose port for monitoring is taken says so and serves") {
  World world;
  Sql alice = world.session();
  DaemonProcess& first = world.start_daemon(kListening);
  const std::string taken = "127.0.0.1:" + std::to_string(metrics_port(first));
  DaemonProcess& second = world.start_daemon({{"metrics.listen", '"' + taken + '"'}});
  first.sigterm_and_wait();
  completes(alice, submit(alice, "'select 1'"));
  CHECK_THAT(second.log(), ContainsSubstring("metrics.listen: cannot listen on " + taken));
}

TEST_CASE("statistics tell of what has not ended, each count from an index") {
  World world;
  Sql alice = world.session();
  Sql& owner = world.owner();
  for (int i = 0; i < 3; ++i) submit(alice, "'select 1'");
  owner.exec("update df.instances set wake_at = now() - interval '1 hour'");
  const boost::json::value all = boost::json::parse(owner.text("select df._statistics('{nightly}')"));
  CHECK(all.at("unfinished").at("pending") == 3);
  CHECK(all.at("overdue") == 3);
  CHECK(all.at("oldest_overdue").to_number<double>() >= 3'600);
  CHECK(all.at("parked") == 0);
  CHECK(all.at("workers") == 0);
  CHECK(all.at("labels").as_object().empty());
}

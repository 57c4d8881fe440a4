#include "daemon/metrics/metrics.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <thread>

#include "daemon/metrics/listener.hpp"
#include "tests/support/catch.hpp"

namespace durabled::test {

using namespace daemon;
using Catch::Matchers::EndsWith;
using Catch::Matchers::StartsWith;
using std::chrono::microseconds;

namespace {

dsl::Failure failure(const std::string& code) {
  dsl::Failure failed;
  failed.code = code;
  return failed;
}

// A listener on a free port whose loop runs on a thread of its own.
class Listening {
 public:
  explicit Listening(Probes probes)
      : listener_(io_, "127.0.0.1:0", std::move(probes)), thread_([this] { io_.run(); }) {}
  ~Listening() {
    io_.stop();
    thread_.join();
  }

  // What comes back for these bytes, until the listener closes the connection.
  std::string exchange(const std::string& request) {
    namespace asio = boost::asio;
    asio::io_context io;
    asio::ip::tcp::socket socket(io);
    socket.connect({asio::ip::address_v4::loopback(), static_cast<unsigned short>(listener_.port())});
    boost::system::error_code closed;
    asio::write(socket, asio::buffer(request), closed);
    std::string answer;
    asio::read(socket, asio::dynamic_buffer(answer), closed);
    return answer;
  }

 private:
  boost::asio::io_context io_;
  MetricsListener listener_;
  std::thread thread_;
};

std::string get(const std::string& path) {
  return "GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n";
}

}  // namespace

TEST_CASE("a failure's class comes from a fixed set, whatever a workflow raises") {
  const auto [code, expected] = GENERATE(table<std::string, std::string>({{"23505", "sql_23"},
                                                                          {"P0001", "sql_P0"},
                                                                          {"http_503", "http_5xx"},
                                                                          {"http_404", "http_4xx"},
                                                                          {"timeout", "timeout"},
                                                                          {"ZZ123", "other"},
                                                                          {"http_9xx", "other"},
                                                                          {"http_4", "other"},
                                                                          {"mine", "other"},
                                                                          {"", "other"}}));
  CAPTURE(code);
  CHECK(code_class(failure(code)) == expected);
}

TEST_CASE("what was counted is what is shown") {
  Metrics metrics("1.2.3");
  metrics.instance_finished("completed");
  metrics.instance_finished("completed");
  metrics.step_finished(StepKind::kSql, nullptr, microseconds(30'000));
  const dsl::Failure duplicate = failure("23505");
  metrics.step_finished(StepKind::kHttp, &duplicate, {});
  metrics.refused(Refusal::kLeaseLost);
  metrics.grouped(7);
  metrics.grouped(2);
  metrics.took_over(3);
  store::Statistics database;
  database.unfinished = {{"running", 7}};
  database.overdue = 2;
  database.relation_bytes = {{"events", 8192}};
  metrics.set_database(database, microseconds(1'000));
  const std::string text = metrics.text();
  for (const char* line :
       {"durabled_build_info{version=\"1.2.3\"} 1\n",
        "durabled_instances_finished_total{status=\"completed\"} 2\n",
        "durabled_instances_finished_total{status=\"failed\"} 0\n",
        "{code_class=\"\",kind=\"sql\",result=\"completed\"} 1\n",
        "{code_class=\"sql_23\",kind=\"http\",result=\"failed\"} 1\n",
        "durabled_step_duration_seconds_bucket{kind=\"sql\",le=\"0.02\"} 0\n",
        "durabled_step_duration_seconds_bucket{kind=\"sql\",le=\"0.1\"} 1\n",
        "durabled_turns_refused_total{reason=\"lease_lost\"} 1\n", "durabled_takeovers_total 3\n",
        "durabled_step_groups_total 2\n", "durabled_grouped_steps_total 9\n",
        "durabled_db_instances{status=\"running\"} 7\n", "durabled_db_instances{status=\"paused\"} 0\n",
        "durabled_db_overdue_instances 2\n", "durabled_db_relation_bytes{table=\"events\"} 8192\n",
        "process_start_time_seconds "}) {
    CHECK_THAT(text, ContainsSubstring(line));
  }
}

TEST_CASE("the listener answers on its three paths and nowhere else") {
  std::string why = "the database is lost";
  Listening listening({[] { return "durabled_up 1\n"; }, [&] { return why; }});
  CHECK_THAT(listening.exchange(get("/metrics")), StartsWith("HTTP/1.1 200") &&
                                                      ContainsSubstring("version=0.0.4") &&
                                                      ContainsSubstring("\r\n\r\ndurabled_up 1\n"));
  CHECK_THAT(listening.exchange(get("/metrics?x=1")), StartsWith("HTTP/1.1 200"));
  CHECK_THAT(listening.exchange(get("/healthz")), StartsWith("HTTP/1.1 200"));
  CHECK_THAT(listening.exchange(get("/readyz")), StartsWith("HTTP/1.1 503") && ContainsSubstring(why));
  why.clear();
  CHECK_THAT(listening.exchange(get("/readyz")), StartsWith("HTTP/1.1 200"));
  CHECK_THAT(listening.exchange(get("/")), StartsWith("HTTP/1.1 404"));
  CHECK_THAT(listening.exchange("POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"),
             StartsWith("HTTP/1.1 405"));
  CHECK_THAT(listening.exchange("HEAD /healthz HTTP/1.1\r\nHost: x\r\n\r\n"),
             StartsWith("HTTP/1.1 200") && EndsWith("\r\n\r\n"));
}

TEST_CASE("what is not HTTP closes the connection and nothing else") {
  Listening listening({[] { return ""; }, [] { return ""; }});
  CHECK(listening.exchange("nonsense\r\n\r\n").empty());
  CHECK(listening.exchange("GET /metrics HTTP/1.1\r\nX: " + std::string(20'000, 'x') + "\r\n\r\n").empty());
  CHECK_THAT(listening.exchange(get("/healthz")), StartsWith("HTTP/1.1 200"));
}

TEST_CASE("an address to listen on that is not valid, or is taken, is an error that says which") {
  boost::asio::io_context io;
  const Probes probes{[] { return ""; }, [] { return ""; }};
  for (const char* bad : {"localhost:9464", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:70000", ":9464", ""}) {
    CAPTURE(bad);
    CHECK_THROWS_WITH(MetricsListener(io, bad, probes), ContainsSubstring("such as 127.0.0.1:9464"));
  }
  const MetricsListener first(io, "127.0.0.1:0", probes);
  const std::string taken = "127.0.0.1:" + std::to_string(first.port());
  CHECK_THROWS_WITH(MetricsListener(io, taken, probes), ContainsSubstring("cannot listen on " + taken));
}

}  // namespace durabled::test

// How one comes in: by a link, by a database login, by a proxy.
#include <fstream>

#include "daemon/web/peers.hpp"
#include "daemon/web/sessions.hpp"
#include "tests/e2e/world.hpp"
#include "tests/web/ui.hpp"

using namespace durabled::test;
namespace web = durabled::daemon::web;

namespace {

// The shared server, which asks for passwords on its loopback port.
struct Guarded {
  PostgresServer& server = shared_server();
  World world{server};

  Guarded() {
    Sql sql(server.conninfo());
    sql.exec("alter role alice password 'wonder land''s\\'");
    world.add_role("bob");
    sql.exec("alter role bob password 'builder'");
    server.create_role("boss", "superuser");
    sql.exec("alter role boss password 'boss'");
    sql.exec("alter role durabled_owner password 'owner'");
    std::ofstream(server.data_directory() / "pg_hba.conf")
        << "local all all trust\nhost all trusted 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 "
           "scram-sha-256\n";
    sql.exec("select pg_reload_conf()");
    wait_until("the server asks for passwords", [&] {
      try {
        Sql attempt(target() + " user=alice password=no");
        return false;
      } catch (const SqlError&) {
        return true;
      }
    });
  }
  std::string target() const {
    return "host=127.0.0.1 port=" + std::to_string(server.port()) + " dbname=" + world.database().name();
  }
};

std::string role_of(Visitor& visitor) {
  return std::string(visitor.json("/api/me").at("role").as_string());
}

}  // namespace

TEST_CASE("a link works once, and its session is a cookie that no script reads") {
  World world;
  Ui ui(world.database().conninfo("alice"));
  Visitor visitor(ui.port()), thief(ui.port());
  const WebAnswer in = visitor.post("/session", {{"token", ui.token()}});
  CHECK(in.status == 200);
  const std::string cookie = in.header("Set-Cookie");
  CHECK_THAT(cookie, StartsWith("durabled_" + std::to_string(ui.port()) + "="));
  CHECK_THAT(cookie, ContainsSubstring("HttpOnly") && ContainsSubstring("SameSite=Strict") &&
                         ContainsSubstring("Path=/"));
  CHECK(role_of(visitor) == "alice");
  CHECK(thief.post("/session", {{"token", ui.token()}}).status == 401);
  CHECK(thief.post("/session", {{"token", ""}}).status == 401);
  CHECK(thief.get("/api/me").status == 401);
  const WebAnswer refused = thief.get("/api/me");
  CHECK(refused.json().at("mode").as_string() == "personal");
  CHECK(visitor.request("DELETE", "/session").status == 200);
  CHECK(visitor.get("/api/me").status == 401);
}

TEST_CASE("wrong tokens do not keep the owner of the link out") {
  World world;
  Ui ui(world.database().conninfo("alice"));
  Visitor thief(ui.port()), alice(ui.port());
  for (int i = 0; i < 30; ++i) CHECK(thief.post("/session", {{"token", std::string(64, 'a')}}).status == 401);
  alice.enter(ui.token());
  CHECK(role_of(alice) == "alice");
}

TEST_CASE("a person whom row-level security does not bind is warned") {
  World world;
  Ui ui(world.database().conninfo());
  Visitor visitor(ui.port());
  visitor.enter(ui.token());
  CHECK_THAT(std::string(visitor.json("/api/me").at("banner").as_string()),
             ContainsSubstring("durabled_owner"));
}

TEST_CASE("with --login each person is the role that it logs in as") {
  Guarded guarded;
  Ui ui(guarded.target(), {"--login"});
  Visitor alice(ui.port()), bob(ui.port());
  CHECK(alice.get("/api/me").json().at("mode").as_string() == "login");
  CHECK(alice.log_in("alice", "wonder land's\\") == 200);
  CHECK(bob.log_in("bob", "builder") == 200);
  CHECK(role_of(alice) == "alice");
  CHECK(role_of(bob) == "bob");
  CHECK(alice.get("/api/me").json().at("banner").is_null());
}

TEST_CASE("with --login nobody gets in but by an own password") {
  Guarded guarded;
  guarded.server.create_role("trusted");
  guarded.world.owner().exec("select df.grant_usage('trusted')");
  Ui ui(guarded.target(), {"--login"});
  const std::string port = std::to_string(guarded.server.port());
  for (const auto& [user, password] : std::vector<std::pair<std::string, std::string>>{
           {"alice", "no"},
           {"nobody", "no"},
           {"boss", "boss"},
           {"durabled_owner", "owner"},
           {"trusted", "anything"},
           {"dbname=postgres user=alice", "builder"},
           {"bob' host=evil.example password='x", "builder"},
           {"postgresql://boss:boss@127.0.0.1:" + port + "/postgres", "boss"},
           {"alice", "' user=boss password='boss"},
       }) {
    INFO(user);
    // A new process for each, so that none is slowed down by those before it.
    Ui fresh(guarded.target(), {"--login"});
    Visitor visitor(fresh.port());
    const int status = visitor.log_in(user, password);
    CHECK((status == 401 || status == 403));  // 403: a superuser, where the schema is not a superuser's
    CHECK(visitor.get("/api/me").status == 401);
  }
  Visitor visitor(ui.port());
  CHECK(visitor.log_in("", "x") == 400);
  CHECK(visitor.log_in("alice", "") == 400);
  CHECK(visitor.post("/session", {{"token", std::string(64, '0')}}).status == 400);
}

TEST_CASE("after five failures of a role from an address the next has to wait") {
  Guarded guarded;
  Ui ui(guarded.target(), {"--login"});
  Visitor visitor(ui.port());
  for (int i = 0; i < 5; ++i) CHECK(visitor.log_in("alice", "no") == 401);
  CHECK(visitor.log_in("alice", "wonder land's\\") == 429);
  CHECK(visitor.log_in("bob", "builder") == 200);
}

TEST_CASE("a session whose connection is gone has ended") {
  Guarded guarded;
  Ui ui(guarded.target(), {"--login"});
  Visitor visitor(ui.port());
  REQUIRE(visitor.log_in("alice", "wonder land's\\") == 200);
  Sql(guarded.server.conninfo())
      .exec("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'durabled ui'");
  visitor.get("/api/me");
  wait_until("the session has ended", [&] { return visitor.get("/api/me").status == 401; });
}

TEST_CASE("behind a proxy each request is the role of the header") {
  World world;
  world.add_role("bob");
  Sql super(world.server().conninfo());
  world.server().create_role("durabled_ui", "noinherit");
  super.exec("grant alice, bob to durabled_ui");
  Ui ui(world.database().conninfo("durabled_ui"),
        {"--user-header", "X-Forwarded-User", "--trusted-proxy", "127.0.0.1/32"});
  Visitor visitor(ui.port());
  CHECK(visitor.get("/api/me").status == 401);
  visitor.always = {{"X-Forwarded-User", "alice"}};
  CHECK(role_of(visitor) == "alice");
  visitor.always = {{"X-Forwarded-User", "bob"}};
  CHECK(role_of(visitor) == "bob");
  for (const char* user :
       {"postgres", "durabled_owner", "none", "nobody", "\"alice\"", "alice; reset role", "durabled_ui"}) {
    INFO(user);
    visitor.always = {{"X-Forwarded-User", user}};
    const int status = visitor.get("/api/me").status;
    CHECK(status != 200);
    CHECK(visitor.get("/api/instances").status != 200);
  }
  // Two headers: the proxy's and one of the client's.
  visitor.always = {{"X-Forwarded-User", "alice"}, {"x-forwarded-user", "bob"}};
  CHECK(visitor.get("/api/me").status == 401);
}

TEST_CASE("only a trusted proxy may connect") {
  World world;
  Ui ui(world.database().conninfo("alice"), {"--user-header", "X-User", "--trusted-proxy", "10.0.0.0/8"});
  Visitor visitor(ui.port());
  visitor.always = {{"X-User", "alice"}};
  CHECK(visitor.get("/api/me").status == 403);
  CHECK(visitor.get("/").status == 403);
}

TEST_CASE("options that would let others in are refused") {
  World world;
  const std::string database = world.database().conninfo("alice");
  for (const std::vector<std::string>& options : std::vector<std::vector<std::string>>{
           {"--listen", "0.0.0.0"},
           {"--login", "--listen", "0.0.0.0"},
           {"--user-header", "X-User"},
           {"--login", "--trusted-proxy", "nonsense"},
           {"--login", "--user-header", "X-User"},
           {"--base-path", "flows"},
           {"--trusted-proxy", "127.0.0.1/32"},
       }) {
    INFO(options[0]);
    CHECK_THROWS_WITH(Ui(database, options), ContainsSubstring("has ended"));
  }
}

TEST_CASE("ranges of addresses") {
  CHECK(web::is_trusted("10.1.2.3", {"10.0.0.0/8"}));
  CHECK_FALSE(web::is_trusted("11.1.2.3", {"10.0.0.0/8"}));
  CHECK(web::is_trusted("::ffff:10.1.2.3", {"10.0.0.0/8"}));
  CHECK(web::is_trusted("fd00::7", {"unix", "fd00::/8"}));
  CHECK(web::is_trusted("unix", {"unix"}));
  CHECK_FALSE(web::is_trusted("unix", {"0.0.0.0/0"}));
  CHECK_FALSE(web::is_trusted("127.0.0.1", {"unix"}));
  CHECK_FALSE(web::are_valid_peers({"10.0.0.0/33"}));
  CHECK(web::is_loopback("127.0.0.9"));
  CHECK_FALSE(web::is_loopback("0.0.0.0"));
}

TEST_CASE("delays grow with the failures of a role and an address") {
  web::LoginDelays delays;
  const auto start = web::Clock::now();
  for (int i = 0; i < 4; ++i) delays.failed("alice", "a", start);
  CHECK(delays.wait_for("alice", "a", start) == 0);
  delays.failed("alice", "a", start);
  CHECK(delays.wait_for("alice", "a", start) == 5);
  delays.failed("alice", "a", start);
  CHECK(delays.wait_for("alice", "a", start) == 10);
  CHECK(delays.wait_for("alice", "b", start) == 0);
  CHECK(delays.wait_for("bob", "a", start) == 0);
  CHECK(delays.wait_for("alice", "a", start + std::chrono::seconds{11}) == 0);
  for (int i = 0; i < 20; ++i) delays.failed("role" + std::to_string(i), "a", start);
  CHECK(delays.wait_for("bob", "a", start) > 0);
}

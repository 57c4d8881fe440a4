// The ways to a page beside a port: a Unix socket, and a browser that is opened on the link.
#include <boost/asio.hpp>
#include <filesystem>
#include <fstream>

#include "tests/e2e/world.hpp"
#include "tests/support/paths.hpp"
#include "tests/web/ui.hpp"

namespace durabled::test {
namespace {

namespace fs = std::filesystem;
namespace asio = boost::asio;
using asio::local::stream_protocol;

// What the server behind a Unix socket answers; "" while nobody listens there.
std::string ask(const fs::path& socket, const std::string& request) {
  asio::io_context io;
  stream_protocol::socket connection(io);
  boost::system::error_code error;
  connection.connect(stream_protocol::endpoint(socket.string()), error);
  if (error) return "";
  asio::write(connection, asio::buffer(request), error);
  std::string answer;
  asio::read(connection, asio::dynamic_buffer(answer), error);
  return answer;
}

std::string get(const std::string& path, const std::string& headers) {
  return "GET " + path +
         " HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Site: same-origin\r\nConnection: close\r\n" + headers +
         "\r\n";
}

}  // namespace

TEST_CASE("behind a Unix socket a proxy names the role") {
  World world;
  world.server().create_role("ui_socket", "noinherit");
  Sql(world.server().conninfo()).exec("grant alice to ui_socket");
  TemporaryDirectory directory("durabled-ui-socket");
  const fs::path socket = directory.path() / "socket";
  ChildProcess ui({.argv = {kBinary, "ui", "--database", world.database().conninfo("ui_socket"),
                            "--user-header", "X-User", "--trusted-proxy", "unix", "--host", "localhost",
                            "--listen", "unix:" + socket.string()},
                   .output = directory.path() / "log"});
  const std::string answer = wait_until("the socket answers", [&]() -> std::optional<std::string> {
                               if (!ui.running())
                                 throw std::runtime_error(read_file(directory.path() / "log"));
                               std::string text = ask(socket, get("/api/me", "X-User: alice\r\n"));
                               if (text.empty()) return std::nullopt;
                               return text;
                             }).value();
  CHECK_THAT(answer, StartsWith("HTTP/1.1 200"));
  CHECK_THAT(answer, ContainsSubstring(R"("role":"alice")"));
  CHECK_THAT(ask(socket, get("/api/me", "")), StartsWith("HTTP/1.1 401"));
  CHECK((fs::status(socket).permissions() & fs::perms::others_all) == fs::perms::none);
}

TEST_CASE("--open hands a file with the link to the desktop's browser, not an argument that others see") {
  World world;
  TemporaryDirectory directory("durabled-ui-open");
  const fs::path seen = directory.path() / "seen", browser = directory.path() / "xdg-open";
  std::ofstream(browser) << "#!/bin/sh\n{ echo \"$@\"; cat \"$1\"; } >'" << seen.string() << ".part'\nmv '"
                         << seen.string() << ".part' '" << seen.string() << "'\n";
  fs::permissions(browser, fs::perms::owner_all);
  ChildProcess ui({.argv = {kBinary, "ui", "--database", world.database().conninfo("alice"), "--open"},
                   .environment = {{"PATH", directory.path().string() + ":/usr/bin:/bin"}},
                   .output = directory.path() / "log"});
  wait_until("the browser was opened", [&] {
    if (!ui.running()) throw std::runtime_error(read_file(directory.path() / "log"));
    return fs::exists(seen);
  });
  const std::string text = read_file(seen), arguments = text.substr(0, text.find('\n'));
  CHECK_THAT(arguments, !ContainsSubstring("token"));
  CHECK_THAT(text, ContainsSubstring("#token="));
  CHECK(fs::status(arguments).permissions() == (fs::perms::owner_read | fs::perms::owner_write));
}

}  // namespace durabled::test

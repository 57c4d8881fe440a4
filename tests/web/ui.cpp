#include "tests/web/ui.hpp"

#include <algorithm>
#include <array>
#include <boost/asio.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <functional>
#include <regex>
#include <sstream>
#include <stdexcept>

#include "tests/support/paths.hpp"

namespace durabled::test {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::ip::tcp;

namespace {

std::string lower(std::string text) {
  for (char& c : text) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return text;
}

std::string head(const Visitor& visitor, const std::string& method, const std::string& path,
                 const std::string& body, const Headers& more) {
  Headers all{{"Host", "127.0.0.1:" + std::to_string(visitor.port())}, {"Sec-Fetch-Site", "same-origin"}};
  if (method != "GET") {
    all.emplace_back("Content-Type", "application/json");
    all.emplace_back("Content-Length", std::to_string(body.size()));
  }
  if (!visitor.cookie.empty()) all.emplace_back("Cookie", visitor.cookie);
  all.emplace_back("Connection", "close");
  Headers given = visitor.always;
  given.insert(given.end(), more.begin(), more.end());
  std::string text = method + ' ' + path + " HTTP/1.1\r\n";
  for (const auto& [name, value] : all) {
    const bool replaced = std::any_of(given.begin(), given.end(),
                                      [&](const auto& one) { return lower(one.first) == lower(name); });
    if (!replaced) text += name + ": " + value + "\r\n";
  }
  for (const auto& [name, value] : given)
    if (!value.empty()) text += name + ": " + value + "\r\n";
  return text + "\r\n";
}

}  // namespace

std::string WebAnswer::header(const std::string& name) const {
  for (const auto& [key, value] : headers)
    if (lower(key) == lower(name)) return value;
  return "";
}

std::string WebAnswer::error_code() const {
  boost::json::error_code error;
  const boost::json::value value = boost::json::parse(body, error);
  if (error || !value.is_object() || !value.as_object().contains("error")) return "";
  return std::string(value.at("error").at("code").as_string());
}

Ui::Ui(const std::string& database, std::vector<std::string> options) {
  const auto log = directory_.path() / "log";
  std::vector<std::string> argv{kBinary, "ui", "--database", database};
  argv.insert(argv.end(), options.begin(), options.end());
  process_ =
      std::make_unique<ChildProcess>(Command{.argv = argv, .output = log, .directory = directory_.path()});
  static const std::regex address(R"(http://127\.0\.0\.1:(\d+)\S*)"), token("#token=([0-9a-f]{64})\n");
  wait_until("durabled ui says where it is", [&] {
    const std::string text = this->log();
    std::smatch found;
    if (std::regex_search(text, found, address) &&
        text.find('\n', static_cast<std::size_t>(found.position())) != std::string::npos) {
      port_ = std::stoi(found[1]);
      if (std::regex_search(text, found, token)) token_ = found[1];
      return true;
    }
    if (!process_->running()) throw std::runtime_error("durabled ui has ended:\n" + text);
    return false;
  });
}

std::string raw_exchange(int port, const std::string& bytes, std::chrono::milliseconds timeout) {
  asio::io_context io;
  beast::tcp_stream stream(io);
  stream.connect(tcp::endpoint(asio::ip::address_v4::loopback(), static_cast<std::uint16_t>(port)));
  std::string answer;
  std::array<char, 65'536> buffer{};
  // Reading and writing at once: a server that refuses early closes before it has read everything.
  asio::async_write(stream, asio::buffer(bytes), [](boost::system::error_code, std::size_t) {});
  std::function<void()> read = [&] {
    stream.expires_after(timeout);
    stream.async_read_some(asio::buffer(buffer), [&](boost::system::error_code error, std::size_t count) {
      answer.append(buffer.data(), count);
      if (!error) read();
    });
  };
  read();
  io.run();
  return answer;
}

WebAnswer Visitor::request(const std::string& method, const std::string& path, const std::string& body,
                           const Headers& more) {
  const std::string text = raw_exchange(port_, head(*this, method, path, body, more) + body);
  http::response_parser<http::string_body> parser;
  parser.eager(true);
  parser.body_limit(boost::none);
  boost::system::error_code error;
  parser.put(asio::buffer(text), error);
  if (!error && !parser.is_done()) parser.put_eof(error);
  if (error) throw std::runtime_error("not an answer: " + error.message() + ": " + text.substr(0, 200));
  WebAnswer answer;
  answer.status = static_cast<int>(parser.get().result_int());
  for (const auto& field : parser.get()) {
    const auto name = field.name_string(), value = field.value();
    answer.headers.emplace_back(std::string(name.data(), name.size()),
                                std::string(value.data(), value.size()));
  }
  answer.body = parser.get().body();
  if (const std::string set = answer.header("Set-Cookie"); !set.empty())
    cookie = set.substr(0, set.find(';'));
  return answer;
}

boost::json::value Visitor::json(const std::string& path) {
  const WebAnswer answer = get(path);
  if (answer.status != 200)
    throw std::runtime_error(path + ": " + std::to_string(answer.status) + ' ' + answer.body);
  return answer.json();
}

void Visitor::enter(const std::string& token) {
  const WebAnswer answer = post("/session", {{"token", token}});
  if (answer.status != 200 || cookie.empty())
    throw std::runtime_error("the token does not work: " + answer.body);
}

int Visitor::log_in(const std::string& user, const std::string& password) {
  return post("/session", {{"user", user}, {"password", password}}).status;
}

class EventStream::Impl {
 public:
  asio::io_context io;
  beast::tcp_stream stream{io};
  std::string text;
  bool ended = false;
};

EventStream::EventStream(const Visitor& visitor, const std::string& path) : impl_(std::make_unique<Impl>()) {
  impl_->stream.connect(
      tcp::endpoint(asio::ip::address_v4::loopback(), static_cast<std::uint16_t>(visitor.port())));
  asio::write(impl_->stream, asio::buffer(head(visitor, "GET", path, "", {})));
}

EventStream::~EventStream() = default;

bool EventStream::has_ended() const {
  return impl_->ended;
}

std::optional<EventStream::Event> EventStream::next(std::chrono::milliseconds timeout) {
  std::array<char, 65'536> buffer{};
  while (true) {
    const std::size_t end = impl_->text.find("\n\n");
    if (end != std::string::npos) {
      Event event;
      std::istringstream lines(impl_->text.substr(0, end));
      impl_->text.erase(0, end + 2);
      for (std::string line; std::getline(lines, line);) {
        if (line.starts_with("event: ")) event.name = line.substr(7);
        if (line.starts_with("data: ")) event.data = line.substr(6);
        if (line.starts_with("id: ")) event.id = line.substr(4);
      }
      if (!event.name.empty()) return event;
      continue;  // a comment
    }
    if (impl_->ended) return std::nullopt;
    boost::system::error_code error;
    std::size_t count = 0;
    impl_->stream.expires_after(timeout);
    impl_->stream.async_read_some(asio::buffer(buffer),
                                  [&](boost::system::error_code problem, std::size_t size) {
                                    error = problem;
                                    count = size;
                                  });
    impl_->io.restart();
    impl_->io.run();
    impl_->text.append(buffer.data(), count);
    if (error == beast::error::timeout) return std::nullopt;
    if (error) impl_->ended = true;
    // The head ends with an empty line of its own kind.
    if (const std::size_t begin = impl_->text.find("\r\n\r\n"); begin != std::string::npos)
      impl_->text.erase(0, begin + 4);
  }
}

boost::json::value EventStream::next(const std::string& name) {
  while (const auto event = next()) {
    if (event->name == name) return boost::json::parse(event->data);
  }
  throw std::runtime_error("no event " + name + " came; what is left: " + impl_->text.substr(0, 300));
}

}  // namespace durabled::test

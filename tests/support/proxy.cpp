#include "tests/support/proxy.hpp"

#include <algorithm>
#include <array>
#include <boost/asio.hpp>
#include <cstdint>
#include <future>
#include <list>
#include <map>
#include <optional>
#include <string_view>
#include <thread>
#include <utility>

namespace durabled::test {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

constexpr std::string_view kSetsApplication = "application_name = '";
constexpr std::uint32_t kProtocolVersion3 = 196608;

std::uint32_t number_at(std::string_view bytes, std::size_t at) {
  std::uint32_t number = 0;
  for (std::size_t i = 0; i < 4; ++i) number = number << 8 | static_cast<unsigned char>(bytes[at + i]);
  return number;
}

// Finds where messages begin in a stream: a type of one byte (but for a client's first message) and a length.
class Messages {
 public:
  explicit Messages(bool typed) : typed_(typed) {}

  // Takes a byte; true: it is the first one of a message.
  bool take(char byte) {
    if (left_ > 0) {
      --left_;
      return false;
    }
    header_ += byte;
    const bool is_first = header_.size() == 1;
    const std::size_t before_length = typed_ ? 1 : 0;
    if (header_.size() < before_length + 4) return is_first;
    left_ = number_at(header_, before_length) - 4;
    header_.clear();
    typed_ = true;
    return is_first;
  }
  // Of the message whose first byte was taken just now; '\0' of a client's first message.
  char type() const { return typed_ ? header_[0] : '\0'; }

 private:
  bool typed_;
  std::string header_;
  std::size_t left_ = 0;
};

}  // namespace

class Proxy::Impl {
 public:
  explicit Impl(int server_port)
      : server_(asio::ip::address_v4::loopback(), static_cast<std::uint16_t>(server_port)),
        acceptor_(io_, tcp::endpoint(asio::ip::address_v4::loopback(), 0)) {
    accept();
    thread_ = std::thread([this] { io_.run(); });
  }
  ~Impl() {
    io_.stop();
    thread_.join();
  }

  int port() const { return acceptor_.local_endpoint().port(); }

  // Runs on the thread that forwards, and waits.
  template <typename Function>
  auto on_thread(Function function) {
    std::packaged_task<decltype(function())()> task(std::move(function));
    auto result = task.get_future();
    asio::post(io_, [&task] { task(); });
    return result.get();
  }

  struct Cut {
    Match match;
    Direction direction;
    int left;
  };
  std::map<std::string, Cut> cuts_;  // by user

  struct Connection : std::enable_shared_from_this<Connection> {
    Connection(Impl& owner, tcp::socket from) : impl(owner), client(std::move(from)), server(owner.io_) {}

    bool matches(const Match& match) const {
      return (match.user.empty() || match.user == user) &&
             (match.application.empty() || match.application == application);
    }
    void close() {
      boost::system::error_code ignored;
      client.close(ignored);
      server.close(ignored);
    }
    void forward(Direction direction);
    std::size_t allowed(Direction direction, std::string_view bytes);
    void learn(std::string_view bytes);

    Impl& impl;
    tcp::socket client, server;
    Messages to_server{false}, from_server{true};
    std::array<char, 65536> up{}, down{};
    std::string beginning;  // of what the client sent, until its first message is complete
    bool known = false;
    int unanswered = 0;  // messages that the server answers with ReadyForQuery
    std::string user, application;
  };
  std::list<std::weak_ptr<Connection>> connections_;

 private:
  void accept() {
    acceptor_.async_accept([this](boost::system::error_code error, tcp::socket client) {
      if (error) return;
      const auto connection = std::make_shared<Connection>(*this, std::move(client));
      connections_.remove_if([](const auto& weak) { return weak.expired(); });
      connections_.push_back(connection);
      connection->server.async_connect(server_, [connection](boost::system::error_code refused) {
        if (refused) return connection->close();
        boost::system::error_code ignored;
        connection->client.set_option(tcp::no_delay(true), ignored);
        connection->server.set_option(tcp::no_delay(true), ignored);
        connection->forward(Direction::kToServer);
        connection->forward(Direction::kFromServer);
      });
      accept();
    });
  }

  asio::io_context io_;
  tcp::endpoint server_;
  tcp::acceptor acceptor_;
  std::thread thread_;
};

// Who the client is: by its first message, and by what it sets later.
void Proxy::Impl::Connection::learn(std::string_view bytes) {
  if (const std::size_t at = bytes.find(kSetsApplication); known && at != std::string_view::npos) {
    const std::string_view name = bytes.substr(at + kSetsApplication.size());
    application = name.substr(0, name.find('\''));
  }
  if (known) return;
  beginning += bytes;
  if (beginning.size() < 8 || beginning.size() < number_at(beginning, 0)) return;
  known = true;
  if (number_at(beginning, 4) != kProtocolVersion3) return;  // a request to cancel
  std::string_view rest(beginning);
  rest = rest.substr(8, number_at(beginning, 0) - 8);
  const auto next = [&rest] {
    const std::string_view text = rest.substr(0, rest.find('\0'));
    rest.remove_prefix(std::min(rest.size(), text.size() + 1));
    return text;
  };
  for (std::string_view name = next(); !name.empty(); name = next()) {
    const std::string_view value = next();
    if (name == "user") user = value;
    if (name == "application_name") application = value;
  }
}

// How many of the bytes come before the cut.
std::size_t Proxy::Impl::Connection::allowed(Direction direction, std::string_view bytes) {
  if (direction == Direction::kToServer) learn(bytes);
  Messages& messages = direction == Direction::kToServer ? to_server : from_server;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (!messages.take(bytes[i])) continue;
    const char type = messages.type();
    if (direction == Direction::kFromServer && type == 'Z') --unanswered;
    if (direction == Direction::kToServer && (type == 'S' || type == 'Q' || type == '\0')) ++unanswered;
    for (auto& [name, cut] : impl.cuts_) {
      if (cut.direction == direction && cut.left > 0 && matches(cut.match) && --cut.left == 0) return i;
    }
  }
  return bytes.size();
}

void Proxy::Impl::Connection::forward(Direction direction) {
  const bool to = direction == Direction::kToServer;
  tcp::socket& source = to ? client : server;
  tcp::socket& target = to ? server : client;
  auto& buffer = to ? up : down;
  const auto handler = [self = shared_from_this(), direction, &buffer, &target](
                           boost::system::error_code error, std::size_t size) {
    if (error) return self->close();
    const std::size_t length = self->allowed(direction, {buffer.data(), size});
    asio::async_write(
        target, asio::buffer(buffer.data(), length),
        [self, direction, is_cut = length < size](boost::system::error_code failed, std::size_t) {
          if (failed || is_cut) return self->close();
          self->forward(direction);
        });
  };
  source.async_read_some(asio::buffer(buffer), handler);
}

Proxy::Proxy(int server_port) : impl_(std::make_unique<Impl>(server_port)) {}
Proxy::~Proxy() = default;

int Proxy::port() const {
  return impl_->port();
}

void Proxy::arm(const Match& match, Direction direction, int at) {
  impl_->on_thread([&] { impl_->cuts_.insert_or_assign(match.user, Impl::Cut{match, direction, at}); });
}

bool Proxy::has_cut(const std::string& user) const {
  return impl_->on_thread([&] {
    const auto cut = impl_->cuts_.find(user);
    return cut != impl_->cuts_.end() && cut->second.left == 0;
  });
}

bool Proxy::is_quiet(const Match& match) const {
  return impl_->on_thread([&] {
    for (const auto& weak : impl_->connections_) {
      const auto connection = weak.lock();
      if (connection && connection->matches(match) && connection->unanswered > 0) return false;
    }
    return true;
  });
}

bool Proxy::disarm(const std::string& user) {
  return impl_->on_thread([&] {
    const auto cut = impl_->cuts_.find(user);
    const bool came = cut != impl_->cuts_.end() && cut->second.left == 0;
    if (cut != impl_->cuts_.end()) impl_->cuts_.erase(cut);
    return came;
  });
}

void Proxy::hang_up(const Match& match) {
  impl_->on_thread([&] {
    for (const auto& weak : impl_->connections_) {
      if (const auto connection = weak.lock(); connection && connection->matches(match)) connection->close();
    }
  });
}

}  // namespace durabled::test

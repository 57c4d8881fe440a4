#include "daemon/metrics/listener.hpp"

#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <deque>
#include <stdexcept>
#include <utility>

#include "config/units.hpp"

namespace durabled::daemon {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::ip::tcp;

constexpr int kMostConnections = 64;
constexpr std::chrono::seconds kPatience{5};
constexpr std::uint32_t kMostHeader = 8 << 10;  // bytes

using Request = http::request<http::empty_body>;
using Response = http::response<http::string_body>;

Response respond(const Request& request, const Probes& probes) {
  Response response;
  response.version(request.version());
  response.keep_alive(false);
  response.set(http::field::content_type, "text/plain; charset=utf-8");
  response.set(http::field::cache_control, "no-store");
  response.set("X-Content-Type-Options", "nosniff");
  const beast::string_view path = request.target().substr(0, request.target().find('?'));
  if (request.method() != http::verb::get && request.method() != http::verb::head) {
    response.result(http::status::method_not_allowed);
    response.set(http::field::allow, "GET, HEAD");
  } else if (path == "/metrics") {
    response.set(http::field::content_type, "text/plain; version=0.0.4; charset=utf-8");
    response.body() = probes.metrics();
  } else if (path == "/healthz") {
    response.body() = "ok\n";
  } else if (path == "/readyz") {
    const std::string why = probes.not_ready();
    if (!why.empty()) response.result(http::status::service_unavailable);
    response.body() = why.empty() ? "ok\n" : why + '\n';
  } else {
    response.result(http::status::not_found);
    response.body() = "here are /metrics, /healthz and /readyz\n";
  }
  response.prepare_payload();
  if (request.method() == http::verb::head) response.body().clear();
  return response;
}

tcp::endpoint endpoint_of(const std::string& address) {
  const auto colon = address.rfind(':');
  std::string host = address.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  const auto port =
      colon == std::string::npos ? -1 : config::parse_integer(address.substr(colon + 1)).value_or(-1);
  boost::system::error_code bad;
  const auto ip = asio::ip::make_address(host, bad);
  if (bad || port < 0 || port > 65'535)
    throw std::runtime_error(
        "metrics.listen: expected an IP address and a port, such as 127.0.0.1:9464, got '" + address + "'");
  return {ip, static_cast<unsigned short>(port)};
}

}  // namespace

class MetricsListener::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(asio::io_context& io, const std::string& address, Probes probes)
      : acceptor_(io), probes_(std::move(probes)) {
    const tcp::endpoint endpoint = endpoint_of(address);
    try {
      acceptor_.open(endpoint.protocol());
      acceptor_.set_option(asio::socket_base::reuse_address(true));
      acceptor_.bind(endpoint);
      acceptor_.listen();
    } catch (const boost::system::system_error& e) {
      throw std::runtime_error("metrics.listen: cannot listen on " + address + ": " + e.code().message());
    }
  }

  int port() const { return acceptor_.local_endpoint().port(); }

  void accept() {
    acceptor_.async_accept(
        [self = shared_from_this()](const boost::system::error_code& failed, tcp::socket socket) {
          if (failed == asio::error::operation_aborted) return;
          if (!failed && self->open_ >= kMostConnections) self->close_oldest();
          if (!failed) self->serve(std::move(socket));
          self->accept();
        });
  }

  void close() {
    boost::system::error_code ignored;
    acceptor_.close(ignored);
  }

 private:
  struct Connection {
    explicit Connection(tcp::socket socket) : stream(std::move(socket)) { parser.header_limit(kMostHeader); }
    beast::tcp_stream stream;
    beast::flat_buffer buffer;
    http::request_parser<http::empty_body> parser;
    Response response;
  };

  // A probe must get through, whoever keeps connections open without asking anything.
  void close_oldest() {
    for (bool closed = false; !closed && !silent_.empty(); silent_.pop_front()) {
      const auto oldest = silent_.front().lock();
      closed = oldest != nullptr;
      if (closed) oldest->stream.close();
    }
  }

  void serve(tcp::socket socket) {
    ++open_;
    // Whatever ends the connection, its place becomes free with the last that refers to it.
    std::shared_ptr<Connection> connection(new Connection(std::move(socket)),
                                           [self = shared_from_this()](Connection* ended) {
                                             delete ended;
                                             --self->open_;
                                           });
    silent_.push_back(connection);
    while (silent_.front().expired()) silent_.pop_front();
    connection->stream.expires_after(kPatience);
    http::async_read(
        connection->stream, connection->buffer, connection->parser,
        [self = shared_from_this(), connection](const boost::system::error_code& failed, std::size_t) {
          if (!failed) self->answer(connection);
        });
  }

  void answer(const std::shared_ptr<Connection>& connection) {
    connection->response = respond(connection->parser.get(), probes_);
    http::async_write(connection->stream, connection->response,
                      [connection](const boost::system::error_code&, std::size_t) {
                        boost::system::error_code ignored;
                        connection->stream.socket().shutdown(tcp::socket::shutdown_send, ignored);
                      });
  }

  tcp::acceptor acceptor_;
  Probes probes_;
  int open_ = 0;
  std::deque<std::weak_ptr<Connection>> silent_;  // by age; some have asked by now
};

MetricsListener::MetricsListener(asio::io_context& io, const std::string& address, Probes probes)
    : impl_(std::make_shared<Impl>(io, address, std::move(probes))) {
  impl_->accept();
}

MetricsListener::~MetricsListener() {
  impl_->close();
}

int MetricsListener::port() const {
  return impl_->port();
}

}  // namespace durabled::daemon

#include "daemon/web/http_server.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <optional>
#include <stdexcept>

#include "daemon/log.hpp"
#include "daemon/web/assets.hpp"
#include "daemon/web/peers.hpp"

namespace durabled::daemon::web {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using Stream = beast::basic_stream<asio::generic::stream_protocol>;
using Request = http::request<http::string_body>;
using Response = http::response<http::string_body>;
using std::chrono::seconds;

namespace {

constexpr int kMostConnections = 1000, kMostStreams = 128;
constexpr seconds kHeadTime{60}, kBodyTime{20}, kAnswerTime{60}, kCommentPause{15};

constexpr const char* kContentPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri "
    "'none'; form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types "
    "'none'";

// Completes an operation with its error in `error`.
auto into(boost::system::error_code& error) {
  return asio::redirect_error(asio::use_awaitable, error);
}

std::string text_of(beast::string_view text) {
  return {text.data(), text.size()};
}

std::optional<std::string> header(const Request& request, beast::string_view name) {
  const auto found = request.find(name);
  return found == request.end() ? std::nullopt : std::optional(text_of(found->value()));
}

std::vector<std::string> headers(const Request& request, beast::string_view name) {
  std::vector<std::string> all;
  const auto range = request.equal_range(name);
  for (auto it = range.first; it != range.second; ++it) all.push_back(text_of(it->value()));
  return all;
}

// The value of one cookie; of two with the same name neither.
std::string cookie_of(const Request& request, const std::string& name) {
  std::vector<std::string> values;
  for (std::string rest : headers(request, "Cookie")) {
    while (!rest.empty()) {
      const std::size_t end = std::min(rest.find(';'), rest.size());
      std::string pair = rest.substr(0, end);
      rest.erase(0, end + 1);
      pair.erase(
          0, pair.find_first_not_of(' ') == std::string::npos ? pair.size() : pair.find_first_not_of(' '));
      if (pair.starts_with(name + '=')) values.push_back(pair.substr(name.size() + 1));
    }
  }
  return values.size() == 1 ? values[0] : "";
}

template <typename Message>
void add_headers(Message& message, const Reply& reply) {
  message.set(http::field::content_type, reply.type);
  message.set("Content-Security-Policy", kContentPolicy);
  message.set("X-Content-Type-Options", "nosniff");
  message.set("Referrer-Policy", "no-referrer");
  message.set("Cross-Origin-Opener-Policy", "same-origin");
  message.set("Cross-Origin-Resource-Policy", "same-origin");
  message.set("X-Frame-Options", "DENY");
  message.set(http::field::cache_control, "no-store");
  for (const auto& [name, value] : reply.headers) message.set(name, value);
}

Response to_response(Reply reply, const Request& request, bool keep_alive) {
  Response response(static_cast<http::status>(reply.status), request.version());
  add_headers(response, reply);
  response.keep_alive(keep_alive && request.keep_alive());
  if (reply.status != 304) response.body() = std::move(reply.body);
  response.prepare_payload();
  return response;
}

Reply asset_reply(const std::string& name, const Request& request, bool is_page) {
  for (const Asset& asset : assets()) {
    if (asset.name != name) continue;
    const std::string tag = '"' + std::string(assets_hash()) + '"';
    Reply reply;
    reply.type = asset.type;
    reply.headers = {{"ETag", tag}, {"Vary", "Accept-Encoding"}};
    reply.headers.emplace_back("Cache-Control", is_page ? "no-cache" : "public, max-age=31536000, immutable");
    if (header(request, "If-None-Match") == tag) {
      reply.status = 304;
      return reply;
    }
    const bool takes_gzip = header(request, "Accept-Encoding").value_or("").find("gzip") != std::string::npos;
    if (takes_gzip) reply.headers.emplace_back("Content-Encoding", "gzip");
    reply.body = std::string(takes_gzip ? asset.gzip : asset.raw);
    return reply;
  }
  throw not_found();
}

// Behind a trusted proxy, whom that forwards for.
std::string client_of(const Request& request, const std::string& peer, bool is_proxy) {
  if (!is_proxy) return peer;
  const auto forwarded = headers(request, "X-Forwarded-For");
  if (forwarded.empty()) return peer;
  const std::string& last = forwarded.back();
  const std::size_t comma = last.rfind(',');
  const std::size_t begin = comma == std::string::npos ? 0 : last.find_first_not_of(' ', comma + 1);
  return begin == std::string::npos ? peer : last.substr(begin, 64);
}

}  // namespace

class HttpServer::Impl {
 public:
  Impl(asio::io_context& io, Page& page);

  asio::io_context& io_;
  Page& page_;
  Places places_;
  int port_ = 0;

 private:
  struct Judged {
    Call call;
    std::optional<Reply> refused;
  };

  template <typename Acceptor>
  asio::awaitable<void> accept(std::shared_ptr<Acceptor> acceptor);
  asio::awaitable<void> serve(Stream stream, std::string peer);
  // What the head alone decides.
  asio::awaitable<Judged> judge(const Request& request, const std::string& peer);
  asio::awaitable<Reply> answer(Call& call, const Request& request);
  asio::awaitable<void> stream_events(Stream& stream, const Call& call, const Request& request);
  asio::awaitable<void> write_events(Stream& stream, std::shared_ptr<Subscription> subscription);

  int connections_ = 0;
};

HttpServer::Impl::Impl(asio::io_context& io, Page& page) : io_(io), page_(page) {
  const Options& options = page.options();
  places_.read_only = options.read_only;
  if (options.address.starts_with("unix:")) {
    const std::string path = options.address.substr(5);
    struct stat earlier = {};
    if (::lstat(path.c_str(), &earlier) == 0 && S_ISSOCK(earlier.st_mode)) ::unlink(path.c_str());
    auto acceptor = std::make_shared<asio::local::stream_protocol::acceptor>(
        io_, asio::local::stream_protocol::endpoint(path));
    ::chmod(path.c_str(), 0660);
    asio::co_spawn(io_, accept(acceptor), asio::detached);
  } else {
    const asio::ip::tcp::endpoint endpoint(asio::ip::make_address(options.address),
                                           static_cast<std::uint16_t>(options.port));
    auto acceptor = std::make_shared<asio::ip::tcp::acceptor>(io_, endpoint);
    port_ = acceptor->local_endpoint().port();
    const std::string port = ':' + std::to_string(port_);
    const bool is_v6 = endpoint.address().is_v6();
    places_.hosts.push_back((is_v6 ? '[' + options.address + ']' : options.address) + port);
    if (is_loopback(options.address)) places_.hosts.push_back("localhost" + port);
    asio::co_spawn(io_, accept(acceptor), asio::detached);
  }
  for (const std::string& host : options.hosts) places_.hosts.push_back(host);
  page_.set_port(port_);
}

template <typename Acceptor>
asio::awaitable<void> HttpServer::Impl::accept(std::shared_ptr<Acceptor> acceptor) {
  while (true) {
    boost::system::error_code error;
    auto socket = co_await acceptor->async_accept(into(error));
    if (error || connections_ >= kMostConnections) {
      // Out of descriptors: a moment later there may be one.
      asio::steady_timer pause(io_, std::chrono::milliseconds(error ? 100 : 1));
      co_await pause.async_wait(into(error));
      continue;
    }
    std::string peer = "unix";
    if constexpr (std::is_same_v<Acceptor, asio::ip::tcp::acceptor>) {
      const auto remote = socket.remote_endpoint(error);
      if (error) continue;
      peer = remote.address().to_string();
      socket.set_option(asio::ip::tcp::no_delay(true), error);
    }
    asio::co_spawn(io_, serve(Stream(asio::generic::stream_protocol::socket(std::move(socket))), peer),
                   asio::detached);
  }
}

asio::awaitable<void> HttpServer::Impl::serve(Stream stream, std::string peer) {
  ++connections_;
  beast::flat_buffer buffer(kMostHead + kMostBody);
  boost::system::error_code error;
  for (bool goes_on = true; goes_on && !error;) {
    http::request_parser<http::string_body> parser;
    parser.header_limit(kMostHead);
    parser.body_limit(boost::none);  // the guard judges the length that the head tells
    stream.expires_after(kHeadTime);
    co_await http::async_read_header(stream, buffer, parser, into(error));
    if (error == http::error::header_limit || error == http::error::buffer_overflow) {
      Response response =
          to_response(error_reply(Refused(431, "too_large", "a head has at most 64 KiB")), Request(), false);
      co_await http::async_write(stream, response, into(error));
      break;
    }
    if (error == http::error::end_of_stream || error == beast::error::timeout || !parser.is_header_done())
      break;
    Judged judged = co_await judge(parser.get(), peer);
    if (!judged.refused && !parser.is_done()) {
      parser.body_limit(kMostBody);
      stream.expires_after(kBodyTime);
      co_await http::async_read(stream, buffer, parser, into(error));
      if (error == http::error::body_limit)
        judged.refused = error_reply(Refused(413, "too_large", "a body has at most 1 MiB"));
      else if (error)
        break;
    }
    const Request& request = parser.get();
    if (!judged.refused && judged.call.route->endpoint == Endpoint::kStream) {
      co_await stream_events(stream, judged.call, request);
      break;
    }
    // A body that was not read would be taken for the next request.
    goes_on = parser.is_done();
    Reply reply;
    if (judged.refused)
      reply = *std::move(judged.refused);
    else
      reply = co_await answer(judged.call, request);
    Response response = to_response(std::move(reply), request, goes_on);
    goes_on = goes_on && response.keep_alive();
    stream.expires_after(kAnswerTime);
    co_await http::async_write(stream, response, into(error));
  }
  stream.socket().shutdown(asio::socket_base::shutdown_send, error);
  --connections_;
}

asio::awaitable<HttpServer::Impl::Judged> HttpServer::Impl::judge(const Request& request,
                                                                  const std::string& peer) {
  const Options& options = page_.options();
  Judged judged;
  std::optional<Refused> refused;
  try {
    const bool is_proxy = is_trusted(peer, options.trusted);
    const auto target = parse_target(text_of(request.target()), options.base_path);
    Match found;
    if (target) found = match(text_of(request.method_string()), target->path);
    Asked asked;
    asked.method = text_of(request.method_string());
    asked.hosts = headers(request, "Host");
    asked.content_type = header(request, "Content-Type");
    asked.fetch_site = header(request, "Sec-Fetch-Site");
    asked.origin = header(request, "Origin");
    if (const auto length = header(request, "Content-Length")) asked.content_length = std::stoull(*length);
    asked.from_allowed_peer = options.trusted.empty() || is_proxy;
    refused = refuse_host(asked, places_);
    if (!refused) {
      judged.call.address = client_of(request, peer, is_proxy);
      judged.call.cookie = cookie_of(request, page_.cookie_name());
      if (!found.admission.is_open) {
        const auto users =
            options.user_header.empty() ? std::vector<std::string>() : headers(request, options.user_header);
        const auto user = users.size() == 1 ? std::optional(users[0]) : std::nullopt;
        judged.call.session = co_await page_.session_of(judged.call.cookie, user);
      }
      asked.has_session = judged.call.session != nullptr;
      refused = refuse(asked, found.admission, places_);
    }
    judged.call.route = found.route;
    judged.call.parts = std::move(found.parts);
    if (!refused && is_unsafe(asked.method) && !target->query.empty())
      throw Refused(400, "bad_request", "this method takes its parameters from the body");
    if (!refused) judged.call.parameters = Parameters::of_query(target->query);
  } catch (const Refused& error) {
    refused = error;
  } catch (const store::WebError& error) {
    refused = refusal(error);
  } catch (const std::exception& error) {
    refused = Refused(400, "bad_request", "the request is malformed");
  }
  if (!refused) co_return judged;
  static const std::map<Mode, std::string> modes{
      {Mode::kPersonal, "personal"}, {Mode::kLogin, "login"}, {Mode::kProxy, "proxy"}};
  const std::string more = refused->status() == 401 ? ",\"mode\":\"" + modes.at(options.mode) + '"' : "";
  judged.refused = error_reply(*refused, more);
  co_return judged;
}

asio::awaitable<Reply> HttpServer::Impl::answer(Call& call, const Request& request) {
  std::optional<Refused> refused;
  try {
    if (call.route->endpoint == Endpoint::kPage) co_return asset_reply("index.html", request, true);
    if (call.route->endpoint == Endpoint::kAsset) {
      const auto folder = call.parts.find("folder");
      const std::string name =
          (folder == call.parts.end() ? "" : folder->second + '/') + call.parts.at("name");
      if (call.parts.at("hash") != assets_hash()) throw not_found();
      co_return asset_reply(name, request, false);
    }
    if (is_unsafe(call.route->method)) call.parameters = Parameters::of_body(request.body());
    Reply reply = co_await page_.answer(call);
    co_return reply;
  } catch (const Refused& error) {
    refused = error;
  } catch (const store::WebError& error) {
    refused = refusal(error);
  } catch (const std::exception& error) {
    log_error(std::string("ui: ") + error.what());
    refused = Refused(500, "internal", "this went wrong; the log of durabled ui says how");
  }
  co_return error_reply(*refused);
}

asio::awaitable<void> HttpServer::Impl::stream_events(Stream& stream, const Call& call,
                                                      const Request& request) {
  boost::system::error_code error;
  std::shared_ptr<Subscription> subscription;
  std::optional<Refused> refused;
  try {
    call.parameters.require_known(call.route->parameters);
    if (call.session->streams >= kMostStreams)
      throw Refused(429, "slow_down", "too many streams of this session");
    Watched watched = Page::watched(call.parameters);
    const std::string last = header(request, "Last-Event-ID").value_or("");
    if (!last.empty() && last.size() < 18 && last.find_first_not_of("0123456789") == std::string::npos)
      watched.after = std::max<std::int64_t>(watched.after, std::stoll(last));
    subscription = page_.live().subscribe(call.session, std::move(watched));
  } catch (const Refused& problem) {
    refused = problem;
  }
  if (refused) {
    Response response = to_response(error_reply(*refused), request, false);
    co_await http::async_write(stream, response, into(error));
    co_return;
  }
  http::response<http::empty_body> head(http::status::ok, request.version());
  Reply events;
  events.type = "text/event-stream";
  events.headers.emplace_back("X-Accel-Buffering", "no");
  add_headers(head, events);
  head.keep_alive(false);
  http::response_serializer<http::empty_body> serializer(head);
  stream.expires_after(kAnswerTime);
  co_await http::async_write_header(stream, serializer, into(error));
  if (error) co_return;
  ++call.session->streams;
  co_await write_events(stream, subscription);
  --call.session->streams;
  call.session->used = Clock::now();
}

asio::awaitable<void> HttpServer::Impl::write_events(Stream& stream,
                                                     std::shared_ptr<Subscription> subscription) {
  boost::system::error_code error;
  while (!error) {
    std::string text;
    while (!subscription->out.empty()) {
      text += subscription->out.front();
      subscription->out.pop_front();
    }
    if (text.empty() && subscription->is_last) co_return;
    if (text.empty()) {
      subscription->wake->expires_after(kCommentPause);
      boost::system::error_code woken;
      co_await subscription->wake->async_wait(into(woken));
      if (!subscription->out.empty() || subscription->is_last) continue;
      text = ":\n\n";
    }
    stream.expires_after(kAnswerTime);
    co_await asio::async_write(stream, asio::buffer(text), into(error));
  }
}

HttpServer::HttpServer(asio::io_context& io, Page& page) {
  try {
    impl_ = std::make_unique<Impl>(io, page);
  } catch (const boost::system::system_error& error) {
    throw std::runtime_error("cannot listen on " + page.options().address +
                             (page.options().port == 0 ? "" : ':' + std::to_string(page.options().port)) +
                             ": " + error.code().message());
  }
}

HttpServer::~HttpServer() = default;

int HttpServer::port() const {
  return impl_->port_;
}

}  // namespace durabled::daemon::web

#include "tests/support/http_server.hpp"

#include <sys/resource.h>

#include <algorithm>
#include <boost/asio.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <mutex>
#include <thread>

namespace durabled::test {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using tcp = asio::ip::tcp;
using ErrorCode = boost::system::error_code;

constexpr std::size_t kRememberedCalls = 20'000;

std::string lower_case(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return out;
}

std::string text_of(beast::string_view text) {
  return {text.data(), text.size()};
}

// A test that has hundreds of calls in flight holds both ends of each, which is more than the usual soft
// limit of 1024.
void raise_file_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, 65'536);
  setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace

// What the sessions share; everything behind one mutex.
class HttpTestServer::State {
 public:
  State(std::uint16_t port, const std::string& address)
      : acceptor_(context_, tcp::endpoint(asio::ip::make_address(address), port)) {
    acceptor_.listen(4096);
  }

  void run(int threads);
  void stop();

  TestAnswer answer(TestCall& call);
  void opened(int change) {
    const std::lock_guard lock(mutex_);
    open_ += change;
    most_open_ = std::max(most_open_, open_);
  }
  void client_left() {
    const std::lock_guard lock(mutex_);
    ++abandoned_;
  }

  std::mutex mutex_;
  std::map<std::string, Handler> routes_;
  std::map<std::string, int> counts_;
  std::vector<TestCall> calls_;
  int open_ = 0, most_open_ = 0, abandoned_ = 0, connections_ = 0;
  asio::io_context context_;
  tcp::acceptor acceptor_;

 private:
  void accept();
  std::vector<std::thread> threads_;
};

namespace {

// One connection: read a request, wait as long as the answer says, answer; again.
class Session : public std::enable_shared_from_this<Session> {
 public:
  Session(tcp::socket socket, HttpTestServer::State& state)
      : stream_(std::move(socket)), timer_(stream_.get_executor()), state_(state) {}

  void read() {
    parser_.emplace();
    parser_->body_limit(boost::none);
    http::async_read(stream_, buffer_, *parser_, [self = shared_from_this()](ErrorCode error, std::size_t) {
      if (!error) self->dispatch();
    });
  }

 private:
  using Fate = TestAnswer::Fate;

  void dispatch() {
    const auto& request = parser_->get();
    TestCall call;
    call.method = text_of(request.method_string());
    const std::string target = text_of(request.target());
    const std::size_t question = target.find('?');
    call.path = target.substr(0, question);
    if (question != std::string::npos) call.query = target.substr(question + 1);
    for (const auto& field : request)
      call.headers[lower_case(text_of(field.name_string()))] = text_of(field.value());
    call.body = request.body();
    keep_alive_ = request.keep_alive();
    answer_ = state_.answer(call);
    state_.opened(+1);
    watching_ = true;
    watch_client();
    if (answer_.delay.count() == 0) {
      act();
      return;
    }
    timer_.expires_after(answer_.delay);
    timer_.async_wait([self = shared_from_this()](ErrorCode error) {
      if (!error) self->act();
    });
  }

  // The client sends nothing while it waits for its answer, so a socket that has something to say then says
  // that the client has gone. Asio may report one that has nothing: then the watch goes on.
  void watch_client() {
    stream_.socket().async_wait(tcp::socket::wait_read, [self = shared_from_this()](ErrorCode error) {
      if (error || !self->watching_) return;
      char byte = 0;
      ErrorCode peeked;
      self->stream_.socket().non_blocking(true, peeked);
      self->stream_.socket().receive(asio::buffer(&byte, 1), tcp::socket::message_peek, peeked);
      if (peeked == asio::error::would_block) self->watch_client();
      if (!peeked || peeked == asio::error::would_block) return;
      self->state_.client_left();
      self->end();
    });
  }

  void act() {
    if (ended_) return;
    switch (answer_.fate) {
      case Fate::kAnswer:
        write_answer();
        return;
      case Fate::kHang:
        return;  // watch_client() keeps the session alive
      case Fate::kReset:
        stream_.socket().set_option(asio::socket_base::linger(true, 0));
        end();
        return;
      case Fate::kFlood:
        answer_.body = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n";
        flood();
        return;
      case Fate::kRaw:
        asio::async_write(stream_, asio::buffer(answer_.body),
                          [self = shared_from_this()](ErrorCode, std::size_t) { self->end(); });
        return;
    }
  }

  void write_answer() {
    response_ = {};
    response_.version(11);
    response_.result(static_cast<unsigned>(answer_.status));
    for (const auto& [name, value] : answer_.headers) response_.insert(name, value);
    response_.body() = answer_.body;
    response_.keep_alive(keep_alive_);
    response_.prepare_payload();
    watching_ = false;
    stream_.socket().cancel();  // the watch, before the next read
    http::async_write(stream_, response_, [self = shared_from_this()](ErrorCode error, std::size_t) {
      self->state_.opened(-1);
      if (!error && self->keep_alive_) self->read();
    });
  }

  void flood() {
    asio::async_write(stream_, asio::buffer(answer_.body),
                      [self = shared_from_this()](ErrorCode error, std::size_t) {
                        if (error || self->ended_) {
                          self->end();
                          return;
                        }
                        self->answer_.body.assign(64 << 10, 'x');
                        self->flood();
                      });
  }

  void end() {
    if (ended_) return;
    ended_ = true;
    watching_ = false;
    state_.opened(-1);
    timer_.cancel();
    ErrorCode ignored;
    stream_.socket().close(ignored);
  }

  beast::tcp_stream stream_;
  asio::steady_timer timer_;
  HttpTestServer::State& state_;
  beast::flat_buffer buffer_;
  std::optional<http::request_parser<http::string_body>> parser_;
  http::response<http::string_body> response_;
  TestAnswer answer_;
  bool keep_alive_ = false;
  bool watching_ = false;  // for a client that goes away before its answer
  bool ended_ = false;
};

}  // namespace

void HttpTestServer::State::accept() {
  acceptor_.async_accept(asio::make_strand(context_), [this](ErrorCode error, tcp::socket socket) {
    if (error == asio::error::operation_aborted) return;
    if (!error) {
      {
        const std::lock_guard lock(mutex_);
        ++connections_;
      }
      socket.set_option(tcp::no_delay(true), error);
      std::make_shared<Session>(std::move(socket), *this)->read();
    }
    accept();
  });
}

void HttpTestServer::State::run(int threads) {
  accept();
  for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { context_.run(); });
}

void HttpTestServer::State::stop() {
  context_.stop();
  for (std::thread& thread : threads_) thread.join();
}

TestAnswer HttpTestServer::State::answer(TestCall& call) {
  Handler handler;
  {
    const std::lock_guard lock(mutex_);
    call.number = ++counts_[call.path];
    if (calls_.size() >= kRememberedCalls)
      calls_.erase(calls_.begin(), calls_.begin() + kRememberedCalls / 2);
    calls_.push_back(call);
    std::size_t longest = 0;
    for (const auto& [prefix, candidate] : routes_) {
      if (!call.path.starts_with(prefix) || prefix.size() < longest) continue;
      longest = prefix.size();
      handler = candidate;
    }
  }
  if (handler) return handler(call);
  TestAnswer none;
  none.status = 404;
  none.body = "no route";
  return none;
}

HttpTestServer::HttpTestServer(std::uint16_t port, const std::string& address)
    : state_(std::make_shared<State>(port, address)) {
  raise_file_limit();
  state_->run(2);
}

HttpTestServer::~HttpTestServer() {
  state_->stop();
}

std::uint16_t HttpTestServer::port() const {
  return state_->acceptor_.local_endpoint().port();
}

std::string HttpTestServer::url(const std::string& path, const std::string& host) const {
  return "http://" + host + ":" + std::to_string(port()) + path;
}

void HttpTestServer::route(const std::string& prefix, Handler handler) {
  const std::lock_guard lock(state_->mutex_);
  state_->routes_[prefix] = std::move(handler);
}

void HttpTestServer::route(const std::string& prefix, TestAnswer answer) {
  route(prefix, [answer = std::move(answer)](const TestCall&) { return answer; });
}

std::vector<TestCall> HttpTestServer::calls(const std::string& path) const {
  const std::lock_guard lock(state_->mutex_);
  std::vector<TestCall> found;
  std::copy_if(state_->calls_.begin(), state_->calls_.end(), std::back_inserter(found),
               [&](const TestCall& call) { return call.path == path; });
  return found;
}

int HttpTestServer::count(const std::string& path) const {
  const std::lock_guard lock(state_->mutex_);
  const auto found = state_->counts_.find(path);
  return found == state_->counts_.end() ? 0 : found->second;
}

std::map<std::string, int> HttpTestServer::counts() const {
  const std::lock_guard lock(state_->mutex_);
  return state_->counts_;
}

int HttpTestServer::open_calls() const {
  const std::lock_guard lock(state_->mutex_);
  return state_->open_;
}

int HttpTestServer::most_open() const {
  const std::lock_guard lock(state_->mutex_);
  return state_->most_open_;
}

int HttpTestServer::abandoned() const {
  const std::lock_guard lock(state_->mutex_);
  return state_->abandoned_;
}

int HttpTestServer::connections() const {
  const std::lock_guard lock(state_->mutex_);
  return state_->connections_;
}

}  // namespace durabled::test

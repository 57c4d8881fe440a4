// What the handlers of requests share, and the handlers. Everything here belongs to the I/O thread.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "daemon/web/live.hpp"
#include "daemon/web/page_server.hpp"
#include "daemon/web/reply.hpp"
#include "daemon/web/request.hpp"
#include "daemon/web/routes.hpp"
#include "daemon/web/sessions.hpp"

namespace durabled::daemon::web {

// One request that the guard has let through.
struct Call {
  const Route* route = nullptr;
  std::map<std::string, std::string> parts;
  Parameters parameters;
  std::shared_ptr<Session> session;  // nullptr for what needs none
  std::string cookie;                // the session's key
  std::string address;               // whose request it is, for the log
};

class Page {
 public:
  Page(boost::asio::io_context& io, boost::asio::thread_pool& threads, Options options);

  const Options& options() const { return options_; }
  Live& live() { return live_; }

  // The link's token, of mode personal. A new one makes the one before useless.
  std::string new_token();
  // Called when a session begins by a token.
  std::function<void()> on_session;

  // The session of a cookie's value, or in mode proxy of a user; nullptr if it has ended. Throws Refused or WebError where the
  // database does.
  boost::asio::awaitable<std::shared_ptr<Session>> session_of(std::string cookie,
                                                              std::optional<std::string> user);
  // The route is neither the page, an asset nor a stream. Throws Refused, WebError.
  boost::asio::awaitable<Reply> answer(Call call);
  // What a stream or api/changes watches. Throws Refused.
  static Watched watched(const Parameters& parameters);

  std::string cookie_name() const;
  void set_port(int port) { port_ = port; }

 private:
  boost::asio::awaitable<Reply> begin_session(const Call& call);
  boost::asio::awaitable<Reply> log_in(const Call& call, const std::string& user,
                                       const std::string& password);
  boost::asio::awaitable<Reply> read(const Call& call);
  boost::asio::awaitable<Reply> act(const Call& call);
  boost::asio::awaitable<Reply> bulk(const Call& call);
  boost::asio::awaitable<Reply> me(const Call& call);
  boost::asio::awaitable<Reply> payload(const Call& call);
  Reply with_cookie(const std::shared_ptr<Session>& session);
  std::string cookie(const std::string& value, const std::string& more) const;

  boost::asio::io_context& io_;
  boost::asio::thread_pool& threads_;
  Options options_;
  int port_ = 0;
  std::shared_ptr<Database> shared_;  // of the modes personal and proxy
  Sessions sessions_;
  std::map<std::string, std::shared_ptr<Session>> by_user_;  // of mode proxy
  LoginDelays delays_;
  std::string token_;
  Live live_;
};

// The facts of a role, and whether it may come in. Throws WebError, Refused.
void check_facts(const store::WebFacts& facts, Mode mode);

store::WebFilter filter_of(const Parameters& parameters);

// A row of the log for each write.
void log_write(const Call& call, const std::string& action, const std::string& id, const std::string& reason,
               const std::string& outcome);

}  // namespace durabled::daemon::web

// The step pool's connections to PostgreSQL: a StepSession each, driven by the event loop. Opening one and
// cancelling block, and are done on threads of their own.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <memory>
#include <string>

#include "config/config.hpp"
#include "daemon/step_link.hpp"

namespace durabled::daemon {

struct SessionOptions {
  std::string conninfo;
  std::string own_role;
  std::string served_database;
  std::string installation;           // see store::WorkerId
  bool set_role = false;              // one login for all roles
  config::Config::Identity identity;  // what is added for a role's login
  bool prepared_statements = true;
  std::chrono::milliseconds lease_ttl{15'000};
  int connections = 32;  // at most
};

class SessionConnector : public StepConnector, public std::enable_shared_from_this<SessionConnector> {
 public:
  SessionConnector(boost::asio::io_context& io, SessionOptions options);
  ~SessionConnector() override;

  // For connections opened from now on.
  void reconfigure(config::Config::Identity identity);
  // Waits for the threads; nothing is called back after this. Links are destroyed before the connector.
  void shut_down();

  void connect(const store::StepTarget& target, Opened opened, Refused refused) override;
  void post(std::function<void()> work) override;
  void wake_at(std::chrono::steady_clock::time_point time, std::function<void()> work) override;
  std::chrono::steady_clock::time_point now() const override { return std::chrono::steady_clock::now(); }

 private:
  class Link;

  boost::asio::io_context& io_;
  SessionOptions options_;
  // An attempt to connect blocks for as long as connect_timeout allows, so each of as many connections as there
  // may be has a thread, up to a limit. Cancelling must not wait for that.
  boost::asio::thread_pool connect_threads_;
  boost::asio::thread_pool cancel_threads_{2};
  boost::asio::steady_timer timer_;
  bool is_closed_ = false;
};

}  // namespace durabled::daemon

// HTTP steps: from a decision of the engine to a call of the HTTP client, and back to the io_context's
// thread.
#pragma once

#include <boost/asio/io_context.hpp>
#include <functional>
#include <map>
#include <memory>

#include "config/config.hpp"
#include "daemon/coordinator.hpp"
#include "daemon/http/client.hpp"

namespace durabled::daemon {

class HttpSteps : public HttpPort, public std::enable_shared_from_this<HttpSteps> {
 public:
  using Done = std::function<void(StepId, HttpResult)>;
  // `installation`: a UUID, see store::WorkerId. Throws config::ConfigError when http.allow is wrong.
  HttpSteps(boost::asio::io_context& io, const config::Config::Http& config, std::string installation);

  void set_done(Done done) { done_ = std::move(done); }
  // The value of the header traceparent; without this, calls have none.
  using Traceparent = std::function<std::string(const std::string& instance_id, const dsl::CallHttp& call)>;
  void set_traceparent(Traceparent traceparent) { traceparent_ = std::move(traceparent); }
  void start(StepId id, const std::string& role, const std::string& instance_id, const dsl::Node& node,
             const dsl::CallHttp& call, const dsl::Variables& variables, const HttpPayload* payload) override;
  void stop(StepId id) override;
  void reconfigure(const config::Config::Http& config);
  std::size_t calls() const { return calls_.size(); }  // under way or waiting
  // Aborts every call; nothing is called back after this.
  void shut_down();

 private:
  void answer(StepId id, HttpResult result);

  boost::asio::io_context& io_;
  std::string installation_;
  std::unique_ptr<HttpClient> client_;
  Done done_;
  Traceparent traceparent_;
  std::map<StepId, HttpCallId> calls_;
};

}  // namespace durabled::daemon

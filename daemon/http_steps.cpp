#include "daemon/http_steps.hpp"

#include <boost/asio/post.hpp>
#include <utility>

#include "config/loader.hpp"
#include "daemon/http/idempotency_key.hpp"
#include "daemon/http/template.hpp"
#include "daemon/log.hpp"
#include "dsl/value/json_slice.hpp"

namespace durabled::daemon {
namespace {

using namespace std::chrono_literals;

HttpResult to_result(HttpOutcome outcome, dsl::NodeIndex node, int attempt) {
  HttpResult result;
  if (outcome) {
    if (const auto duration = dsl::json_member(outcome->json, "duration_ms"))
      result.took = std::chrono::milliseconds(std::stoll(std::string(*duration)));
    result.result = std::move(outcome->json);
    result.facts = {outcome->url, outcome->status, outcome->bytes,
                    std::chrono::duration_cast<std::chrono::milliseconds>(result.took.value_or(0us))};
    return result;
  }
  const HttpFailure& error = outcome.error();
  dsl::Failure failure = dsl::make_failure(error.code, error.message, node, attempt);
  failure.detail = error.detail;
  failure.transient = error.failure_class == HttpFailure::Class::kTransient;
  failure.final = error.failure_class == HttpFailure::Class::kPermanent;
  result.failure = std::move(failure);
  if (error.retry_after) result.retry_after = static_cast<double>(error.retry_after->count());
  if (error.took) result.took = *error.took;
  return result;
}

std::shared_ptr<const HttpPolicy> make_policy(const config::Config::Http& config) {
  auto policy = HttpPolicy::create(config);
  if (!policy) throw config::ConfigError("http.allow: " + policy.error());
  return *policy;
}

}  // namespace

HttpSteps::HttpSteps(boost::asio::io_context& io, const config::Config::Http& config,
                     std::string installation)
    : io_(io),
      installation_(std::move(installation)),
      client_(std::make_unique<HttpClient>(config, make_policy(config))) {}

void HttpSteps::start(StepId id, const std::string& role, const std::string& instance_id,
                      const dsl::Node& node, const dsl::CallHttp& call, const dsl::Variables& variables,
                      const HttpPayload* payload) {
  const std::string key = idempotency_key(installation_, instance_id, call.address);
  auto request =
      build_http_request(node, {call.names, variables},
                         {role, key, traceparent_ ? traceparent_(instance_id, call) : ""}, payload);
  const auto deliver = [weak = weak_from_this(), id, index = call.address.node, attempt = call.attempt,
                        &io = io_](HttpOutcome outcome) {
    boost::asio::post(io, [weak, id, result = to_result(std::move(outcome), index, attempt)]() mutable {
      if (const auto self = weak.lock()) self->answer(id, std::move(result));
    });
  };
  if (!request) {
    calls_[id] = 0;
    return deliver(HttpOutcome(Unexpected{request.error()}));
  }
  log_debug("instance " + instance_id + ", node " + dsl::node_id(call.address.node) + ": " + request->method +
            " " + request->url.display());
  calls_[id] = client_->start(std::move(*request), deliver);
}

void HttpSteps::answer(StepId id, HttpResult result) {
  if (calls_.erase(id) > 0 && done_) done_(id, std::move(result));
}

void HttpSteps::stop(StepId id) {
  const auto found = calls_.find(id);
  if (found == calls_.end()) return;
  if (found->second != 0) client_->abort(found->second);
  calls_.erase(found);
}

void HttpSteps::reconfigure(const config::Config::Http& config) {
  client_->reconfigure(config, make_policy(config));
}

void HttpSteps::shut_down() {
  done_ = nullptr;
  calls_.clear();
  client_.reset();
}

}  // namespace durabled::daemon

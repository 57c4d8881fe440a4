// An OpenTelemetry collector for tests: the HTTP test server, and what was sent to it.
#pragma once

#include <boost/json.hpp>
#include <string>
#include <vector>

#include "tests/support/http_server.hpp"

namespace durabled::test {

// A span with its attributes as one object, numbers as text as they are sent.
struct TracedSpan {
  boost::json::object json, attributes;
  std::string text(const char* member) const {
    const auto* value = json.if_contains(member);
    return value == nullptr ? "" : std::string(value->as_string());
  }
  // "" where there is no such attribute.
  std::string operator[](const char* name) const {
    const auto* value = attributes.if_contains(name);
    return value == nullptr ? "" : std::string(value->as_string());
  }
  bool failed() const {
    const auto* status = json.if_contains("status");
    return status != nullptr && status->at("code") == 2;
  }
};

class TraceCollector {
 public:
  TraceCollector() { answers({200, "{}"}); }

  // What it answers from now on.
  void answers(TestAnswer answer) { http.route("/v1/traces", std::move(answer)); }
  std::string endpoint() const { return "http://127.0.0.1:" + std::to_string(http.port()); }

  // Everything that was sent, in the order of arrival; refused or not.
  std::vector<TracedSpan> spans() const {
    std::vector<TracedSpan> all;
    for (const TestCall& call : http.calls("/v1/traces")) {
      const boost::json::value body = boost::json::parse(call.body);
      for (const auto& resource : body.at("resourceSpans").as_array()) {
        for (const auto& scope : resource.at("scopeSpans").as_array()) {
          for (const auto& span : scope.at("spans").as_array()) all.push_back(read(span.as_object()));
        }
      }
    }
    return all;
  }
  // Those of an instance, its root among them.
  std::vector<TracedSpan> spans_of(const std::string& instance) const {
    std::vector<TracedSpan> some;
    for (TracedSpan& span : spans()) {
      if (span["durabled.instance"] == instance) some.push_back(std::move(span));
    }
    return some;
  }

  HttpTestServer http;

 private:
  static TracedSpan read(const boost::json::object& json) {
    TracedSpan span{json, {}};
    for (const auto& attribute : json.at("attributes").as_array()) {
      const auto& value = attribute.at("value").as_object();
      span.attributes[attribute.at("key").as_string()] = value.begin()->value();
    }
    return span;
  }
};

}  // namespace durabled::test

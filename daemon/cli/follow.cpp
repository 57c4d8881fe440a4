#include "daemon/cli/follow.hpp"

#include <algorithm>
#include <boost/json.hpp>
#include <chrono>
#include <iostream>

#include "daemon/cli/failure.hpp"
#include "daemon/cli/json_text.hpp"
#include "daemon/cli/terminal.hpp"

namespace durabled::daemon::cli {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kSlice{300};  // between two looks at what it is at

std::string activity(store::ClientStore& store, const std::string& id) {
  const auto waits = store.waiting(id);
  return waits.empty() ? "" : describe(waits.front());
}

std::string await_end(store::ClientStore& store, const std::string& id,
                      std::optional<double> timeout_seconds) {
  Progress progress;
  const auto begin = Clock::now();
  std::string status = store.await(id, milliseconds{0});
  while (!has_ended(status)) {
    milliseconds slice = kSlice;
    if (timeout_seconds) {
      const auto left = std::chrono::duration<double>(*timeout_seconds) - (Clock::now() - begin);
      if (left.count() <= 0) break;
      slice = std::min(slice, std::chrono::ceil<milliseconds>(left));
    }
    const auto elapsed = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - begin);
    progress.show(id + ' ' + status + "  " + readable(elapsed) + "  " + activity(store, id));
    status = store.await(id, slice);
  }
  return status;
}

boost::json::object object_of(const std::string& json) {
  boost::system::error_code bad;
  boost::json::value value = boost::json::parse(json, bad);
  return !bad && value.is_object() ? std::move(value.as_object()) : boost::json::object();
}

void print_json(const store::InstanceDetail& instance) {
  std::cout << JsonObject()
                   .text("id", instance.id)
                   .text("status", instance.status)
                   .raw_or_null("result", instance.result)
                   .raw_or_null("error", instance.error)
                   .text()
            << '\n';
}

}  // namespace

bool has_ended(const std::string& status) {
  return status == "completed" || status == "failed" || status == "cancelled";
}

std::string describe(const store::WaitingFor& wait) {
  std::string text = "waiting for " + wait.kind + (wait.name ? " '" + *wait.name + '\'' : "");
  if (wait.kind == "timer") text = "sleeping";
  if (wait.kind == "retry") text = "waiting to try again";
  return wait.until ? text + " until " + local_time(*wait.until) : text;
}

std::string error_message(const std::string& error_json) {
  const boost::json::object error = object_of(error_json);
  const boost::json::value* message = error.if_contains("message");
  return message == nullptr || !message->is_string() ? error_json : std::string(message->as_string());
}

std::vector<std::string> error_details(const std::string& error_json) {
  const boost::json::object error = object_of(error_json);
  std::vector<std::string> lines;
  for (const char* key : {"detail", "hint", "sqlstate", "node", "attempts"}) {
    const boost::json::value* value = error.if_contains(key);
    if (value == nullptr || value->is_null()) continue;
    lines.push_back(std::string(key) + ": " +
                    (value->is_string() ? std::string(value->as_string()) : boost::json::serialize(*value)));
  }
  return lines;
}

ExitCode wait_for(store::ClientStore& store, const std::string& id, std::optional<double> timeout_seconds,
                  bool json) {
  const std::string status = await_end(store, id, timeout_seconds);
  const store::InstanceDetail instance = store.instance(id);
  if (json) {
    print_json(instance);
  } else {
    std::cout << id << ' ' << paint(status_colour(status), status) << '\n';
    if (instance.result) std::cout << *instance.result << '\n';
  }
  if (status == "completed") return ExitCode::kOk;
  if (!has_ended(status)) return report(ExitCode::kFailed, "instance " + id + " is still " + status);
  return report(ExitCode::kInstanceFailed, "instance " + id + ' ' + status +
                                               (instance.error ? ": " + error_message(*instance.error) : ""));
}

}  // namespace durabled::daemon::cli

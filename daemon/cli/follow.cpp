#include "daemon/cli/follow.hpp"

#include <algorithm>
#include <chrono>
#include <iostream>

#include "config/config.hpp"
#include "daemon/cli/error_text.hpp"
#include "daemon/cli/failure.hpp"
#include "daemon/cli/instance_tree.hpp"
#include "daemon/cli/json_text.hpp"
#include "daemon/cli/terminal.hpp"

namespace durabled::daemon::cli {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kSlice{300};  // between two looks at what it is at
constexpr std::chrono::seconds kPatience{2};

std::string activity(store::ClientStore& store, const std::string& id) {
  const auto waits = store.waiting(id);
  return waits.empty() ? "" : describe(waits.front());
}

std::string await_end(const Invocation& invocation, store::ClientStore& store, const std::string& id,
                      std::optional<double> timeout_seconds) {
  Progress progress;
  const auto begin = Clock::now();
  std::optional<bool> served;  // looked at once it has been pending for long
  std::string status = store.await(id, milliseconds{0});
  while (!has_ended(status)) {
    milliseconds slice = kSlice;
    if (timeout_seconds) {
      const auto left = std::chrono::duration<double>(*timeout_seconds) - (Clock::now() - begin);
      if (left.count() <= 0) break;
      slice = std::min(slice, std::chrono::ceil<milliseconds>(left));
    }
    if (status == "pending" && !served && Clock::now() - begin > kPatience) {
      served = is_served(store);
      if (!*served && !progress.is_shown())
        warn(invocation.json, not_served(invocation) + "; waiting for one");
    }
    const bool is_alone = status == "pending" && !served.value_or(true);
    const auto elapsed = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - begin);
    progress.show(id + ' ' + status + "  " + readable(elapsed) + "  " +
                  (is_alone ? not_served(invocation) : activity(store, id)));
    status = store.await(id, slice);
  }
  return status;
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

bool is_served(store::ClientStore& store) {
  return store.is_served(config::Config{}.worker.lease_ttl);
}

std::string not_served(const Invocation& invocation) {
  return "no daemon serves this database (start one: " + invocation.program + " run, or look with " +
         invocation.program + " doctor)";
}

std::string describe(const store::WaitingFor& wait) {
  std::string text = "waiting for " + wait.kind + (wait.name ? " '" + *wait.name + '\'' : "");
  if (wait.kind == "timer") text = "sleeping";
  if (wait.kind == "retry") text = "waiting to try again";
  return wait.until ? text + " until " + local_time(*wait.until) : text;
}

ExitCode wait_for(const Invocation& invocation, store::ClientStore& store, const std::string& id,
                  std::optional<double> timeout_seconds) {
  const std::string status = await_end(invocation, store, id, timeout_seconds);
  const store::InstanceDetail instance = store.instance(id);
  if (invocation.json) {
    print_json(instance);
  } else {
    std::cout << id << ' ' << paint(status_colour(status), status) << '\n';
    if (instance.result) std::cout << *instance.result << '\n';
  }
  if (status == "completed") return ExitCode::kOk;
  if (!has_ended(status)) {
    return report(
        invocation.json, ExitCode::kFailed,
        "instance " + id + " is still " + status + (is_served(store) ? "" : "; " + not_served(invocation)));
  }
  std::string message = "instance " + id + ' ' + status;
  if (instance.error) {
    message += ": " + error_message(*instance.error);
    for (const std::string& line : error_details(*instance.error, graph_of(instance)))
      message += "\n  " + line;
    message += "\nmore: " + invocation.program + " show " + id;
  }
  return report(invocation.json, ExitCode::kInstanceFailed, message);
}

}  // namespace durabled::daemon::cli

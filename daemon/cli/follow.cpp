#include "daemon/cli/follow.hpp"

#include <algorithm>
#include <chrono>
#include <iostream>

#include "config/config.hpp"
#include "daemon/cli/error_text.hpp"
#include "daemon/cli/failure.hpp"
#include "daemon/cli/instance_progress.hpp"
#include "daemon/cli/instance_tree.hpp"
#include "daemon/cli/interrupt.hpp"
#include "daemon/cli/json_output.hpp"
#include "daemon/cli/terminal.hpp"

namespace durabled::daemon::cli {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kSlice{300};  // between two looks
constexpr std::chrono::seconds kPatience{2};

// What an instance is doing, for the line that changes while it is waited for. Counting the rows of a for_each costs
// the server some work, so the longer a count takes, the less often it is made.
class Activity {
 public:
  std::string of(store::ClientStore& store, const std::string& id) {
    if (!graph_) graph_ = graph_of(store.instance(id));
    if (const auto begin = Clock::now(); *graph_ && begin >= next_) {
      counted_ = progress_line(store, id, **graph_);
      next_ = Clock::now() + 10 * (Clock::now() - begin);
    }
    const auto waits = store.waiting(id);
    if (waits.empty()) return counted_;
    const std::string wait = describe(waits.front(), most_attempts(*graph_, waits.front().node_id));
    return counted_.empty() ? wait : counted_ + ", " + wait;
  }

 private:
  std::optional<std::optional<dsl::Graph>> graph_;
  Clock::time_point next_;
  std::string counted_;
};

struct Waited {
  std::string status;
  bool interrupted = false;
};

Waited await_end(const Invocation& invocation, PatientStore& patient, const std::string& id,
                 std::optional<double> timeout_seconds) {
  Progress progress;
  Activity activity;
  const auto begin = Clock::now();
  using Seconds = std::chrono::duration<double>;
  const auto left = [&]() -> Seconds {
    if (!timeout_seconds) return Seconds::max();
    return Seconds(*timeout_seconds) - (Clock::now() - begin);
  };
  const auto stop = [&] { return InterruptWatch::interrupted() || left().count() <= 0; };
  std::optional<bool> served;  // asked once the instance has been pending for kPatience
  std::string status = "pending";
  const auto look = [&](milliseconds slice) {
    const auto seen = patient.call(stop, [&](store::ClientStore& store) { return store.await(id, slice); });
    if (seen) status = *seen;
  };
  look(milliseconds{0});
  while (!has_ended(status) && !stop()) {
    if (status == "pending" && !served && Clock::now() - begin > kPatience) {
      served = patient.call(stop, [](store::ClientStore& store) { return is_served(store); });
      if (!served.value_or(true) && !progress.is_shown())
        warn(invocation.json, not_served(invocation) + "; waiting for one");
    }
    if (progress.is_shown()) {
      const bool is_alone = status == "pending" && !served.value_or(true);
      const auto doing =
          is_alone ? not_served(invocation)
                   : patient.call(stop, [&](store::ClientStore& store) { return activity.of(store, id); })
                         .value_or("");
      const auto elapsed = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - begin);
      progress.show(id + ' ' + status + "  " + readable(elapsed) + "  " + doing);
    }
    look(left() < kSlice ? std::chrono::ceil<milliseconds>(std::max(left(), Seconds(0))) : kSlice);
  }
  return {status, InterruptWatch::interrupted()};
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

std::string describe(const store::WaitingFor& wait, std::optional<long long> most_attempts) {
  std::string text = "waiting for " + wait.kind + (wait.name ? " '" + *wait.name + '\'' : "");
  if (wait.kind == "timer") text = "sleeping";
  if (wait.kind == "retry") text = "waiting to try again";
  if (wait.kind == "login") return "waiting: " + *wait.name + ", next try " + local_time(*wait.until);
  if (wait.until) text += " until " + local_time(*wait.until);
  if (wait.attempt) {
    text += "; attempt " + std::to_string(*wait.attempt) +
            (most_attempts ? " of " + std::to_string(*most_attempts) : "") + " failed" +
            (wait.error ? ": " + one_line(*wait.error, 200) : "");
  }
  return text;
}

ExitCode goes_on(const Invocation& invocation, const std::string& id) {
  return report(invocation.json, ExitCode::kInterrupted,
                "instance " + id + " goes on; follow it: " + invocation.program + " logs " + id +
                    " --follow; cancel it: " + invocation.program + " cancel " + id);
}

ExitCode wait_for(const Invocation& invocation, PatientStore& patient, const std::string& id,
                  std::optional<double> timeout_seconds) {
  const InterruptWatch watch;
  const Waited waited = await_end(invocation, patient, id, timeout_seconds);
  if (waited.interrupted && !has_ended(waited.status)) return goes_on(invocation, id);
  const std::string& status = waited.status;
  store::ClientStore& store = patient.store();
  const store::InstanceDetail instance = store.instance(id);
  if (invocation.json) {
    print_json(instance);
  } else {
    std::cout << id << ' ' << paint(status_colour(status), status) << '\n';
    if (instance.result) std::cout << *instance.result << '\n';
  }
  constexpr int kWarnings = 10;
  for (const store::NodeWarning& warning : store.warnings(id, kWarnings))
    warn(invocation.json, "node " + warning.node_id + ": " + warning.text);
  if (status == "completed") return ExitCode::kOk;
  if (!has_ended(status)) {
    return report(invocation.json, ExitCode::kTimedOut,
                  "instance " + id + " is still " + status + " and goes on" +
                      (is_served(store) ? "" : "; " + not_served(invocation)));
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

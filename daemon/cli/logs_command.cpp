// durabled logs: the events of an instance as sentences, to its end if wanted.
#include <CLI/CLI.hpp>
#include <boost/json.hpp>
#include <chrono>
#include <iostream>
#include <memory>
#include <thread>

#include "daemon/cli/command.hpp"
#include "daemon/cli/error_text.hpp"
#include "daemon/cli/failure.hpp"
#include "daemon/cli/follow.hpp"
#include "daemon/cli/instance_tree.hpp"
#include "daemon/cli/interrupt.hpp"
#include "daemon/cli/json_output.hpp"
#include "daemon/cli/patient_store.hpp"
#include "daemon/cli/terminal.hpp"
#include "dsl/engine/event.hpp"
#include "store/client_store.hpp"

namespace durabled::daemon::cli {
namespace {

constexpr std::chrono::milliseconds kLook{200};  // between two looks for new events

struct Options {
  std::string id;
  bool follow = false;
};

struct Sentence {
  std::string verb, rest;
  Colour colour = Colour::kPlain;
};

boost::json::object data_of(const store::HistoryEvent& event) {
  boost::system::error_code bad;
  boost::json::value value = event.data ? boost::json::parse(*event.data, bad) : boost::json::value();
  return !bad && value.is_object() ? std::move(value.as_object()) : boost::json::object();
}

// A field as text: strings as they are, anything else as JSON; "" when it is not there or null.
std::string field(const boost::json::object& data, std::string_view name) {
  const boost::json::value* value = data.if_contains(boost::json::string_view(name.data(), name.size()));
  if (value == nullptr || value->is_null()) return "";
  return value->is_string() ? std::string(value->as_string()) : boost::json::serialize(*value);
}

std::string error_of(const boost::json::object& data) {
  const boost::json::value* error = data.if_contains("error");
  return error == nullptr ? "" : error_message(boost::json::serialize(*error));
}

std::string rows_of(const boost::json::object& data) {
  const std::string rows = field(data, "row_count");
  const std::string affected = field(data, "affected");
  if (rows.empty()) return "";
  if (rows == "0" && affected != "0" && !affected.empty()) return " (" + affected + " affected)";
  return " (" + rows + (rows == "1" ? " row)" : " rows)");
}

// " (404, 12 ms)" for the result of an HTTP step.
std::string answer_of(const boost::json::object& data) {
  const std::string status = field(data, "status"), took = field(data, "duration_ms");
  const bool is_answer = data.contains("encoding") && !status.empty() && !took.empty();
  return is_answer ? " (" + status + ", " + took + " ms)" : "";
}

// What the engine remarked about the step's references.
std::string warning_of(const boost::json::object& data) {
  const boost::json::value* warnings = data.if_contains("warnings");
  if (warnings == nullptr || !warnings->is_array() || warnings->as_array().empty()) return "";
  const boost::json::value& first = warnings->as_array().front();
  return first.is_string() ? " — warning: " + std::string(first.as_string()) : "";
}

std::string until(const std::string& time) {
  return time.empty() ? "" : " until " + local_time(time);
}

Sentence received(const boost::json::object& data) {
  if (field(data, "timed_out") == "true")
    return {"timed out", "signal '" + field(data, "signal_name") + '\'', Colour::kYellow};
  return {"received", "signal '" + field(data, "signal_name") + "' " + field(data, "data"), Colour::kCyan};
}

Sentence failed(const store::HistoryEvent& event, const boost::json::object& data, const std::string& node) {
  const std::string retry = field(data, "retry_at");
  const std::string attempt = event.attempt ? "attempt " + std::to_string(*event.attempt) + ": " : "";
  const std::string again = retry.empty() ? "" : " (again at " + local_time(retry) + ')';
  return {retry.empty() ? "failed" : "retrying", node + " — " + attempt + error_of(data) + again,
          retry.empty() ? Colour::kRed : Colour::kYellow};
}

Sentence sentence(const store::HistoryEvent& event, dsl::EventKind kind, const std::string& node) {
  const boost::json::object data = data_of(event);
  switch (kind) {
    case dsl::EventKind::kInstanceStarted:
      return {"started", "", Colour::kBold};
    case dsl::EventKind::kStepStarted:
      return {"running", node, Colour::kCyan};
    case dsl::EventKind::kStepCompleted:
      return {"done", node + rows_of(data) + answer_of(data) + warning_of(data),
              warning_of(data).empty() ? Colour::kGreen : Colour::kYellow};
    case dsl::EventKind::kStepFailed:
      return failed(event, data, node);
    case dsl::EventKind::kTimerStarted:
      return {"waiting", node + until(field(data, "fire_at")), Colour::kDim};
    case dsl::EventKind::kTimerFired:
      return {"woke up", node, Colour::kDim};
    case dsl::EventKind::kSignalAwaited:
      return {"waiting", node + until(field(data, "until")), Colour::kDim};
    case dsl::EventKind::kSignalReceived:
      return received(data);
    case dsl::EventKind::kIterationCompleted:
      return {"looping", node + " iteration " + field(data, "iteration"), Colour::kDim};
    case dsl::EventKind::kInstanceCompleted:
      return {"completed", "", Colour::kGreen};
    case dsl::EventKind::kInstanceFailed:
      return {"failed", error_of(data), Colour::kRed};
    case dsl::EventKind::kInstanceCancelled:
      return {"cancelled", error_of(data), Colour::kYellow};
    case dsl::EventKind::kInstanceParked:
      return {"parked", error_of(data), Colour::kYellow};
  }
  return {};
}

// Prints events as they come; keeps what it knows of the graph.
class Log {
 public:
  Log(std::string id, bool json) : id_(std::move(id)), json_(json) {}

  // The events that print() has not been given yet.
  std::vector<store::HistoryEvent> read(store::ClientStore& store) {
    std::vector<store::HistoryEvent> events = store.history(id_, last_);
    if (!events.empty() && !lines_) {
      const auto graph = graph_of(store.instance(id_));
      lines_ = graph ? node_lines(*graph) : std::map<std::string, std::string>();
    }
    return events;
  }

  void print(const std::vector<store::HistoryEvent>& events) {
    for (const store::HistoryEvent& event : events) {
      print(event);
      last_ = event.seq;
    }
    std::cout.flush();
  }

 private:
  void print(const store::HistoryEvent& event) {
    const auto kind = dsl::event_kind(event.kind);
    const Sentence words =
        kind ? sentence(event, *kind, line_of(event)) : Sentence{event.kind, event.data.value_or(""), {}};
    if (json_) {
      std::cout << JsonObject()
                       .number("seq", static_cast<long long>(event.seq))
                       .text("at", event.at)
                       .text("kind", event.kind)
                       .text("node", event.node)
                       .text("scope", event.scope)
                       .text("text", words.rest.empty() ? words.verb : words.verb + ' ' + words.rest)
                       .text()
                << '\n';
      return;
    }
    constexpr std::size_t kVerb = 10;
    const std::string padding(kVerb - std::min(kVerb, width_of(words.verb)), ' ');
    const std::size_t width = terminal_width();
    const std::string time = local_time(event.at, true);
    const std::size_t before = time.size() + 2 + kVerb + 1;
    std::cout << paint(Colour::kDim, time) << "  " << paint(words.colour, words.verb);
    if (!words.rest.empty()) {
      std::cout << padding << ' ' << one_line(words.rest, width > before + 20 ? width - before : 0);
    }
    std::cout << '\n';
  }

  // The node's line, and where in which loop.
  std::string line_of(const store::HistoryEvent& event) {
    if (!event.node) return "";
    const auto found = lines_->find(*event.node);
    const std::string line = found == lines_->end() ? *event.node : found->second;
    return event.scope.value_or("").empty() ? line : '[' + *event.scope + "] " + line;
  }

  std::string id_;
  bool json_;
  std::int64_t last_ = 0;
  std::optional<std::map<std::string, std::string>> lines_;  // each node's text
};

// What one look gives: the status first, so that the event that ended the instance is among the events.
struct Look {
  std::string status;
  std::vector<store::HistoryEvent> events;
};

ExitCode follow(const Invocation& invocation, const std::string& id) {
  PatientStore patient(invocation);
  const InterruptWatch watch;
  Log log(id, invocation.json);
  while (!InterruptWatch::interrupted()) {
    const auto look = patient.call(InterruptWatch::interrupted, [&](store::ClientStore& store) {
      std::string status = store.await(id, std::chrono::milliseconds{0});
      return Look{std::move(status), log.read(store)};
    });
    if (!look) break;
    log.print(look->events);
    if (look->status == "completed") return ExitCode::kOk;
    if (has_ended(look->status)) {
      return report(invocation.json, ExitCode::kInstanceFailed, "instance " + id + ' ' + look->status);
    }
    std::this_thread::sleep_for(kLook);
  }
  return goes_on(invocation, id);
}

ExitCode logs(const Invocation& invocation, const Options& options) {
  if (options.follow) return follow(invocation, options.id);
  store::ClientStore store(invocation.conninfo());
  Log log(options.id, invocation.json);
  log.print(log.read(store));
  return ExitCode::kOk;
}

}  // namespace

void add_logs_command(CLI::App& app, Invocation& invocation) {
  CLI::App& command =
      add_command(app, "logs", "Tell what an instance has done, as sentences",
                  "durabled logs 4k2m9xpq\n"
                  "durabled logs 4k2m9xpq --follow       # until it has ended; exits with 5 if it failed\n"
                  "durabled logs 4k2m9xpq --json         # one object a line");
  auto options = std::make_shared<Options>();
  add_id_argument(command, options->id);
  command.add_flag("-f,--follow", options->follow, "Go on until the instance has ended");
  add_database_option(command, invocation);
  add_json_option(command, invocation);
  set_action(command, invocation, [&invocation, options] { return logs(invocation, *options); });
}

}  // namespace durabled::daemon::cli

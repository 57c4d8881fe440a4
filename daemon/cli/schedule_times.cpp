#include "daemon/cli/schedule_times.hpp"

#include <chrono>
#include <vector>

#include "daemon/cli/json_output.hpp"
#include "dsl/engine/event.hpp"
#include "dsl/value/cron.hpp"

namespace durabled::daemon::cli {
namespace {

constexpr std::size_t kShown = 3;

struct NextTimes {
  std::string cron, timezone;
  std::vector<dsl::Time> times;
  std::vector<std::string> local;  // the same in the zone
};

std::vector<NextTimes> next_times(const dsl::Graph& graph) {
  std::vector<NextTimes> all;
  for (const dsl::Node& node : graph.nodes) {
    if (node.kind != dsl::NodeKind::kWaitSchedule) continue;
    const std::string& zone = std::get<dsl::ScheduleOptions>(node.options).timezone;
    const auto schedule = dsl::CronSchedule::parse(node.text, zone);
    if (!schedule) continue;  // a template, which is known when it runs
    NextTimes next{node.text, zone, {}, {}};
    auto after = std::chrono::floor<std::chrono::microseconds>(std::chrono::system_clock::now());
    while (next.times.size() < kShown) {
      const auto time = schedule->next(after);
      if (!time) break;
      after = *time;
      next.times.push_back(*time);
      next.local.push_back(schedule->local_text(*time));
    }
    all.push_back(std::move(next));
  }
  return all;
}

}  // namespace

std::string next_times_text(const dsl::Graph& graph) {
  std::string text;
  for (const NextTimes& next : next_times(graph)) {
    text += "\nnext times of '" + next.cron + "' in " + next.timezone + ": ";
    for (std::size_t i = 0; i < next.local.size(); ++i) text += (i > 0 ? ", " : "") + next.local[i];
    text += '\n';
  }
  return text;
}

std::string next_times_json(const dsl::Graph& graph) {
  JsonList all;
  for (const NextTimes& next : next_times(graph)) {
    JsonList times;
    for (const dsl::Time time : next.times) times.add(json_quote(dsl::format_time(time)));
    all.add(JsonObject()
                .text("cron", next.cron)
                .text("timezone", next.timezone)
                .raw("next", times.text())
                .text());
  }
  return all.text();
}

}  // namespace durabled::daemon::cli

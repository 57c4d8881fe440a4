// The data of each kind of event, as docs/events.md has it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "dsl/engine/event.hpp"
#include "dsl/engine/failure.hpp"
#include "dsl/graph/graph.hpp"
#include "dsl/value/names.hpp"

namespace durabled::dsl::event_data {

std::string instance_started(const Graph& graph, const std::vector<std::string>& warnings);
// {"guarantee": "at-least-once"}; a step that merely lasts has no data.
std::string step_started_at_least_once();
std::string step_failed(const Failure& failure, std::optional<Time> retry_at = {});
std::string timer_started(std::string_view kind, Time fire_at);
std::string sleep_started(double seconds, Time fire_at);
std::string schedule_started(std::string_view cron, Time fire_at);
std::string limit_started(std::string_view name, Time fire_at);
std::string signal_awaited(std::string_view name, std::optional<Time> until);
// The result of a wait. `data`: the signal's JSON; nullopt: the time was over before one came.
std::string signal_received(std::string_view name, std::optional<std::string_view> data);
// `names`: what the iterations before have bound since `entered`, or nullptr for none.
std::string iteration_completed(std::int64_t iteration, const Names* names, const Names& entered);
std::string completed_by_event(std::int64_t result_seq);
std::string completed_with(std::string_view result);
std::string instance_failed(const Failure& failure);

}  // namespace durabled::dsl::event_data

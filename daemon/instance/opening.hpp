// How an instance begins: from its text, or from the history that it has. Pure, and the long part of a claim.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "dsl/engine/failure.hpp"
#include "dsl/graph/graph.hpp"
#include "dsl/graph/rules.hpp"
#include "dsl/value/variables.hpp"
#include "store/worker_store.hpp"

namespace durabled::daemon {

struct Opening {
  std::shared_ptr<const dsl::Graph> graph;  // nullptr: one of the next three says why
  std::string corrupt;                      // the history does not fit: the instance is parked
  std::optional<dsl::Failure> failure;      // it fails before it begins
  bool put_back = false;                    // what `start` says must be in the row first; it is claimed again
  std::string start_data;                   // of InstanceStarted; "" where the history has that
  std::string start;  // what the text says of itself for the row, see start_json(); "": nothing
  std::optional<std::string> label, database, input;
};

Opening open_row(const store::ClaimedInstance& row, const dsl::GraphLimits& limits);

// The variables that it was submitted with, and those that are always there.
dsl::Variables variables_of(const store::ClaimedInstance& row);

}  // namespace durabled::daemon

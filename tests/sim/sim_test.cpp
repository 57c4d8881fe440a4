// Seeded simulation of two daemons. Its environment, which ./dev sim sets:
//
//   SIM_SEEDS=n           how many seeds
//   SIM_SEED=n            the first of them; alone: that one
//   SIM_WORKLOADS=n       the seed that the workflows are made up from, if it is another one
//   SIM_ONLY=id,id        these workloads only
//   SIM_FAULTS=name,name  these faults only; "none": none

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <optional>
#include <sstream>

#include "dsl/text/parser.hpp"
#include "dsl/value/json_slice.hpp"
#include "tests/sim/workloads.hpp"
#include "tests/support/catch.hpp"

using namespace durabled;
using sim::Fault;
using sim::Scenario;
using sim::Simulation;
using sim::Violation;
using sim::Workload;

namespace {

constexpr std::uint64_t kSeeds = 1'000;
constexpr int kGenerated = 3;

// Without what faults may change: how often a step was tried, and seqs.
std::string essence(const std::string& result) {
  const std::string status = result.substr(0, result.find(' '));
  const std::string data = result.substr(std::min(result.size(), status.size() + 1));
  if (status == "completed") {
    const auto value = dsl::json_member(data, "result");
    return status + ' ' +
           (value                                  ? std::string(*value)
            : dsl::json_member(data, "result_seq") ? "by seq"
                                                   : data);
  }
  return status + ' ' + dsl::json_text(dsl::json_member(data, "code").value_or("\"\""));
}

std::vector<Workload> deterministic(std::vector<Workload> workloads) {
  std::erase_if(workloads, [](const Workload& one) { return !one.deterministic; });
  return workloads;
}

// What the deterministic ones come to when nothing goes wrong.
std::map<std::string, std::string> calm_results(const std::vector<Workload>& workloads) {
  std::map<std::string, std::string> found;
  if (workloads.empty()) return found;
  Simulation calm({0, workloads, {}});
  calm.run();
  for (const Workload& one : workloads) found[one.id] = essence(calm.result(one.id));
  return found;
}

const std::map<std::string, std::string>& fixed_results() {
  static const std::map<std::string, std::string> results =
      calm_results(deterministic(sim::fixed_workloads()));
  return results;
}

std::vector<Workload> workloads_of(std::uint64_t seed) {
  std::vector<Workload> all = sim::fixed_workloads();
  for (Workload& one : sim::generated_workloads(seed, kGenerated)) all.push_back(std::move(one));
  return all;
}

std::string wrong_effects(const sim::FakeStore& store) {
  for (const auto& [effect, times] : store.effects()) {
    if (times != 1) return "the effect of " + effect + " happened " + std::to_string(times) + " times";
    if (store.completed_steps().count(effect) == 0) return "an effect that is not recorded: " + effect;
  }
  return "";
}

// The first broken promise; empty: none.
std::string broken_promise(const Scenario& scenario) {
  try {
    Simulation simulation(scenario);
    simulation.run();
    std::vector<Workload> made_up;
    for (const Workload& one : scenario.workloads) {
      if (essence(simulation.result(one.id)) == "failed internal_error")
        return one.id + ": " + simulation.result(one.id);
      if (one.deterministic && !fixed_results().contains(one.id)) made_up.push_back(one);
    }
    std::map<std::string, std::string> expected = calm_results(made_up);
    expected.insert(fixed_results().begin(), fixed_results().end());
    for (const Workload& one : scenario.workloads) {
      if (!one.deterministic) continue;
      const std::string found = essence(simulation.result(one.id));
      if (found != expected.at(one.id))
        return one.id + " came to " + found + " instead of " + expected.at(one.id) + "\n  " + one.dsl;
    }
    return wrong_effects(simulation.store());
  } catch (const Violation& violation) {
    return violation.what();
  }
}

// Whether the scenario, without something, still breaks a promise. What is left out changes everything that comes after
// it, so that a few seeds are tried.
bool takes(Scenario& scenario, Scenario smaller) {
  constexpr std::uint64_t kTries = 10;
  for (std::uint64_t i = 0; i < kTries; ++i, ++smaller.seed) {
    if (broken_promise(smaller).empty()) continue;
    scenario = std::move(smaller);
    return true;
  }
  return false;
}

// A scenario without the workloads and faults that do not matter.
Scenario shrunk(Scenario scenario) {
  for (std::size_t part = scenario.workloads.size() / 2; part > 0; part /= 2) {
    for (std::size_t at = 0; at + part <= scenario.workloads.size() && scenario.workloads.size() > part;) {
      Scenario smaller = scenario;
      const auto first = smaller.workloads.begin() + static_cast<std::ptrdiff_t>(at);
      smaller.workloads.erase(first, first + static_cast<std::ptrdiff_t>(part));
      if (!takes(scenario, std::move(smaller))) at += part;
    }
  }
  for (const Fault fault : std::set<Fault>(scenario.faults)) {
    Scenario smaller = scenario;
    smaller.faults.erase(fault);
    takes(scenario, std::move(smaller));
  }
  return scenario;
}

std::optional<std::set<std::string>> names_in(const char* variable) {
  const char* value = std::getenv(variable);
  if (value == nullptr) return std::nullopt;
  std::set<std::string> names;
  std::istringstream in(value);
  for (std::string name; std::getline(in, name, ',');) names.insert(name);
  return names;
}

std::uint64_t number_in(const char* variable, std::uint64_t otherwise) {
  const char* value = std::getenv(variable);
  return value == nullptr ? otherwise : std::strtoull(value, nullptr, 10);
}

Scenario scenario_of(std::uint64_t seed) {
  Scenario scenario{seed, workloads_of(number_in("SIM_WORKLOADS", seed)), sim::all_faults()};
  if (const auto only = names_in("SIM_ONLY"))
    std::erase_if(scenario.workloads, [&](const Workload& one) { return !only->contains(one.id); });
  if (const auto only = names_in("SIM_FAULTS")) {
    for (const auto& [name, fault] : sim::faults_by_name()) {
      if (!only->contains(name)) scenario.faults.erase(fault);
    }
  }
  return scenario;
}

std::string how_to_repeat(const Scenario& scenario, std::uint64_t workloads_of) {
  std::string workloads, faults;
  for (const Workload& one : scenario.workloads) workloads += (workloads.empty() ? "" : ",") + one.id;
  for (const auto& [name, fault] : sim::faults_by_name()) {
    if (scenario.faults.contains(fault)) faults += (faults.empty() ? "" : ",") + name;
  }
  return "to repeat it: SIM_SEED=" + std::to_string(scenario.seed) +
         " SIM_WORKLOADS=" + std::to_string(workloads_of) + " SIM_ONLY='" + workloads +
         "' SIM_FAULTS=" + (faults.empty() ? "none" : faults) + " ./dev sim";
}

}  // namespace

TEST_CASE("without faults everything ends as its workflow says") {
  const auto& results = fixed_results();
  CHECK(results.at("bad") == "failed 22012");
  CHECK(results.at("text") == "failed invalid_workflow");
  CHECK_THAT(results.at("nested"), ContainsSubstring("completed"));
  CHECK_THAT(results.at("calls"), ContainsSubstring("completed"));
  CHECK_THAT(results.at("failing rows"), ContainsSubstring("completed"));
}

TEST_CASE("made-up workflows are valid, and use the whole grammar") {
  std::string all;
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    for (const Workload& one : sim::generated_workloads(seed, kGenerated)) {
      INFO(one.dsl);
      CHECK(dsl::parse_workflow(one.dsl, {}));
      all += one.dsl;
    }
  }
  for (const char* word :
       {"@>", "~>", "|=>", "df.join", "df.race", "df.any", "df.if(", "df.if_rows", "df.catch", "df.loop",
        "df.for_each", "df.retry", "df.timeout", "df.sleep", "df.http", "df.fail", "df.wait_for_signal('go')",
        "df.wait_for_signal('go', ", "'alone "})
    CHECK_THAT(all, ContainsSubstring(word));
}

TEST_CASE("whatever goes wrong, no step is lost, doubled or recorded under an old lease", "[L6.1]") {
  const bool alone = std::getenv("SIM_SEED") != nullptr;
  const std::uint64_t first = number_in("SIM_SEED", 1);
  const std::uint64_t seeds = number_in("SIM_SEEDS", alone ? 1 : kSeeds);
  for (std::uint64_t seed = first; seed < first + seeds; ++seed) {
    const Scenario scenario = scenario_of(seed);
    const std::string why = broken_promise(scenario);
    if (why.empty()) continue;
    const Scenario smaller = shrunk(scenario);
    FAIL("seed " << seed << ": " << why << "\n"
                 << how_to_repeat(smaller, number_in("SIM_WORKLOADS", seed)) << "\n  "
                 << broken_promise(smaller));
  }
}

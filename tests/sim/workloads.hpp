// What the simulated daemons run: one workload for each thing that has gone wrong before or might, and workflows that
// a seed makes up from the whole grammar.
#pragma once

#include <cstdint>
#include <vector>

#include "tests/sim/simulation.hpp"

namespace durabled::sim {

const std::vector<Workload>& fixed_workloads();
std::vector<Workload> generated_workloads(std::uint64_t seed, int count);

}  // namespace durabled::sim

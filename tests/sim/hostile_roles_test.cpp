// The bound of docs/decisions/0013, with everything of a daemon that has no thread.
#include <algorithm>
#include <string>

#include "tests/sim/simulation.hpp"
#include "tests/support/catch.hpp"

using namespace durabled;
using std::chrono::duration_cast;
using std::chrono::milliseconds;
using std::chrono::seconds;

// The simulated daemons have 4 connections and as many in reserve, and steps that are slow last up to 3 s.
TEST_CASE("however many roles take all they can, another role's instance ends within a bound", "[S3.9]") {
  constexpr int kConnections = 8;
  constexpr milliseconds kLongestTurn{250 + 3'000 + 2'000};  // with connecting and the ways there and back
  const int hostile = GENERATE(1, 3, 7, 16, 40);
  const std::uint64_t seed = GENERATE(1, 2, 3, 4, 5);
  sim::Simulation simulation({seed, {}, {}, 1});
  std::string slow = "'slow'";
  for (int i = 0; i < 20; ++i) slow += " ~> 'slow'";
  for (int role = 2; role < 2 + hostile; ++role) {
    for (int i = 0; i < 20; ++i)
      simulation.submit({std::to_string(role) + '/' + std::to_string(i), slow, true, false,
                         static_cast<store::RoleId>(role)});
  }
  simulation.begin();
  simulation.pass(seconds(10));
  // Those before it have a turn each; then its own, and two polls.
  const auto bound = (hostile / kConnections + 1) * kLongestTurn + seconds(2);
  for (int i = 0; i < 10; ++i) {
    const std::string id = "alice " + std::to_string(i);
    const dsl::Time submitted = simulation.database();
    simulation.submit({id, "'a'"});
    for (milliseconds waited(0); waited < bound && !simulation.store().rows().at(id).ended();
         waited += milliseconds(100))
      simulation.pass(milliseconds(100));
    const sim::Row& row = simulation.store().rows().at(id);
    INFO(hostile << " hostile roles, seed " << seed << ", "
                 << duration_cast<milliseconds>(simulation.database() - submitted).count() << " ms");
    REQUIRE(row.status == "completed");
  }
}

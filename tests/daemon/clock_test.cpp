#include "daemon/clock.hpp"

#include "tests/support/catch.hpp"

using namespace durabled;
using std::chrono::milliseconds;

namespace {

// What the clock says more than the host's own does.
milliseconds offset(const daemon::Clock& clock) {
  const dsl::Time before = daemon::Clock::local(), now = clock.now();
  return std::chrono::round<milliseconds>(now - before);
}

}  // namespace

TEST_CASE("a clock follows the database's, and a slow answer moves it no further than it proves") {
  daemon::Clock clock;
  const dsl::Time start = daemon::Clock::local();
  const auto answer = [&](int ahead, int to, int back) {
    clock.synchronise(start + milliseconds(ahead + to), start, start + milliseconds(to + back));
  };
  answer(0, 2, 400);
  CHECK(std::chrono::abs(offset(clock)) < milliseconds(5));
  answer(5'000, 10, 10);
  CHECK(offset(clock) >= milliseconds(5'000));
  CHECK(offset(clock) < milliseconds(5'005));
  answer(5'000, 800, 0);
  CHECK(offset(clock) < milliseconds(5'005));
  answer(-3'000, 5, 5);
  CHECK(offset(clock) >= milliseconds(-3'000));
  CHECK(offset(clock) < milliseconds(-2'995));
}

#include "daemon/repeated_message.hpp"

#include "tests/support/catch.hpp"

using namespace durabled;
using std::chrono::seconds;

TEST_CASE(
    "a message that repeats is logged at first, then once a minute with a count, then how long it lasted") {
  daemon::RepeatedMessage message;
  const daemon::RepeatedMessage::Time begin{std::chrono::hours{1}};
  CHECK(!message.over(begin));
  CHECK(message.again("refused", begin) == "refused");
  for (int second = 1; second < 60; ++second) CHECK(!message.again("refused", begin + seconds{second}));
  CHECK(message.again("refused", begin + seconds{60}) == "refused (60 times since the last line about it)");
  CHECK(!message.again("refused", begin + seconds{61}));
  CHECK(message.again("starting up", begin + seconds{62}) == "starting up");
  CHECK(message.lasts());
  CHECK(message.over(begin + seconds{90}) == "90s");
  CHECK(!message.lasts());
  CHECK(!message.over(begin + seconds{91}));
  CHECK(message.again("starting up", begin + seconds{92}) == "starting up");
}

#include "config/units.hpp"

#include <cstdint>
#include <limits>

#include "tests/support/catch.hpp"

using namespace durabled::config;
using std::chrono::milliseconds;

TEST_CASE("a duration is a number with a unit, or a plain number of seconds") {
  CHECK(parse_duration("500ms") == milliseconds{500});
  CHECK(parse_duration("2s") == milliseconds{2'000});
  CHECK(parse_duration("5m") == milliseconds{300'000});
  CHECK(parse_duration("1h") == milliseconds{3'600'000});
  CHECK(parse_duration("7d") == milliseconds{604'800'000});
  CHECK(parse_duration("30") == milliseconds{30'000});
  CHECK(parse_duration("0") == milliseconds{0});
  CHECK(parse_duration("0.1") == milliseconds{100});
  CHECK(parse_duration("1.5 h") == milliseconds{5'400'000});
}

TEST_CASE("what is not exactly a duration is refused") {
  for (const auto* text : {"", "s", "-1s", "+1s", "1 s s", "1w", "1S", "0x10", "1e3", "inf", "nan", ".5s",
                           "1.s", "1..5s", "0.5ms", "0.0001s", "36501d", "99999999999999999999d", "1s "}) {
    INFO(text);
    CHECK_FALSE(parse_duration(text));
  }
}

TEST_CASE("a size is bytes, or a number with a binary or a decimal unit") {
  CHECK(parse_size("0") == 0U);
  CHECK(parse_size("1234") == 1'234U);
  CHECK(parse_size("16MiB") == 16U << 20);
  CHECK(parse_size("8MB") == 8'000'000U);
  CHECK(parse_size("1.5 KiB") == 1'536U);
  CHECK(parse_size("64kB") == 64'000U);
  CHECK(parse_size("2GiB") == std::uint64_t{2} << 30);
  CHECK(parse_size("10B") == 10U);
}

TEST_CASE("what is not exactly a size is refused") {
  for (const auto* text :
       {"", "MiB", "-1", "1.5", "1.5B", "8mb", "8 M", "1e6", "99999999999999999999", "99999999999GiB"}) {
    INFO(text);
    CHECK_FALSE(parse_size(text));
  }
}

TEST_CASE("integers and decimals are read whole or not at all") {
  CHECK(parse_integer("-12") == -12);
  CHECK(parse_integer("9223372036854775807") == std::numeric_limits<std::int64_t>::max());
  for (const auto* text : {"", "1 ", "+1", "1.0", "0x1", "9223372036854775808", "ten"}) {
    INFO(text);
    CHECK_FALSE(parse_integer(text));
  }
  CHECK(parse_decimal("1.5") == 1.5);
  CHECK(parse_decimal("-2") == -2.0);
  for (const auto* text : {"", "-", "1,5", "1.5.2", "--1", "inf", "1e5", "1."}) {
    INFO(text);
    CHECK_FALSE(parse_decimal(text));
  }
}

TEST_CASE("printing uses the largest unit that fits, and reads back as the same value") {
  CHECK(print_duration(milliseconds{0}) == "0s");
  CHECK(print_duration(milliseconds{1'500}) == "1500ms");
  CHECK(print_duration(milliseconds{60'000}) == "1m");
  CHECK(print_duration(milliseconds{172'800'000}) == "2d");
  CHECK(print_size(0) == "0");
  CHECK(print_size(1'000) == "1000");
  CHECK(print_size(1 << 20) == "1MiB");
  CHECK(print_decimal(2) == "2");
  CHECK(print_decimal(1.5) == "1.5");
  for (const std::int64_t count : {1, 999, 1'000, 61'000, 3'600'000, 86'400'001}) {
    CHECK(parse_duration(print_duration(milliseconds{count})) == milliseconds{count});
  }
  for (const std::uint64_t bytes : {1ULL, 1'023ULL, 1'024ULL, 5ULL << 30, (1ULL << 30) + 1}) {
    CHECK(parse_size(print_size(bytes)) == bytes);
  }
}

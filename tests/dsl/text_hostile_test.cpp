// Input that means harm: refused, quickly, and without more stack than there is.
#include <ctime>

#include "dsl/graph/json.hpp"
#include "dsl/text/printer.hpp"
#include "tests/dsl/text_dump.hpp"
#include "tests/support/catch.hpp"

namespace durabled::test {
namespace {

using namespace dsl;

constexpr std::size_t kMebibyte = 1 << 20;

std::string repeat(const std::string& piece, std::size_t count) {
  std::string text;
  text.reserve(piece.size() * count);
  for (std::size_t i = 0; i < count; ++i) text += piece;
  return text;
}

// Processor time and not wall time, so that a busy machine does not matter; and generous: a quadratic step over
// a mebibyte takes minutes, a linear one milliseconds.
class Stopwatch {
 public:
  ~Stopwatch() { CHECK((std::clock() - begin_) / CLOCKS_PER_SEC < 30); }

 private:
  std::clock_t begin_ = std::clock();
};

}  // namespace

TEST_CASE("a mebibyte of openings is refused for its depth") {
  const Stopwatch stopwatch;
  for (const char* piece : {"(", "@> ", "df.seq(", "df.retry('A' ~> ", "- "}) {
    const Diagnostic error = parse_error(repeat(piece, kMebibyte / std::string(piece).size()));
    INFO(piece);
    if (std::string(piece) == "- ")
      CHECK(error.code == "unknown_operator");
    else
      CHECK_THAT(error.message, ContainsSubstring("maximum nesting depth of 256"));
  }
}

TEST_CASE("a mebibyte of anything else is answered quickly") {
  const Stopwatch stopwatch;
  for (const char* piece : {"[",     "@>",    "'",  "''",  "$",           "$a",     "$a$",
                            "/*",    "/* */", "--", "-",   "\n'",         "E'\\",   "\"",
                            "{",     "}",     "a",  ".",   "é",           ":",      "'A' ~> ",
                            "'A'\n", "::",    "1",  "df.", "df.seq('A',", "'{' & ", "'{\"node_type\"' | ",
                            ";"}) {
    const auto result = parse_workflow(repeat(piece, kMebibyte / std::string(piece).size()), {});
    INFO(piece);
    CHECK((!result || result->graph.nodes.size() == 1));
  }
}

TEST_CASE("a mebibyte of braces in a template is answered quickly") {
  const Stopwatch stopwatch;
  const std::string braces = repeat("{", kMebibyte - 100) + "}";
  CHECK(parse_workflow("'SELECT 1 " + braces + "' |=> 'a'", {}));
  CHECK(parse_workflow("'SELECT 1' |=> 'a' ~> df.break('" + braces + "')", {}));
}

TEST_CASE("JSON that is too deep or too long is refused") {
  const Stopwatch stopwatch;
  for (const char* piece :
       {"[", "{\"a\":", "{\"node_type\":\"LOOP\",\"left_node\":", "{\"extra_nodes\":[", "\"", "1"}) {
    const std::string text = repeat(piece, kMebibyte / std::string(piece).size());
    INFO(piece);
    CHECK_FALSE(from_json(text, {}));
    CHECK_FALSE(parse_workflow("'" + text.substr(0, kMebibyte - 2) + "' ~>", {}));
  }
  CHECK_THAT(parse_error(repeat("{\"node_type\":\"LOOP\",\"left_node\":", 20000)).message,
             ContainsSubstring("maximum nesting depth of 256"));
}

TEST_CASE("text that is no text is refused where it begins") {
  const auto nul = parse_workflow(std::string("'A' ~>\n 'B\0'", 12), {});
  REQUIRE_FALSE(nul);
  CHECK(nul.error().code == "invalid_text");
  CHECK(nul.error().line == 2);
  CHECK(nul.error().column == 4);
  for (const char* bad :
       {"'\x80'", "'\xC3'", "'\xC0\x80'", "'\xED\xA0\x80'", "'\xF4\x90\x80\x80'", "'\xFF'"}) {
    CHECK(parse_error(bad).code == "invalid_text");
  }
}

TEST_CASE("a text longer than the limit is refused unread", "[L6.17]") {
  const Diagnostic error = parse_error(repeat(" ", kMebibyte + 1));
  CHECK(error.code == "text_too_long");
  CHECK_THAT(error.message, ContainsSubstring("1048576"));
}

TEST_CASE("nesting is allowed up to the limit and refused above it", "[L6.17]") {
  GraphLimits limits;
  const auto nested = [](int depth) { return repeat("@> ", static_cast<std::size_t>(depth - 1)) + "'A'"; };
  CHECK(parse_workflow(nested(256), limits));
  CHECK_THAT(parse_error(nested(257)).message, ContainsSubstring("maximum nesting depth of 256"));
  limits.depth = 10;
  CHECK(parse_workflow(nested(10), limits));
  const auto refused = parse_workflow(nested(11), limits);
  REQUIRE_FALSE(refused);
  CHECK_THAT(refused.error().message, ContainsSubstring("maximum nesting depth of 10"));
}

TEST_CASE("a chain without parentheses that nests too deep is refused as well") {
  CHECK_THAT(parse_error("'A'" + repeat(" ~> 'B' & 'C'", 200)).message,
             ContainsSubstring("maximum nesting depth of 256"));
}

TEST_CASE("nodes are counted up to the limit", "[L6.17]") {
  const Stopwatch stopwatch;
  const auto chain = [](std::size_t steps) { return "'A'" + repeat(" & 'A'", steps - 1); };
  const auto widest = parse_workflow(chain(9'999), {});
  REQUIRE(widest);
  CHECK(widest->graph.nodes.size() == 10'000);
  CHECK(widest->graph[0].children.size() == 9'999);
  CHECK(from_json(to_json(widest->graph), {}));
  CHECK(parse_workflow(print(widest->graph), {}));
  CHECK_THAT(parse_error(chain(10'000)).message, ContainsSubstring("more than 10000 nodes"));
  CHECK_THAT(parse_error("df.seq(" + repeat("'A', ", 10'000) + "'A')").message,
             ContainsSubstring("more than 10000 nodes"));
}

TEST_CASE("ten thousand named branches are checked quickly") {
  const Stopwatch stopwatch;
  std::string text = "'A0' |=> 'n0'";
  for (int i = 1; i < 4'900; ++i)
    text += " & ('SELECT $n0, $m" + std::to_string(i) + "' |=> 'n" + std::to_string(i) + "')";
  const auto workflow = read_workflow(text, {});
  REQUIRE(workflow);
  CHECK(workflow->errors.size() == std::size_t{2} * 4'899);
}

}  // namespace durabled::test

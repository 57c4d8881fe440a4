#include "daemon/instance/step.hpp"

#include <algorithm>
#include <iterator>
#include <regex>

#include "dsl/assert.hpp"
#include "dsl/value/json_writer.hpp"

namespace durabled::daemon {
namespace {

using State = Step::State;

constexpr State kBeginnings[] = {
    State::kSubstituting,  // its references take long to replace
    State::kChained,       // it follows a step that commits, and nothing else does
    State::kRunning,       // it was sent
    State::kExecuted,      // a call that its role may not make
};

struct Move {
  State from, to;
};
constexpr Move kMoves[] = {
    {State::kSubstituting, State::kRunning},   // replaced, and sent
    {State::kSubstituting, State::kExecuted},  // they cannot be replaced: it has failed
    {State::kChained, State::kRunning},        // the commit before it succeeded
    {State::kRunning, State::kExecuted},       // its outcome is there
    {State::kRunning, State::kSubstituting},   // a call was answered, and a statement takes the answer
    {State::kRunning, State::kStopped},        // nobody wants it any more, or the daemon stops
    {State::kExecuted, State::kCommitting},    // its turn has come
    {State::kExecuted, State::kBeside},        // the slot is taken, and its order does not matter
    {State::kExecuted, State::kForeign},       // its turn has come; its own database commits first
    {State::kForeign, State::kExecuted},       // done there, or failed: the instance's turn follows
    {State::kExecuted, State::kMarking},       // it refuses a transaction block
    {State::kMarking, State::kRunning},        // its start is recorded; sent again
};
// A step in any state ends: committed, recorded, not wanted any more, or abandoned with its instance.

// What to write instead, where PostgreSQL can only say that the syntax is wrong.
std::string syntax_hint(const dsl::Failure& failure, const std::string& text) {
  if (failure.code != "42601" || text.size() > 16 << 10) return {};
  static const std::regex kFrom(
      R"(\b(?:from|join)\s{1,20}\$([A-Za-z_][A-Za-z0-9_]{0,62})(?![A-Za-z0-9_.?\[]))", std::regex::icase);
  static const std::regex kVariable(R"(\{([A-Za-z_][A-Za-z0-9_]{0,62})\})");
  std::smatch match;
  if (std::regex_search(text, match, kFrom))
    return "$" + match.str(1) + " is a single value; FROM $" + match.str(1) +
           ".* reads the rows of the result.";
  if (std::regex_search(text, match, kVariable))
    return "If {" + match.str(1) + "} is a variable, check that it was set when the instance was submitted.";
  return {};
}

// The beginning of a statement, cut between characters.
std::string beginning(const std::string& sql) {
  constexpr std::size_t kMost = 4096;
  if (sql.size() <= kMost) return sql;
  std::size_t end = kMost;
  while (end > 0 && (sql[end] & 0xC0) == 0x80) --end;
  return sql.substr(0, end) + "…";
}

}  // namespace

bool Step::may_begin_as(State state) {
  return std::find(std::begin(kBeginnings), std::end(kBeginnings), state) != std::end(kBeginnings);
}

bool Step::may_become(State from, State to) {
  return std::any_of(std::begin(kMoves), std::end(kMoves),
                     [&](const Move& move) { return move.from == from && move.to == to; });
}

Step::Step(StepId step_id, dsl::Address where, int number, State state)
    : id(step_id), address(std::move(where)), attempt(number), state_(state) {
  DURABLED_ASSERT(may_begin_as(state));
}

void Step::become(State state) {
  DURABLED_ASSERT(may_become(state_, state));
  state_ = state;
}

void Step::annotate(const std::string& text) {
  if (outcome.result && !warnings.empty()) {
    auto result = dsl::JsonWriter::extending(std::move(*outcome.result));
    result.key("warnings").list();
    for (const std::string& warning : warnings) result.text(warning);
    outcome.result = result.close().close().take();
  }
  if (part() == Exchange::Part::kInto && exchange->facts && !outcome.already_committed) {
    const std::string facts = exchange->facts->json();
    if (outcome.failure) {
      outcome.failure->more.emplace_back("http", facts);
    } else {
      outcome.result =
          dsl::JsonWriter::extending(std::move(*outcome.result)).raw("http", facts).close().take();
    }
  }
  if (!outcome.failure || is_http) return;
  dsl::Failure& failure = *outcome.failure;
  const bool has_position = std::any_of(failure.more.begin(), failure.more.end(),
                                        [](const auto& member) { return member.first == "position"; });
  if (!has_position) return;
  failure.add_text("statement", beginning(statement.sql));
  if (failure.hint.empty()) failure.hint = syntax_hint(failure, text);
}

}  // namespace durabled::daemon

#include "dsl/graph/kinds.hpp"

#include <algorithm>

namespace durabled::dsl {
namespace {

constexpr ChildSlot kNone{};
constexpr ChildSlot left(std::string_view title = "") {
  return {"left_node", title};
}
constexpr ChildSlot right(std::string_view title = "") {
  return {"right_node", title};
}
constexpr ChildSlot condition(std::string_view title) {
  return {"condition_node", title};
}
constexpr ChildSlot extra(std::string_view title = "") {
  return {"extra_nodes", title};
}

constexpr auto N = QueryUse::kNone, O = QueryUse::kOptional, R = QueryUse::kRequired;
constexpr std::size_t kMany = kManyChildren;
constexpr std::string_view kBranch = "branch";  // numbered: "branch 1:"

// clang-format off
// A loop's query is only read to say that its condition does not belong there.
constexpr KindInfo kKinds[] = {
    // kind                     type              function             symbol flow             query text   fails  waits  children  slots
    {NodeKind::kSql,            "SQL",            "sql",               "",   Flow::kStep,     R,    true,  true,  false, 0, 0,     {}},
    {NodeKind::kSequence,       "THEN",           "seq",               "~>", Flow::kInOrder,  N,    false, false, false, 2, kMany, {left(), right(), extra()}},
    {NodeKind::kIf,             "IF",             "if",                "?>", Flow::kEither,   O,    false, false, false, 2, 3,     {condition("condition:"), left("then:"), right("else:")}},
    {NodeKind::kIfRows,         "IF",             "if_rows",           "",   Flow::kEither,   R,    true,  false, false, 1, 2,     {left("then:"), right("else:"), kNone}},
    {NodeKind::kJoin,           "JOIN",           "join",              "&",  Flow::kBranches, N,    false, false, false, 2, kMany, {left(kBranch), right(kBranch), extra(kBranch)}},
    {NodeKind::kRace,           "RACE",           "race",              "|",  Flow::kBranches, N,    false, false, false, 2, kMany, {left(kBranch), right(kBranch), extra(kBranch)}},
    {NodeKind::kAny,            "ANY",            "any",               "",   Flow::kBranches, N,    false, false, false, 2, kMany, {left(kBranch), right(kBranch), extra(kBranch)}},
    {NodeKind::kLoop,           "LOOP",           "loop",              "@>", Flow::kLoop,     O,    false, false, false, 1, 2,     {left("body:"), condition("while:"), kNone}},
    {NodeKind::kBreak,          "BREAK",          "break",             "",   Flow::kEnd,      O,    true,  false, false, 0, 0,     {}},
    {NodeKind::kSleep,          "SLEEP",          "sleep",             "",   Flow::kStep,     R,    true,  false, true,  0, 0,     {}},
    {NodeKind::kWaitSchedule,   "WAIT_SCHEDULE",  "wait_for_schedule", "",   Flow::kStep,     R,    true,  false, true,  0, 0,     {}},
    {NodeKind::kWaitSignal,     "SIGNAL",         "wait_for_signal",   "",   Flow::kStep,     R,    true,  false, true,  0, 0,     {}},
    {NodeKind::kHttp,           "HTTP",           "http",              "",   Flow::kStep,     R,    true,  true,  false, 0, 0,     {}},
    {NodeKind::kHttpMultipart,  "HTTP_MULTIPART", "http_multipart",    "",   Flow::kStep,     R,    true,  true,  false, 0, 0,     {}},
    {NodeKind::kForEach,        "FOR_EACH",       "for_each",          "",   Flow::kRows,     O,    false, false, false, 2, 2,     {left("rows:"), right("body:"), kNone}},
    {NodeKind::kRetry,          "RETRY",          "retry",             "",   Flow::kInOrder,  R,    false, false, false, 1, 1,     {left("body:"), kNone, kNone}},
    {NodeKind::kTimeout,        "TIMEOUT",        "timeout",           "",   Flow::kInOrder,  R,    false, true,  false, 1, 1,     {left("body:"), kNone, kNone}},
    {NodeKind::kCatch,          "CATCH",          "catch",             "",   Flow::kHandler,  N,    false, false, false, 2, 2,     {left("body:"), right("handler:"), kNone}},
    {NodeKind::kFail,           "FAIL",           "fail",              "",   Flow::kEnd,      R,    true,  true,  false, 0, 0,     {}},
    {NodeKind::kLimit,          "LIMIT",          "limit",             "",   Flow::kInOrder,  R,    false, true,  false, 1, 1,     {left("body:"), kNone, kNone}},
};
// clang-format on

constexpr bool is_in_order() {
  for (std::size_t i = 0; i < std::size(kKinds); ++i) {
    if (static_cast<std::size_t>(kKinds[i].kind) != i) return false;
  }
  return std::size(kKinds) == static_cast<std::size_t>(NodeKind::kLimit) + 1;
}
static_assert(is_in_order(), "one row a kind, in the order of NodeKind");

}  // namespace

bool KindInfo::takes(std::string_view field) const {
  return std::any_of(slots.begin(), slots.end(), [&](const ChildSlot& slot) { return slot.field == field; });
}

const KindInfo& info(NodeKind kind) {
  return kKinds[static_cast<std::size_t>(kind)];
}

std::span<const KindInfo> all_kinds() {
  return kKinds;
}

std::string_view node_type(NodeKind kind) {
  return info(kind).type;
}

}  // namespace durabled::dsl

#include "dsl/graph/graph.hpp"

#include <charconv>
#include <cstdio>

#include "dsl/assert.hpp"

namespace durabled::dsl {

std::string_view node_type(NodeKind kind) {
  switch (kind) {
    case NodeKind::kSql:
      return "SQL";
    case NodeKind::kSequence:
      return "THEN";
    case NodeKind::kIf:
    case NodeKind::kIfRows:
      return "IF";
    case NodeKind::kJoin:
      return "JOIN";
    case NodeKind::kRace:
      return "RACE";
    case NodeKind::kAny:
      return "ANY";
    case NodeKind::kLoop:
      return "LOOP";
    case NodeKind::kBreak:
      return "BREAK";
    case NodeKind::kSleep:
      return "SLEEP";
    case NodeKind::kWaitSchedule:
      return "WAIT_SCHEDULE";
    case NodeKind::kWaitSignal:
      return "SIGNAL";
    case NodeKind::kHttp:
      return "HTTP";
    case NodeKind::kHttpMultipart:
      return "HTTP_MULTIPART";
    case NodeKind::kForEach:
      return "FOR_EACH";
    case NodeKind::kRetry:
      return "RETRY";
    case NodeKind::kTimeout:
      return "TIMEOUT";
    case NodeKind::kCatch:
      return "CATCH";
    case NodeKind::kFail:
      return "FAIL";
  }
  DURABLED_ASSERT(!"a node kind that is not in the enum");
}

std::string node_id(NodeIndex index) {
  char buffer[9];
  std::snprintf(buffer, sizeof buffer, "%08x", index);
  return buffer;
}

NodeIndex node_index(const Graph& graph, std::string_view id) {
  if (id.size() != 8 || id.find_first_of("ABCDEF") != std::string_view::npos) return kNoNode;
  NodeIndex index = 0;
  const auto [end, error] = std::from_chars(id.data(), id.data() + id.size(), index, 16);
  const bool is_number = error == std::errc() && end == id.data() + id.size();
  return is_number && index < graph.nodes.size() ? index : kNoNode;
}

}  // namespace durabled::dsl

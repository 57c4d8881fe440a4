// Any text is read as a graph's JSON or refused; a graph is the same after it is written and read again, as
// JSON and as text.
#include "dsl/assert.hpp"
#include "dsl/graph/check.hpp"
#include "dsl/graph/json.hpp"
#include "dsl/text/parser.hpp"
#include "dsl/text/printer.hpp"

using namespace durabled::dsl;

extern "C" int LLVMFuzzerTestOneInput(const char* data, std::size_t size) {
  const auto graph = from_json({data, size}, {});
  if (!graph) {
    DURABLED_ASSERT(!graph.error().to_string().empty());
    return 0;
  }
  const std::string json = to_json(*graph);
  const auto read = from_json(json, {});
  DURABLED_ASSERT(read && *read == *graph && to_json(*read) == json);
  const auto printed = read_workflow(print(*graph), {});
  DURABLED_ASSERT(printed && printed->graph == *graph);
  check_graph(*graph);
  print_tree(*graph);
  return 0;
}

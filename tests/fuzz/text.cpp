// Any text is parsed or refused; a workflow is the same after its JSON form, after its printed text, and
// without the df.start(…) around it.
#include "dsl/assert.hpp"
#include "dsl/graph/json.hpp"
#include "dsl/text/parser.hpp"
#include "dsl/text/printer.hpp"

using namespace durabled::dsl;

extern "C" int LLVMFuzzerTestOneInput(const char* data, std::size_t size) {
  const auto workflow = read_workflow({data, size}, {});
  if (!workflow) {
    DURABLED_ASSERT(!workflow.error().to_string().empty());
    return 0;
  }
  const Graph& graph = workflow->graph;
  const std::string json = to_json(graph);
  const auto read = from_json(json, {});
  DURABLED_ASSERT(read && *read == graph && to_json(*read) == json);
  const auto printed = read_workflow(print(graph), {});
  DURABLED_ASSERT(printed && printed->graph == graph);
  if (!workflow->body.empty()) {
    const auto body = read_workflow(workflow->body, {});
    DURABLED_ASSERT(body && body->graph == graph);
  }
  print_tree(graph);
  return 0;
}

#include "dsl/graph/http_values.hpp"

#include "dsl/value/http_text.hpp"

namespace durabled::dsl {

std::vector<UnencodedValue> unencoded_values(const Node& node) {
  std::vector<UnencodedValue> found;
  if (node.kind != NodeKind::kHttp && node.kind != NodeKind::kHttpMultipart) return found;
  for (const std::string& reference : unencoded_references(node.text, HttpText::kUrl)) {
    found.push_back(
        {"the value of " + reference + " goes into the URL as it is, and could change where the call goes",
         "in a path segment or in a query's value it would be percent-encoded"});
  }
  const auto& options = std::get<HttpOptions>(node.options);
  if (!options.body) return found;
  for (const std::string& reference : unencoded_references(*options.body, HttpText::kBody)) {
    found.push_back(
        {"the value of " + reference + " goes into the body as it is, and could change its structure",
         "the body looks like JSON, but is not JSON even when its references are left aside"});
  }
  return found;
}

}  // namespace durabled::dsl

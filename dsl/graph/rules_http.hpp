// The rules for the arguments of df.http and df.http_multipart. See rules.hpp.
#pragma once

#include <optional>
#include <string>

#include "dsl/graph/graph.hpp"

namespace durabled::dsl {

// For kHttp and kHttpMultipart; as apply_rules().
std::optional<std::string> apply_http_rules(Node& node);

}  // namespace durabled::dsl

// A node's "query" in the JSON form: plain text for some kinds, JSON text of an object for others. See
// json.hpp.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "dsl/graph/graph.hpp"

namespace durabled::dsl {

// Fills `node`'s text and options from its query (nullopt: absent) by its kind; an IF becomes kIfRows when
// its query says so. Error: what is wrong. The values are checked afterwards, by apply_rules().
std::optional<std::string> read_query(Node& node, std::optional<std::string_view> query);

}  // namespace durabled::dsl

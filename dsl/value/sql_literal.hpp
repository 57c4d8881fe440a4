// JSON values as SQL text that can be nothing but one value, whatever they hold and however
// standard_conforming_strings is set. Everything here is total; NUL characters pass through for the caller to
// refuse.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "dsl/value/result.hpp"
#include "dsl/value/type_name.hpp"

namespace durabled::dsl {

// Where a literal goes. In a dollar-quoted body it must not hold a '$', which could close the body.
enum class Place { kStatement, kDollarBody };

// '…', or E'…' when there are backslashes (or, in a body, dollars) to escape.
std::string quote_literal(std::string_view text, Place place);

// A value (not SQL's NULL) of column type `type` as a literal of that type; negative numbers in parentheses.
// With an empty `type` the JSON decides: strings untyped, numbers and booleans as such, the rest jsonb.
std::string value_literal(std::string_view json, std::string_view type, Place place);

// `values` as an array whose elements have type `type`; JSON null is NULL. No values of an empty type: '{}',
// whose type is for the statement to say.
std::string array_literal(const std::vector<std::string_view>& values, std::string_view type, Place place);

// `values` as the inside of the parentheses of IN (…): a list, or a query without rows.
std::string list_literal(const std::vector<std::string_view>& values, std::string_view type, Place place);

// All rows as a relation, its types fixed by the first row: (VALUES (…), …) AS name("col", …). Without alias,
// for a template that gives its own: (SELECT * FROM … AS name("col", …)). A name with capital
// letters is quoted, so that it keeps them.
std::string relation_literal(const RowSet& set, std::string_view name, bool has_alias, Place place);

}  // namespace durabled::dsl

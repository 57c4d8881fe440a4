// The table of PostgreSQL's built-in types (pg_type of 17; OIDs never change between versions).
#pragma once

#include <vector>

#include "dsl/value/pg_types.hpp"

namespace durabled::dsl {

// Every built-in base, range, multirange and pseudo-type, and the array type of each. Names are
// format_type(oid, -1): the form without a length ("bpchar", "\"bit\""), because a cast to character or bit
// without one cuts to length 1.
std::vector<TypeInfo> builtin_types();

}  // namespace durabled::dsl

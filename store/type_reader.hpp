// What a server tells of the types of a result: names, elements, fields. Private to store/.
#pragma once

#include "dsl/value/pg_types.hpp"

struct pg_result;  // libpq's PGresult

namespace durabled::store {

// Reads types from pg_type, with all that they are made of. $1: their OIDs (oid[]); $2: the role that they are read for,
// or none for that of the session. Runs in a step's session after the step, whose search_path it does not depend on.
extern const char* const kTypesQuery;

// Adds what the query returned to `catalog`. A name can be written into SQL whatever the search_path is, and reading a
// value of it back runs no code of a stranger: a domain of another role goes by the type under it, a type that is made of
// such a domain by one that has no code.
void add_types(const pg_result* result, dsl::TypeCatalog& catalog);

}  // namespace durabled::store

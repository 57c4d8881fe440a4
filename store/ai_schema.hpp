// The schema of AI pipelines, `ai` unless it is given another name: install, upgrade, find. It is SQL over `df` and
// belongs to the same role.
#pragma once

#include <string>
#include <vector>

namespace durabled::store {

inline constexpr const char* kAiSchema = "ai";

// Installs it, or brings it to the version that this binary knows; one transaction. Requires that the schema df is
// there. Returns the names of the files that were applied. Blocks. Throws StoreError; kPermanent when there is a
// schema of that name that durabled did not make, or that another build made.
std::vector<std::string> install_ai_schema(const std::string& conninfo, const std::string& name);

// The same for an empty database, as a script for psql.
std::string print_ai_schema(const std::string& name);

// Those that durabled installed in this database, in the order of their names.
std::vector<std::string> ai_schemas(const std::string& conninfo);

}  // namespace durabled::store

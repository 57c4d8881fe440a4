// The version of the `df` schema: install, upgrade, compare.
#pragma once

#include <string>
#include <vector>

namespace durabled::store {

struct SchemaOptions {
  std::string operator_schema = "public";  // where ~> and the others live
};

// Installs or upgrades: applies the migrations that are missing, under an advisory lock, one transaction for
// all of them. Returns the names of those applied. Blocks. Throws StoreError; kPermanent when the schema is
// newer than this binary, or when the role may not create it.
std::vector<std::string> migrate(const std::string& conninfo, const SchemaOptions& options);

// What takes the schema from this version (0: there is none) to the one that this binary knows, as one SQL
// script for a DBA to run with psql. Throws StoreError, kPermanent, when it is newer.
std::string print_schema(const SchemaOptions& options, int installed);

// Drops the schema with everything in it, and the operators. Throws StoreError.
void uninstall(const std::string& conninfo);
// The same as a script for psql.
std::string print_uninstall();

struct SchemaState {
  int installed = 0;  // 0: not at all
  int known = 0;      // to this binary
};
SchemaState schema_state(const std::string& conninfo);

}  // namespace durabled::store

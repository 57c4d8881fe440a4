// The version of the `df` schema: install, upgrade, compare.
#pragma once

#include <chrono>
#include <string>
#include <vector>

namespace durabled::store {

struct SchemaOptions {
  std::string operator_schema = "public";                             // where ~> and the others live
  std::chrono::milliseconds lock_timeout = std::chrono::seconds(30);  // somebody may never let go
};

// Installs or upgrades: applies the migrations that are missing, under a lock, one transaction for all of them,
// as the schema's owner. Returns the names of those applied. Blocks. Throws StoreError; kPermanent when the schema
// is newer than this binary, belongs to another role, when the role may not create it (and which grant it lacks),
// or when others hold the schema's tables locked for too long (and who).
std::vector<std::string> migrate(const std::string& conninfo, const SchemaOptions& options);

// What takes the schema from this version (0: no schema yet) to the one that this binary knows, as one SQL
// script for a DBA to run with psql. Throws StoreError, kPermanent, when it is newer.
std::string print_schema(const SchemaOptions& options, int installed);

// What init and uninstall tell beside the schema itself.
struct InstallFacts {
  std::string role;  // that is logged in
  bool is_superuser = false;
  bool operator_exists = false;  // a role df_operator
  bool operator_known = false;   // and it is the operators' role of this schema
};
InstallFacts install_facts(const std::string& conninfo);

struct RenewedInstallation {
  std::string before, after;  // UUIDs
  int daemons = 0;            // that register again
};
// For a restored database: see df._renew_installation. One transaction. Throws StoreError.
RenewedInstallation renew_installation(const std::string& conninfo);

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

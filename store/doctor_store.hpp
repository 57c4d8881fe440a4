// What `durabled doctor` reads from the database and tries out. Nothing is changed.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "store/conninfo.hpp"

namespace durabled::store {

struct ServerFacts {
  int version_number = 0;  // 170004
  std::string version;     // "17.4"
  std::string role, database;
  std::string schema_owner;  // "": the schema is not there
  bool is_superuser = false;
  bool in_recovery = false;
  int max_connections = 0;
  std::chrono::microseconds clock_ahead{0};  // the server's clock minus ours
  double notification_queue = 0;             // the share of the NOTIFY queue that is taken, 0 to 1
  std::string oldest_transactions;           // sessions in words, as far as this role may see; empty: none
};

struct WorkerFacts {
  std::string name, host, version;
  std::chrono::milliseconds silent_for{0};  // since its last heartbeat
};

// A role that may use the schema.
struct GranteeFacts {
  std::string role;
  bool may_login = false;
  int missing_functions = 0;  // of the schema, that it may not execute: granted before an upgrade
};

struct SchemaFacts {
  bool usable = false;  // this role may submit and read
  bool owner = false;   // this role owns it: the daemon's own
  std::vector<WorkerFacts> workers;
  bool operator_exists = false;             // a role df_operator
  bool operator_known = false;              // and it is this schema's
  std::string lock_waiters;                 // sessions that hold up everybody, in words
  std::vector<GranteeFacts> grantees;       // empty unless owner
  std::vector<StepTarget> recent_targets;   // whom steps were to run as lately, as far as this role sees
  std::vector<std::string> dropped;         // instances under way whose role is gone
  std::vector<std::string> waiting_logins;  // that daemons cannot make at present: "alice to app (28P01)"
  std::vector<std::pair<std::string, std::string>>
      parked;             // ids of instances that wait for somebody, and why
  long long overdue = 0;  // instances that should have been taken up ten seconds ago
};

// Each throws StoreError and blocks. Requires of schema_facts: the schema is there.
ServerFacts server_facts(const std::string& conninfo);
SchemaFacts schema_facts(const std::string& conninfo);

// Whether a notification sent by one session arrives in another; waits for at most two seconds.
bool notifications_arrive(const std::string& conninfo);

// Whether a connection keeps its session from one transaction to the next; false: a pooler in transaction
// mode lends the session of one connection to another between transactions.
bool sessions_are_kept(const std::string& conninfo);

// Whether a session with these parameters can be opened, as a step's would; the reason if not.
std::optional<std::string> login_problem(const ConnectParams& params);

// Whether the role that `conninfo` logs in as may SET ROLE to `role`.
bool may_set_role(const std::string& conninfo, const std::string& role);

}  // namespace durabled::store

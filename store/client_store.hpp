// What the command line asks of the schema, as the role that it logs in as: submit, follow, steer. Row-level
// security decides what that role sees; an instance that it may not see is not there (StoreError with
// SQLSTATE P0002).
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace durabled::store {

// Times are text in RFC 3339, UTC, with microseconds. JSON is text as the database holds it.

struct Submission {
  std::string dsl;
  std::optional<std::string> label, database, start_at, idempotency_key;
  std::optional<int> priority;
  std::map<std::string, std::string> vars;  // put over the role's own variables
};

struct InstanceSummary {
  std::string id, status, created_at;
  std::optional<std::string> label, completed_at;
  std::optional<std::string> output;  // the result's JSON, or the message of a failure
  std::int64_t executions = 1;
};

struct ListFilter {
  std::optional<std::string> status, label;
  int limit = 100;
};

struct InstanceDetail {
  std::string id, status, dsl, database, created_at, updated_at;
  std::optional<std::string> submitted_by;  // nullopt: the role was dropped
  std::optional<std::string> label, started_at, completed_at, wake_at, request;
  std::optional<std::string> graph;          // JSON; nullopt while no daemon has taken it
  std::optional<std::string> result, error;  // JSON
  int priority = 0;
};

struct NodeState {
  std::string node_id, status;  // pending running completed failed skipped
  std::optional<std::string> error;
};

struct WaitingFor {
  std::string node_id, kind;  // timer schedule signal retry
  std::optional<std::string> name, until;
};

struct SentSignal {
  std::string name, data, sent_at;  // data: JSON
};

struct HistoryEvent {
  std::int64_t seq = 0;
  std::string at, kind;
  std::optional<std::string> node, scope, data;
  std::optional<int> attempt;
};

struct Answer {
  std::string message;        // what the function said
  std::string status_before;  // of the instance
};

// One connection, opened by the constructor. Every function is one transaction, blocks, and throws
// StoreError. Not thread-safe.
class ClientStore {
 public:
  explicit ClientStore(const std::string& conninfo);
  ~ClientStore();

  // Inserts into df.submit; returns the instance's id. Not safe to repeat without an idempotency key.
  std::string submit(const Submission& submission);

  // Waits until the instance has ended, at most so long; returns its status then.
  std::string await(const std::string& id, std::chrono::milliseconds timeout);

  std::vector<InstanceSummary> list(const ListFilter& filter);
  InstanceDetail instance(const std::string& id);
  std::vector<NodeState> nodes(const std::string& id);
  std::vector<WaitingFor> waiting(const std::string& id);
  // The signals that no wait has taken, oldest first, at most `limit`.
  std::vector<SentSignal> untaken_signals(const std::string& id, int limit);
  // Whether a daemon of this database was heard of within `silence`.
  bool is_served(std::chrono::milliseconds silence);
  // The events with a higher seq, in order.
  std::vector<HistoryEvent> history(const std::string& id, std::int64_t after_seq = 0);

  Answer cancel(const std::string& id, const std::optional<std::string>& reason);
  Answer pause(const std::string& id);
  Answer resume(const std::string& id);
  Answer signal(const std::string& id, const std::string& name, const std::string& data);
  // Returns the new instance's id.
  std::string rerun(const std::string& id, const std::optional<std::string>& from_node);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace durabled::store

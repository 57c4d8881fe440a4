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
  std::optional<std::string> input;  // JSON
  std::optional<int> priority;
  std::map<std::string, std::string> vars;  // put over the role's own variables
  bool replace = false;  // an instance that holds the key is cancelled if it has not ended, and loses the key
};

struct Submitted {
  std::string id, status, created_at;
  bool started = true;                  // false: the key is known, and this is the instance that holds it
  bool same_text = true;                // whether the instance's text is the one that was given
  std::optional<std::string> replaced;  // the instance that held the key
};

struct InstanceSummary {
  std::string id, status, created_at;
  std::optional<std::string> label, completed_at;
  std::optional<std::string> output;              // the result's JSON, or the message of a failure
  std::optional<std::string> submitted_by, code;  // code: of the error
  std::int64_t executions = 1;
};

// Which instances; what is not given does not matter.
struct InstanceFilter {
  std::optional<std::string> status, role, code;
  std::optional<std::string> label;         // the label itself, or a LIKE pattern
  std::optional<std::string> since, until;  // of created_at: a time, or how long ago ("2h")
};

struct ListFilter : InstanceFilter {
  int limit = 100;
  std::optional<std::string> after;  // the last instance of the page before
};

struct InstanceDetail {
  std::string id, status, dsl, database, created_at, updated_at;
  std::optional<std::string> submitted_by;  // nullopt: the role was dropped
  std::optional<std::string> label, started_at, completed_at, wake_at, request;
  std::optional<std::string> graph;                 // JSON; nullopt while no daemon has taken it
  std::optional<std::string> result, error, input;  // JSON
  int priority = 0;
};

struct NodeState {
  std::string node_id, status;  // pending running completed failed skipped
  std::optional<std::string> error;
  std::optional<std::chrono::microseconds> took;  // of a step or wait that has ended
  std::optional<std::string> http_status;         // of an HTTP step that was answered: "404"
};

// How many iterations of a loop have ended, in the iteration of the loop around it that runs now.
struct NodeIterations {
  std::string node_id;
  std::int64_t completed = 0;
};

struct NodeWarning {
  std::string node_id, text;
};

// The nodes of a df.for_each: the one whose rows it takes, its body from first to end, and the body's last step.
struct RowNodes {
  std::string source, first, end, last;
};

struct RowCounts {
  std::optional<std::int64_t> total;
  std::int64_t done = 0;
  std::vector<std::int64_t> failed;  // the first ones, from 0
};

struct WaitingFor {
  std::string instance_id, node_id, kind;  // timer schedule signal retry login (of no node) …
  std::optional<std::string> label, name, since, until;
  std::optional<int> attempt;        // of a retry: the one that failed,
  std::optional<std::string> error;  // and why
};

// A daemon that is registered.
struct WorkerRow {
  std::int64_t id = 0;
  std::string name, host;
  std::int64_t pid = 0;
  std::string version, started_at, last_seen_at;
  double silent_seconds = 0;
  std::int64_t instances = 0;  // that it holds, of those that the caller may see
};

// Of the instances that the caller may see.
struct MetricValues {
  std::map<std::string, std::int64_t> instances;  // by status
  std::int64_t due = 0;                           // could run now, and no daemon holds them
  double oldest_due_seconds = 0;
  std::int64_t failed_last_hour = 0;
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

  // The names of the variables that the role has set, of which an instance gets a copy.
  std::vector<std::string> variables();
  // Inserts into df.submit. Not safe to repeat without an idempotency key.
  Submitted submit(const Submission& submission);

  // Waits until the instance has ended, at most so long; returns its status then.
  std::string await(const std::string& id, std::chrono::milliseconds timeout);

  std::vector<InstanceSummary> list(const ListFilter& filter);
  InstanceDetail instance(const std::string& id);
  std::vector<NodeState> nodes(const std::string& id);
  std::vector<NodeIterations> iterations(const std::string& id);
  RowCounts rows_of(const std::string& id, const RowNodes& nodes);
  // What the engine remarked about the references of completed steps, at most `limit`.
  std::vector<NodeWarning> warnings(const std::string& id, int limit);
  // Of one instance, or of all.
  std::vector<WaitingFor> waiting(const std::optional<std::string>& id, int limit = 1000);
  std::vector<WaitingFor> waits_of(const std::vector<std::string>& ids);
  // The signals that no wait has taken, oldest first, at most `limit`.
  std::vector<SentSignal> untaken_signals(const std::string& id, int limit);
  // Whether a daemon of this database was heard of within `silence`.
  bool is_served(std::chrono::milliseconds silence);
  // The events with a higher seq, in order.
  std::vector<HistoryEvent> history(const std::string& id, std::int64_t after_seq = 0);

  std::vector<WorkerRow> workers();
  MetricValues metrics();
  // The ids and statuses of the instances that match and have one of `statuses`, oldest first.
  std::vector<InstanceSummary> matching(const InstanceFilter& filter,
                                        const std::vector<std::string>& statuses);
  // How many instances ended longer ago than `age`, an interval.
  std::int64_t prunable(const std::string& age);
  // Deletes those; needs the schema's owner. Returns how many.
  std::int64_t prune(const std::string& age);

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

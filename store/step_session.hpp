// One connection that runs steps, over libpq's pipeline mode: two round trips a step, or in a chain of steps one.
//
//   run()             BEGIN · the step's settings · the statement
//   commit()          df._commit_turn(…) · COMMIT · what the step left in the session is taken away
//   commit_and_run()  both: the next statement runs only if the commit has succeeded
//   run_group(), commit_group()  the same for several steps that share a transaction
//
// Non-blocking: the owner waits for the socket, then calls advance(). One thread at a time. After lost() is
// true the session is of no further use. A statement's result never takes more memory than max_result_bytes
// and one row.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "dsl/engine/decision.hpp"
#include "store/conninfo.hpp"

namespace durabled::store {

struct StepStatement {
  std::string sql;
  std::string instance_id, label, node_id, scope;
  int attempt = 1;
  std::string role;    // set by SET LOCAL ROLE; "none": whom the session logged in as
  bool alone = false;  // outside a transaction: at-least-once, commit() is not called
  std::size_t max_result_bytes = 0;
  // Of an HTTP step: "request", in a transaction that cannot write and is rolled back, or "into"; "" for SQL steps.
  std::string part = {};
  bool reads_only() const { return part == "request"; }
  bool is_first = false;         // nothing of the instance was recorded since it was claimed
  std::string traceparent = {};  // of W3C Trace Context, for df.traceparent; empty: nothing is set
  bool may_group = false;        // its answer to the result does not wait for another step of its instance
};

// What a statement came to. Exactly one of result and failure is there.
struct StepOutcome {
  std::optional<std::string> result;  // JSON; shapes: docs/language.md, "Results"
  std::optional<dsl::Failure> failure;
  bool needs_to_run_alone = false;  // failure: it refuses to run in a transaction block
  bool never_began = false;  // failure: the session was dead before it took anything; see take_statement()
  // In a foreign database:
  bool already_committed = false;                      // it ran before; `result` is what it returned then
  bool at_least_once = false;                          // that database has no schema df to remember it in
  std::optional<std::chrono::microseconds> took = {};  // set by who runs the session
};

// A turn that only appends events, and completes the instance if it is its end.
struct PlainTurn {
  std::vector<dsl::Event> events;
  bool is_end = false;
  std::int64_t result_seq = 0;  // with is_end; 0: no result
  std::string states;           // with is_end: JSON as in df.instances.node_states; empty: unchanged
};

// One checkpoint: an event, and in `turn` what follows from it (JSON of df._apply_turn; empty: nothing).
struct StepCommit {
  std::string claim_key, instance_id;
  std::int64_t token = 0;
  dsl::Event event;
  std::string turn;
  std::optional<PlainTurn> plain = {};  // says the same as `turn`, where it can
};

// What a group of steps came to: the outcome of each in their order, or why it failed.
struct GroupOutcome {
  std::vector<StepOutcome> steps;
  std::optional<dsl::Failure> failure;
  std::optional<std::size_t> culprit;  // failure: whose statement it was, where that is known
  bool never_began = false;            // failure: the session was dead before it took anything
};

struct CommitOutcome {
  enum class Kind {
    kCommitted,
    kLeaseLost,  // nothing was written
    kBusy,       // a client's open transaction has the instance's row locked: nothing was written
    kRefused,  // the database refused the commit (a deferred constraint, …): nothing was written; see failure
    kNotGrouped,  // of commit_group(): nothing was written of any step, whichever of them is the reason
    kInDoubt,     // the connection was lost before the answer came
  };
  Kind kind = Kind::kCommitted;
  std::optional<dsl::Failure> failure;
};

class StepSession {
 public:
  struct Options {
    bool pooled = false;  // behind a pooler in transaction mode
    // Another database than the one that has the instance. Its checkpoint cannot be in the step's
    // transaction; instead df._foreign_steps there remembers, in that transaction, that the step ran and what
    // it returned.
    bool foreign = false;
    // With the instance's id the key of what is remembered: another installation may have that id, too.
    std::string installation = {};
    // Whom the session must log in as; 0: anybody. A name may have passed to another role meanwhile.
    RoleId role = 0;
  };
  // Connects; blocks. Throws StoreError: kTransient, kPermanent where the session has no right to the checkpoint.
  static std::unique_ptr<StepSession> connect(const ConnectParams& params, Options options);
  ~StepSession();
  StepSession(const StepSession&) = delete;
  StepSession& operator=(const StepSession&) = delete;

  int socket() const;

  // Each begins one exchange; requires that none is going on. run(), then commit(), commit_and_run(),
  // commit_foreign() or rollback() (not after `alone`). After commit_and_run() comes what comes after commit() if
  // it did not commit, and else what comes after run().
  void run(StepStatement statement);
  void commit(const StepCommit& commit);
  // `next` is not `alone`. It never ran where the commit did not succeed.
  void commit_and_run(const StepCommit& commit, StepStatement next);
  void commit_foreign(const std::string& result);
  void rollback();
  // Several steps as one transaction: run_group(), then commit_group() with a commit for each of them, or rollback().
  // They share nothing but the transaction; where one of them fails, none has run. Requires takes_groups(), and of each
  // statement that it is not `alone` and cannot end the transaction.
  void run_group(std::vector<StepStatement> statements);
  void commit_group(const std::vector<StepCommit>& commits);
  // Whether this session's steps can be one transaction: not behind a pooler, nor in a foreign database, nor where
  // transactions are read-only by default.
  bool takes_groups() const;

  enum class Progress {
    kWaits,  // for the socket
    kCommitted,  // of commit_and_run(), once: take_commit_outcome() may be called, and the exchange goes on as one of
                 // run(next). The answer to that may be there already: advance() is to be called again
    kOver,  // the exchange is
  };
  // Sends and reads as much as is possible without blocking.
  Progress advance();
  bool wants_write() const;

  // Of the exchange that is over.
  StepOutcome take_outcome();
  GroupOutcome take_group_outcome();
  // The statement that ran last, or was to run, for another session; requires that it never began.
  StepStatement take_statement();
  CommitOutcome take_commit_outcome();
  bool lost() const;
  // For when the socket becomes readable although no exchange is going on. False: the connection is gone.
  bool check_idle();

  // Makes the server stop the running statement. Safe on another thread while this one is used; blocks for a
  // connection.
  std::function<void()> canceller() const;

 private:
  class Impl;
  explicit StepSession(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace durabled::store

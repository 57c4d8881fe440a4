// What a daemon says to the schema beside its steps: register, poll, commit turns, heartbeat. Two
// connections, each used by one thread: WorkerStore for the work, Keeper for being alive. Everything here
// blocks.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "dsl/engine/event.hpp"
#include "store/conninfo.hpp"
#include "store/statistics.hpp"

namespace durabled::store {

struct WorkerId {
  int number = 0;
  std::string installation;  // a UUID, which no other database has; see df._installation
};

struct Signal {
  std::int64_t id = 0;
  std::string name;
  std::optional<std::string> data;  // JSON text; nullopt: too long to come unasked, see signal_data()
  dsl::Time sent_at{};              // by the database's clock
};

struct ClaimedInstance {
  std::string id;
  std::int64_t token = 0;
  std::string claim_key;             // secret; what a step's commit shows; never logged
  std::string dsl, label, vars;      // vars: JSON object
  std::optional<std::string> input;  // JSON object
  std::size_t dsl_bytes = 0;         // longer than dsl: the text was too long to be read
  std::size_t bytes = 0;             // about what was read: text, variables, input, history, signals
  std::optional<std::chrono::microseconds> waited;  // for a claim since it was due; nullopt: it was reclaimed
  std::optional<std::string> role;                  // nullopt: the role that submitted it was dropped
  RoleId role_id = 0;
  bool may_http = false;  // the role has EXECUTE on df.http
  std::string database;
  std::string request, request_reason;  // cancel, pause, resume or ""
  std::vector<dsl::Event> history;
  std::vector<Signal> signals;  // untaken, oldest first
  std::string corrupt;          // not empty: the history cannot be read, and why
};

// An instance that ended, and not by a turn of a daemon: a client cancelled it, or the schema refused what its text asks for.
struct Ended {
  std::string id, status, label, error;  // error: JSON
  std::string role;                      // "": it was dropped
  double seconds = 0;                    // since a daemon took it up first
  dsl::Time at{};
};

// An instance that this worker holds, and for which a signal or a request has come.
struct Attention {
  std::string id;
  std::int64_t token = 0;
  std::string request, request_reason;
  std::vector<Signal> signals;  // all that came since the worker read its signals last, and maybe some before
};

// What a daemon wants of a poll.
struct PollRequest {
  int limit = 0;                        // instances to claim at most; 0: only what wants attention is read
  std::optional<int> each = {};         // of each role at most
  std::set<RoleId> busy = {};           // roles of which nothing is claimed
  RoleId after = 0;                     // roles take turns, beginning after this one
  std::size_t bytes = 16 << 20;         // at most, by about, of attention and of claims each; one in any case
  std::size_t longest_text = 16 << 20;  // a workflow with a longer text comes without it
  bool listen = true;                   // who submits is to ring the doorbell, if this takes all that is due
};

struct PollResult {
  std::vector<ClaimedInstance> claimed;
  std::vector<Attention> attention;
  std::vector<Ended> ended;  // those that this worker held, and some that nobody did; each is told once
  std::optional<dsl::Time> next_wake;  // when the next instance becomes due; nullopt: none waits
  bool more = false;                   // something was left, because the request allowed no more
  RoleId served = 0;                   // the role that was served last
};

struct Released {
  int instances = 0;                // that dead daemons held
  int others = 0;                   // other daemons that live
  std::vector<std::string> parked;  // of the instances: their daemons died with them too often
};

// A turn without a statement of its own; `json` as df._apply_turn has it, with instance, token and at.
struct Turn {
  std::string instance_id;
  std::string json;
  std::int64_t token = 0;
};
struct TurnProblem {
  enum class Kind {
    kLost,     // another daemon holds the instance
    kBusy,     // its row is locked: try again later
    kRefused,  // the database does not take what the turn holds; see what
  };
  std::string instance_id;
  Kind kind;
  std::string what = {};
};

// A login for steps that is refused or cannot be made, and the steps that wait for it.
struct LoginProblem {
  std::string role;   // whose steps wait; "": everybody's, because all run over this login
  std::string login;  // who cannot log in
  std::string database, sqlstate, message;
  std::chrono::milliseconds next_try{0};  // from now
};

// What a daemon asks of the database over its work connection. Everything blocks and throws StoreError.
class WorkDatabase {
 public:
  virtual ~WorkDatabase() = default;

  // Claims due instances and reads what wants attention, in one transaction; then, in another, the histories
  // and signals of what was claimed. Safe to repeat.
  virtual PollResult poll(int worker, const PollRequest& request) = 0;

  // JSON text. Throws StoreError, kPermanent when there is no such signal.
  virtual std::string signal_data(const std::string& instance_id, std::int64_t signal_id) = 0;

  // Commits each turn or reports it; one transaction. Requires: ordered by instance id.
  // InDoubt: the caller reclaims the instances concerned.
  virtual std::vector<TurnProblem> commit(int worker, const std::vector<Turn>& turns) = 0;

  // Takes instances that the worker holds anew, with higher tokens, and reads them again; those it no longer
  // holds are left out. One transaction. What an older token had under way is committed before this returns,
  // or never.
  virtual std::vector<ClaimedInstance> reclaim(int worker, const std::vector<std::string>& ids) = 0;

  // The instances that the rows say this worker holds, with their tokens.
  virtual std::vector<std::pair<std::string, std::int64_t>> held(int worker) = 0;
  // Frees those of them that it still holds with that token; returns how many. One transaction.
  virtual int give_back(int worker, const std::vector<std::pair<std::string, std::int64_t>>& instances) = 0;

  // Which of these roles have EXECUTE on df.http.
  virtual std::set<std::string> may_http(const std::set<std::string>& roles) = 0;

  // Makes it visible (df.waiting) until login_works(). Returns why trying again is of no use, if it is not: the role or the
  // database is gone, or the role may no longer log in. One transaction; safe to repeat.
  virtual std::optional<std::string> login_failed(int worker, const LoginProblem& problem) = 0;
  virtual void login_works(int worker, const std::string& login, const std::string& database) = 0;

  // Frees what dead daemons held. One transaction.
  virtual Released release_dead(int worker, std::chrono::milliseconds lease_ttl, bool advisory_locks) = 0;
  // Gives back what this worker holds and forgets the worker. One transaction a thousand instances.
  virtual void release_all(int worker) = 0;
  // Deletes up to `batch` instances that ended longer ago than `age`, with their history; returns how many.
  virtual int prune(std::chrono::seconds age, int batch) = 0;
  // For monitoring; `labels`: the workflow labels that it tells of. One statement, its cost bounded whatever is there.
  // Nothing, of a store that nobody monitors.
  virtual Statistics statistics(const std::vector<std::string>& /*labels*/) { return {}; }
};

class WorkerStore : public WorkDatabase {
 public:
  // Connects and checks that the schema has the version that this binary knows.
  // Throws StoreError; kPermanent with the sentence for people when the schema is missing, older or newer.
  explicit WorkerStore(const std::string& conninfo);
  ~WorkerStore() override;

  std::string own_role() const;
  std::string database() const;

  PollResult poll(int worker, const PollRequest& request) override;
  std::string signal_data(const std::string& instance_id, std::int64_t signal_id) override;
  std::vector<TurnProblem> commit(int worker, const std::vector<Turn>& turns) override;
  std::vector<ClaimedInstance> reclaim(int worker, const std::vector<std::string>& ids) override;
  std::vector<std::pair<std::string, std::int64_t>> held(int worker) override;
  int give_back(int worker, const std::vector<std::pair<std::string, std::int64_t>>& instances) override;
  std::set<std::string> may_http(const std::set<std::string>& roles) override;
  std::optional<std::string> login_failed(int worker, const LoginProblem& problem) override;
  void login_works(int worker, const std::string& login, const std::string& database) override;
  Released release_dead(int worker, std::chrono::milliseconds lease_ttl, bool advisory_locks) override;
  void release_all(int worker) override;
  int prune(std::chrono::seconds age, int batch) override;
  Statistics statistics(const std::vector<std::string>& labels) override;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

// The session that shows that the daemon lives: heartbeat, advisory lock, LISTEN.
class Keeper {
 public:
  struct Options {
    std::string name, host, version;
    bool advisory_lock = true, listen = true;
  };
  // Connects and registers the daemon.
  Keeper(const std::string& conninfo, const Options& options);
  ~Keeper();

  const WorkerId& id() const;
  // The database's time; nullopt: the worker was declared dead and must begin anew.
  std::optional<dsl::Time> heartbeat();
  // Sessions that wait for a lock on a table of df behind which everybody else waits, in words; empty: none.
  std::string lock_waiters();
  // Waits for a notification, at most so long; true when one came.
  bool wait(std::chrono::milliseconds timeout);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace durabled::store

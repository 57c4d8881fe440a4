// A connection that runs steps, as the step pool sees it, and who opens them. The daemon's are in
// session_link.hpp; the simulator and unit tests have their own.
//
// Nothing here blocks. All of it is used on the event loop's thread, and every answer comes from the event loop,
// never from within a call.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "store/conninfo.hpp"
#include "store/step_session.hpp"
#include "store/store_error.hpp"

namespace durabled::daemon {

class StepLink {
 public:
  enum class Answer {
    kOver,       // to the exchange that was begun: it is over
    kCommitted,  // to commit_and_run(), before kOver: the commit has succeeded, and the next statement runs
    kCancelled,  // to cancel(): the server has been asked, or could not be reached
    kGone,       // unasked: no exchange is going on, and the connection is lost
  };
  class Owner {
   public:
    virtual ~Owner() = default;
    // `link`: what attach() was given. May destroy the link.
    virtual void answered(std::uint64_t link, Answer answer) = 0;
  };

  virtual ~StepLink() = default;  // closes the connection; nothing is answered any more

  // Called once, before all else. `owner` outlives the link.
  virtual void attach(Owner& owner, std::uint64_t link) = 0;

  // Each begins an exchange, which is answered by kOver; requires that none is going on. As in StepSession.
  virtual void run(store::StepStatement statement) = 0;
  virtual void commit(const store::StepCommit& commit) = 0;
  // As commit(), and as run() if it commits. Where kCommitted does not come, take_commit_outcome() says at kOver why,
  // and `next` has not run.
  virtual void commit_and_run(const store::StepCommit& commit, store::StepStatement next) = 0;
  virtual void commit_foreign(const std::string& result) = 0;
  virtual void rollback() = 0;
  // Several steps as one transaction; only where takes_groups() says so.
  virtual void run_group(std::vector<store::StepStatement> statements);
  virtual void commit_group(const std::vector<store::StepCommit>& commits);
  virtual bool takes_groups() const { return false; }

  // Of the exchange that is over, or of the commit that kCommitted is about.
  virtual store::StepOutcome take_outcome() = 0;
  virtual store::GroupOutcome take_group_outcome() { return {}; }
  virtual store::CommitOutcome take_commit_outcome() = 0;
  virtual store::StepStatement take_statement() = 0;  // that ran last, for another connection
  virtual bool lost() const = 0;

  // Makes the server stop what runs, or what begins to run before the answer, kCancelled, has come.
  virtual void cancel() = 0;
};

class StepConnector {
 public:
  using Opened = std::function<void(std::unique_ptr<StepLink>)>;
  using Refused = std::function<void(const store::StoreError&)>;

  virtual ~StepConnector() = default;
  // Exactly one of the two is called.
  virtual void connect(const store::StepTarget& target, Opened opened, Refused refused) = 0;
  // Calls `work` soon.
  virtual void post(std::function<void()> work) = 0;
  // Calls `work` then, unless another call has come before.
  virtual void wake_at(std::chrono::steady_clock::time_point time, std::function<void()> work) = 0;
  virtual std::chrono::steady_clock::time_point now() const = 0;
};

}  // namespace durabled::daemon

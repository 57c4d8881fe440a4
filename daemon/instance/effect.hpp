// What an instance asks of the daemon around it, in the imperative; the coordinator hands each to the port that
// it is for. Answers come back as what happens to the instance.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "daemon/instance/exchange.hpp"
#include "daemon/log.hpp"
#include "dsl/engine/decision.hpp"
#include "dsl/engine/failure.hpp"
#include "dsl/value/names.hpp"
#include "dsl/value/result.hpp"
#include "store/step_session.hpp"
#include "store/worker_store.hpp"

namespace durabled::daemon {

using StepId = std::uint64_t;

struct HttpResult {
  std::optional<std::string> result;  // the envelope
  std::optional<dsl::Failure> failure;
  std::optional<double> retry_after;  // seconds that the server asked for
  std::optional<std::chrono::microseconds> took = {};
  HttpFacts facts = {};  // of a result
};

// How an instance ended, for the log.
struct InstanceEnd {
  std::string id, label, role, status;
  std::string error;   // JSON as in df.instances.error; "" when it completed
  double seconds = 0;  // since it began
  dsl::Time at{};
};

// Run this statement; answered by executed().
struct StartSql {
  StepId step = 0;
  store::StepTarget target;
  store::StepStatement statement;
};
// Replace the references of a node's text, or of a part's statement, off the event loop; answered by substituted().
struct SubstituteSql {
  StepId step = 0;
  std::string role;  // whose statements are made one at a time
  std::shared_ptr<const dsl::Graph> graph;
  dsl::NodeIndex node = 0;
  dsl::Names names;
  dsl::Variables variables;
  Exchange::Part part = Exchange::Part::kCall;
};
// Make this HTTP call; answered by http_done().
struct StartHttp {
  StepId step = 0;
  std::shared_ptr<const dsl::Graph> graph;
  dsl::CallHttp call;
  dsl::Variables variables;
  std::optional<HttpPayload> payload = {};  // in place of the node's body
};
struct NextStep {
  StepId step = 0;
  store::StepStatement statement;
};
// Commit this step's transaction with its event; answered by committed(). `next` begins in the same exchange
// and runs only if the commit succeeds.
struct CommitStep {
  StepId step = 0;
  store::StepCommit commit;
  std::optional<NextStep> next;
};
// Commit this step of another database there; answered by committed().
struct CommitForeign {
  StepId step = 0;
  std::string result;
};
// This step needs its session no longer: roll back what is open.
struct FinishStep {
  StepId step = 0;
};
// Make a running statement end soon; it is answered still.
struct StopStep {
  StepId step = 0;
};
// Abort a call; it is not answered any more.
struct StopHttp {
  StepId step = 0;
};
// End this step whatever it is doing; nobody waits for its answer any more.
struct AbandonStep {
  StepId step = 0;
};
// Commit a turn without a step; answered by turn_done().
struct SendTurn {
  store::Turn turn;
};
// Take the instance again, with a higher token, and read it; answered by reclaimed().
struct Reclaim {};
// Read a signal's data; answered by signal_fetched().
struct FetchSignal {
  std::int64_t signal = 0;
};
// Something becomes due in the database at this time: poll then.
struct PollAt {
  dsl::Time at{};
};
struct WriteLog {
  LogLevel level = LogLevel::kInfo;
  std::string text;
};
// Forget the instance: this daemon does not hold it any more. Always the last one.
struct Gone {
  std::optional<InstanceEnd> end;  // where it has ended here
};

using Effect =
    std::variant<StartSql, SubstituteSql, StartHttp, CommitStep, CommitForeign, FinishStep, StopStep,
                 StopHttp, AbandonStep, SendTurn, Reclaim, FetchSignal, PollAt, WriteLog, Gone>;

// Effects in the order in which they are to be carried out.
class Effects {
 public:
  void add(Effect effect) { effects_.push_back(std::move(effect)); }
  // The oldest one that was not taken.
  std::optional<Effect> next() {
    if (taken_ < effects_.size()) return std::move(effects_[taken_++]);
    effects_.clear();
    taken_ = 0;
    return std::nullopt;
  }

 private:
  std::vector<Effect> effects_;
  std::size_t taken_ = 0;
};

}  // namespace durabled::daemon

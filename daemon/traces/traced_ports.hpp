// The ports of the coordinator with a tracer: between it and what runs steps, these see which attempt begins and how it
// ends, and tell each SQL step the trace that it belongs to.
//
// An attempt has a span once it is certain how it ended: a SQL step when it has committed or failed. One that was rolled
// back because nobody wanted it any more is `stopped`. One that will run again with the same number has none yet: where
// the lease was lost, the commit is in doubt, or the step waited for a connection still.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>

#include "daemon/ports.hpp"
#include "daemon/traces/tracer.hpp"

namespace durabled::daemon {

class TracedSteps : public StepPort {
 public:
  // `served_database`: steps elsewhere are foreign ones. Both references outlive it.
  TracedSteps(StepPort& steps, Tracer& tracer, std::string served_database, std::function<dsl::Time()> now)
      : steps_(steps), tracer_(tracer), served_database_(std::move(served_database)), now_(std::move(now)) {}

  // To be called with every answer of the port, before the coordinator has it.
  void executed(StepId id, const store::StepOutcome& outcome);
  void committed(StepId id, const store::CommitOutcome& outcome);

  void start(StepId id, const store::StepTarget& target, store::StepStatement statement) override;
  void commit(StepId id, store::StepCommit commit) override;
  void commit_and_start(StepId id, store::StepCommit commit, StepId next,
                        store::StepStatement statement) override;
  bool can_chain() const override { return steps_.can_chain(); }
  void commit_foreign(StepId id, const std::string& result) override;
  void finish(StepId id) override;
  void stop(StepId id) override;
  void abandon(StepId id) override;
  bool queued(StepId id) const override { return steps_.queued(id); }

 private:
  struct Step {
    TracedAttempt attempt;
    bool is_foreign = false, is_alone = false;
    bool is_stopped = false, is_committing = false;
    bool is_rolled_back = false;       // in any case: the `request` of a call
    std::optional<dsl::Time> started;  // nullopt: the commit that starts it is under way
    std::optional<EndedAttempt> ended;
    StepId next = 0;  // the step that the commit starts; 0: none
  };

  void add(StepId id, store::StepStatement& statement, bool is_foreign, std::optional<dsl::Time> started);
  void begin_commit(StepId id);
  void send(const Step& step, const std::string& status, const std::string& code = "");

  StepPort& steps_;
  Tracer& tracer_;
  const std::string served_database_;
  const std::function<dsl::Time()> now_;
  std::map<StepId, Step> running_;  // of instances that are traced
};

class TracedHttp : public HttpPort {
 public:
  TracedHttp(HttpPort& http, Tracer& tracer, std::function<dsl::Time()> now)
      : http_(http), tracer_(tracer), now_(std::move(now)) {}

  // To be called with every answer of the port, before the coordinator has it.
  void done(StepId id, const HttpResult& result);

  void start(StepId id, const std::string& role, const std::string& instance_id, const dsl::Node& node,
             const dsl::CallHttp& call, const dsl::Variables& variables, const HttpPayload* payload) override;
  void stop(StepId id) override;

 private:
  struct Call {
    TracedAttempt attempt;
    std::string method;
    dsl::Time started;
  };

  void send(const Call& call, EndedAttempt how);

  HttpPort& http_;
  Tracer& tracer_;
  const std::function<dsl::Time()> now_;
  std::map<StepId, Call> calls_;  // of instances that are traced
};

// What a tenure that is traced has between its coordinator and its steps.
struct Tracing {
  // `installation`: see SpanIds. `steps` and `http` outlive it.
  Tracing(const std::string& installation, double share, std::function<void(Span)> send, StepPort& step_port,
          HttpPort& http_port, const std::string& served_database, const std::function<dsl::Time()>& now)
      : tracer(installation, share, std::move(send)),
        steps(step_port, tracer, served_database, now),
        http(http_port, tracer, now) {}

  Tracer tracer;
  TracedSteps steps;
  TracedHttp http;
};

}  // namespace durabled::daemon

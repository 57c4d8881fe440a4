// Drives a StepSession from one thread: begins an exchange and waits until it is over.
#pragma once

#include <memory>
#include <string>

#include "store/step_session.hpp"

namespace durabled::test {

// Over the database's connection string, as the step's role or, with `login`, as another one.
std::unique_ptr<store::StepSession> open_session(const std::string& conninfo, const std::string& login,
                                                 store::StepSession::Options options = {});

// Until something has come of the exchange that goes on, or the exchange is over. Both throw std::runtime_error after half a
// minute.
store::StepSession::Progress await_progress(store::StepSession& session);
// Until the exchange that goes on is over.
void finish_exchange(store::StepSession& session);

store::StepOutcome run_step(store::StepSession& session, store::StepStatement statement);
store::CommitOutcome commit_step(store::StepSession& session, const store::StepCommit& commit);
void roll_back(store::StepSession& session);

}  // namespace durabled::test

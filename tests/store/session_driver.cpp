#include "tests/store/session_driver.hpp"

#include <poll.h>

#include <chrono>
#include <stdexcept>

#include "store/conninfo.hpp"

namespace durabled::test {

std::unique_ptr<store::StepSession> open_session(const std::string& conninfo, const std::string& login,
                                                 store::StepSession::Options options) {
  const store::StepTarget target{login, store::conninfo_value(conninfo, "dbname")};
  return store::StepSession::connect(
      store::step_params(conninfo, target, login, "", "", options.pooled, std::chrono::seconds(30)), options);
}

store::StepSession::Progress await_progress(store::StepSession& session) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  for (;;) {
    const auto progress = session.advance();
    if (progress != store::StepSession::Progress::kWaits) return progress;
    const short events = static_cast<short>(POLLIN | (session.wants_write() ? POLLOUT : 0));
    pollfd waiting{session.socket(), events, 0};
    ::poll(&waiting, 1, 1000);
    if (std::chrono::steady_clock::now() > deadline)
      throw std::runtime_error("a step's exchange does not end");
  }
}

void finish_exchange(store::StepSession& session) {
  while (await_progress(session) != store::StepSession::Progress::kOver) {
  }
}

store::StepOutcome run_step(store::StepSession& session, store::StepStatement statement) {
  session.run(std::move(statement));
  finish_exchange(session);
  return session.take_outcome();
}

store::CommitOutcome commit_step(store::StepSession& session, const store::StepCommit& commit) {
  session.commit(commit);
  finish_exchange(session);
  return session.take_commit_outcome();
}

void roll_back(store::StepSession& session) {
  session.rollback();
  finish_exchange(session);
}

}  // namespace durabled::test

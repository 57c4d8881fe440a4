// Several steps as one transaction: what StepSession sends for them, and what it makes of the answers. An error makes the
// server skip all that follows up to the sync, so that a group that fails anywhere has left nothing but a failed
// transaction.
#include <libpq-fe.h>

#include <string>
#include <string_view>
#include <utility>

#include "dsl/assert.hpp"
#include "store/group_checkpoint.hpp"
#include "store/step_session_impl.hpp"
#include "store/step_statements.hpp"

namespace durabled::store {

bool StepSession::Impl::is_read_only() const {
  const char* read_only = PQparameterStatus(pipeline_.connection(), "default_transaction_read_only");
  return read_only != nullptr && std::string_view(read_only) == "on";
}

void StepSession::Impl::run_group(std::vector<StepStatement> statements) {
  DURABLED_ASSERT(takes_groups() && !statements.empty());
  begin(Exchange::kGroup);
  began_ = reads_only_ = false;
  group_ = {};
  group_outcome_ = {};
  send_begin(statements.front());
  for (std::size_t i = 0; i < statements.size(); ++i) {
    const StepStatement& statement = statements[i];
    DURABLED_ASSERT(!statement.alone);
    if (i > 0) {
      const std::string attempt = std::to_string(statement.attempt);
      send(own::kNextSettings, Sent::kOwn,
           {statement.role.c_str(), statement.instance_id.c_str(), statement.label.c_str(),
            statement.node_id.c_str(), attempt.c_str()});
      send_traceparent(statement);
    }
    send_statement(statement);
  }
  send(own::kNextSettings, Sent::kOwn, {statements.front().role.c_str(), nullptr, nullptr, nullptr, nullptr});
  pipeline_.sync();
  group_.statements = std::move(statements);
  begin_run(std::move(group_.statements.front()));
}

// The current member's statement is answered: the next answers are to the one after it.
void StepSession::Impl::member_answered() {
  if (failure_) return;
  if ((failure_ = duplicate_columns())) return;
  group_.result_bytes += reader_->bytes();
  group_.readers.push_back(std::move(*reader_));
  reader_.reset();
  if (++group_.at == group_.statements.size()) return;
  statement_ = std::move(group_.statements[group_.at]);
  const std::size_t most = statement_.max_result_bytes;
  reader_.emplace(catalog_, most > group_.result_bytes ? most - group_.result_bytes : 0);
}

// The first error is that of the statement, or of what it left for its end.
void StepSession::Impl::blame(Sent kind) {
  if (exchange_ != Exchange::kGroup || !failure_ || group_outcome_.culprit) return;
  if (kind == Sent::kStatement) {
    group_outcome_.culprit = group_.at;
  } else if (group_.at > 0) {
    group_outcome_.culprit = group_.at - 1;
  }
}

void StepSession::Impl::end_of_group() {
  if (!failure_ && !is_in_transaction()) failure_ = transaction_ended();
  if (failure_) {
    group_outcome_.never_began = !began_ && gone_;
    group_outcome_.failure = std::move(failure_);
  } else {
    for (ResultReader& reader : group_.readers) {
      group_outcome_.steps.emplace_back();
      group_outcome_.steps.back().result = reader.finish();
    }
  }
  failure_.reset();
  reader_.reset();
  group_ = {};
}

void StepSession::Impl::commit_group(const std::vector<StepCommit>& commits) {
  begin(Exchange::kCommit);
  commits_group_ = true;
  const GroupCheckpoint checkpoint(commits);
  send(own::kConceal, Sent::kOwn);
  send_encoding();
  pipeline_.send(own::kGroupCheckpoint, Sent::kCheckpoint, checkpoint.parameters());
  send_commit();
  send_clean();
  pipeline_.sync();
}

}  // namespace durabled::store

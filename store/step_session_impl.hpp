// The inside of StepSession: what it sends is in step_session.cpp, what it makes of the answers in step_answers.cpp,
// both of groups in step_group.cpp.
// Private to store/.
#pragma once

#include <exception>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "store/pipeline.hpp"
#include "store/result_reader.hpp"
#include "store/step_failure.hpp"
#include "store/step_session.hpp"

namespace durabled::store {

class StepSession::Impl {
 public:
  Impl(PGconn* conn, Options options) : options_(options), pipeline_(conn) {}

  void open();  // throws StoreError
  void run(StepStatement statement);
  void commit(const StepCommit& commit);
  void commit_and_run(const StepCommit& commit, StepStatement next);
  void commit_foreign(const std::string& result);
  void rollback();
  void run_group(std::vector<StepStatement> statements);
  void commit_group(const std::vector<StepCommit>& commits);
  bool takes_groups() const { return at_home() && !is_read_only(); }
  Progress advance();
  StepStatement take_statement() { return std::move(statement_); }

  Options options_;
  Pipeline pipeline_;
  StepOutcome outcome_;
  CommitOutcome commit_outcome_;
  GroupOutcome group_outcome_;

 private:
  enum class Exchange { kNone, kRun, kGroup, kCommit, kRollback };

  // Steps that run as one transaction. `statement_` and `reader_` are those of the one whose answer is the next.
  struct Group {
    std::vector<StepStatement> statements;
    std::size_t at = 0;  // place of `statement_`, which was moved from there
    std::size_t result_bytes = 0;
    std::vector<ResultReader> readers;  // of those that are answered
  };

  void require_checkpoint();  // throws StoreError
  // The schema df is there, and the session is ours alone.
  bool at_home() const { return !options_.pooled && !options_.foreign; }
  bool is_read_only() const;  // by default
  void send(const char* sql, Sent kind, std::initializer_list<const char*> params = {}) {
    pipeline_.send(sql, kind, params);
  }
  void send_run();
  void send_begin(const StepStatement& statement);
  void send_statement(const StepStatement& statement);
  void send_alone();
  void send_settings(const StepStatement& statement);
  void send_traceparent(const StepStatement& statement);
  void send_encoding();
  void send_checkpoint(const StepCommit& commit);
  void send_commit();
  void send_clean();
  void ask_for_types();
  std::vector<dsl::TypeOid> unknown_types() const;  // of results
  void resolve_types();
  std::optional<dsl::Failure> duplicate_columns() const;
  void member_answered();
  void blame(Sent kind);
  void end_of_group();
  void stop_reading();
  dsl::Failure result_too_large() const;
  bool take_answers();
  void break_off(const std::exception& error);
  void handle(PGresultPtr result, Sent kind);
  void take_answer(PGresultPtr result, Sent kind);
  void handle_answer(PGresultPtr result, Sent kind);
  void handle_error(const PGresult* result, Sent kind);
  void explain_own(dsl::Failure& failure) const;
  void judge_tag(std::string_view tag);
  bool is_in_transaction() const;
  dsl::Failure transaction_ended() const;
  void take_earlier_result(std::string_view result);
  void judge(const PGresult* result, Sent kind);
  void begin(Exchange exchange);
  void begin_run(StepStatement statement);
  void go_on();
  void end_of_exchange();
  void end_of_run();
  void lose();
  std::string foreign_instance() const { return options_.installation + '/' + statement_.instance_id; }
  dsl::Failure make_failure(const std::string& code, const std::string& message,
                            const std::string& hint) const {
    return make_step_failure({statement_.node_id, statement_.attempt}, code, message, hint);
  }

  dsl::TypeCatalog catalog_;
  Exchange exchange_ = Exchange::kNone;
  bool reads_only_ = false;  // the role's transactions, unless they say otherwise
  bool remembers_ = false;   // foreign: the schema there keeps what steps returned
  bool looking_up_ = false;  // whether the step ran before

  StepStatement statement_;
  std::optional<StepStatement> next_;  // of commit_and_run(), until the commit has succeeded
  bool is_committed_ = false;          // that of commit_and_run(), which advance() has yet to tell
  std::optional<ResultReader> reader_;
  Group group_;
  bool commits_group_ = false;
  std::optional<dsl::Failure> failure_;
  bool needs_to_run_alone_ = false;
  bool began_ = false;  // the session has answered
  bool gone_ = false;   // the connection has ended, or the server has ended it
  bool unclean_ =
      false;  // what the step before it left could not be taken away, so that the statement never ran
  bool statement_answered_ = false;
  bool statement_done_ = false;    // and its implicit transaction, if it has one, is over
  bool settings_changed_ = false;  // by SET
  bool commit_answered_ = false;
  bool lease_lost_ = false, busy_ = false;
  bool refused_ = false;  // the server itself said that it did not commit
};

}  // namespace durabled::store

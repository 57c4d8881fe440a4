#include "store/step_session.hpp"

#include <libpq-fe.h>

#include <utility>

#include "dsl/assert.hpp"
#include "dsl/graph/sql_statement.hpp"
#include "store/parameters.hpp"
#include "store/step_session_impl.hpp"
#include "store/step_statements.hpp"
#include "store/store_error.hpp"
#include "store/type_reader.hpp"

namespace durabled::store {
namespace {

bool has_foreign_memory(PGconn* conn) {
  const PGresultPtr result(
      PQexec(conn,
             "select coalesce(pg_catalog.has_function_privilege("
             "pg_catalog.to_regprocedure('df._commit_foreign(pg_catalog.text, "
             "pg_catalog.text, pg_catalog.text, pg_catalog.json)'), 'execute'), false)"));
  return PQntuples(result.get()) == 1 && *PQgetvalue(result.get(), 0, 0) == 't';
}

// Throws StoreError, kTransient: a retry goes by the name that the role has then.
void require_role(PGconn* conn, RoleId role) {
  const PGresultPtr result(
      PQexec(conn, "select oid from pg_catalog.pg_roles where rolname operator(pg_catalog.=) session_user"));
  if (PQntuples(result.get()) == 1 && PQgetvalue(result.get(), 0, 0) == std::to_string(role)) return;
  const bool broken = PQstatus(conn) == CONNECTION_BAD;
  throw StoreError(StoreError::Kind::kTransient, "connect",
                   broken ? PQerrorMessage(conn) : "the role was renamed, and another one has its name");
}

}  // namespace

void StepSession::Impl::open() {
  PGconn* conn = pipeline_.connection();
  if (conn == nullptr || PQstatus(conn) != CONNECTION_OK) throw login_error(conn);
  if (options_.role != 0) require_role(conn, options_.role);
  if (options_.foreign) remembers_ = has_foreign_memory(conn);
  if (at_home()) require_checkpoint();
  if (!pipeline_.start()) throw StoreError(StoreError::Kind::kTransient, "connect", PQerrorMessage(conn));
}

// Whether the role may use the schema: the server parses the call, and keeps nothing of it.
void StepSession::Impl::require_checkpoint() {
  PGconn* conn = pipeline_.connection();
  const PGresultPtr result(PQprepare(conn, "", own::kCheckpoint, 0, nullptr));
  if (PQresultStatus(result.get()) == PGRES_COMMAND_OK) return;
  const bool broken = PQstatus(conn) == CONNECTION_BAD;
  throw StoreError(
      broken ? StoreError::Kind::kTransient : StoreError::Kind::kPermanent, "connect",
      std::string(PQresultErrorMessage(result.get())) + "(has the role been given df.grant_usage?)",
      error_field(result.get(), PG_DIAG_SQLSTATE));
}

void StepSession::Impl::begin(Exchange exchange) {
  DURABLED_ASSERT(exchange_ == Exchange::kNone);
  exchange_ = exchange;
  commits_group_ = false;
  failure_.reset();
}

void StepSession::Impl::run(StepStatement statement) {
  begin(Exchange::kRun);
  began_ = false;
  begin_run(std::move(statement));
  if (statement_.alone) return send_alone();
  reads_only_ = is_read_only();
  send_begin(statement_);
  if (!remembers_) return send_run();
  // In the step's transaction, where the session has the role that the step was recorded for.
  looking_up_ = true;
  send(own::kForeignLookup, Sent::kLookup,
       {foreign_instance().c_str(), statement_.node_id.c_str(), statement_.scope.c_str()});
  pipeline_.sync();
}

void StepSession::Impl::begin_run(StepStatement statement) {
  statement_ = std::move(statement);
  needs_to_run_alone_ = statement_answered_ = statement_done_ = false;
  settings_changed_ = unclean_ = false;
  outcome_ = {};
  catalog_.forget_learned();
  reader_.emplace(catalog_, statement_.max_result_bytes);
}

void StepSession::Impl::send_begin(const StepStatement& statement) {
  send(statement.reads_only() ? own::kBeginReadOnly
       : reads_only_          ? own::kBeginWritable
                              : own::kBegin,
       Sent::kOwn);
  send_settings(statement);
}

void StepSession::Impl::send_settings(const StepStatement& statement) {
  const std::string attempt = std::to_string(statement.attempt);
  send(at_home() ? own::kSettings : own::kSettingsElsewhere, Sent::kOwn,
       {statement.role.c_str(), statement.instance_id.c_str(), statement.label.c_str(),
        statement.node_id.c_str(), attempt.c_str(), statement.alone ? "false" : "true"});
  send_traceparent(statement);
}

// SET costs half of what a call of set_config does, because it is neither planned nor run by the executor.
void StepSession::Impl::send_traceparent(const StepStatement& statement) {
  if (statement.traceparent.empty()) return;
  DURABLED_ASSERT(statement.traceparent.find_first_not_of("0123456789abcdef-") == std::string::npos);
  const std::string value = "df.traceparent = '" + statement.traceparent + "'";
  send(((statement.alone ? "set " : "set local ") + value).c_str(), Sent::kOwn);
}

void StepSession::Impl::send_run() {
  send_statement(statement_);
  pipeline_.sync();
}

void StepSession::Impl::send_statement(const StepStatement& statement) {
  if (reads_only_ && !statement.alone && !statement.reads_only()) {
    for (const char* sql : own::kReadOnly) send(sql, Sent::kOwn);
  }
  send(statement.sql.c_str(), Sent::kStatement);
}

void StepSession::Impl::send_alone() {
  const bool as_role = statement_.role != "none";
  if (!options_.pooled) {
    send_settings(statement_);
    pipeline_.sync();  // the statement must not share an implicit transaction with what went before
    send_statement(statement_);
    if (as_role) send(own::kStillRole, Sent::kOwn, {statement_.role.c_str()});
    pipeline_.sync();
    send_clean();
    return pipeline_.sync();
  }
  // A pooler may give each exchange another session, so that nothing can be set for the statement beforehand.
  if (as_role) {
    failure_ =
        make_failure("0A000",
                     "behind a pooler, a statement that cannot run in a transaction block cannot run as role "
                     "\"" +
                         statement_.role + "\"",
                     "Connect the daemon directly, or use identity.mode login.");
    return;
  }
  // A procedure can be told where it runs: CALL may share the exchange's implicit transaction with what went before.
  if (dsl::scan_statements(statement_.sql).first_keyword == "CALL") send_settings(statement_);
  send_statement(statement_);
  send_clean();
  pipeline_.sync();
}

// Takes away what the step left.
void StepSession::Impl::send_clean() {
  if (at_home()) return send(own::kClean, Sent::kClean);
  for (const char* sql : own::kCleanElsewhere) send(sql, Sent::kClean);
  if (options_.pooled) send(own::kIntroduce, Sent::kClean);
}

void StepSession::Impl::commit(const StepCommit& commit) {
  begin(Exchange::kCommit);
  send_checkpoint(commit);
  send_clean();
  pipeline_.sync();
}

// An error before the commit's success makes the server skip all up to the sync, the next statement included. The
// flush has the server tell of the commit while that statement runs. df._end_step commits what it does, so that
// neither a rollback of the next step brings back what it took away, nor has that step's transaction begun with
// what the step before had set.
void StepSession::Impl::commit_and_run(const StepCommit& commit, StepStatement next) {
  DURABLED_ASSERT(!next.alone && !options_.foreign);
  begin(Exchange::kCommit);
  next_ = std::move(next);
  send_checkpoint(commit);
  if (at_home()) pipeline_.request_flush();
  send_clean();
  if (at_home()) {
    send_begin(*next_);
    send_statement(*next_);
  }
  pipeline_.sync();
}

// What the step's statement set is known by now. What is set after it df._commit_turn refuses.
void StepSession::Impl::send_encoding() {
  const char* encoding = PQparameterStatus(pipeline_.connection(), "client_encoding");
  if (encoding != nullptr && std::string_view(encoding) != "UTF8") send(own::kEncoding, Sent::kOwn);
}

void StepSession::Impl::send_checkpoint(const StepCommit& commit) {
  const dsl::Event& event = commit.event;
  const std::string token = std::to_string(commit.token), seq = std::to_string(event.seq),
                    at = dsl::format_time(event.at), kind(dsl::to_string(event.kind)),
                    node = dsl::node_id(event.address.node), attempt = std::to_string(event.attempt);
  if (reads_only_) send(own::kEndReadOnly, Sent::kOwn);
  // SET ROLE as a step: the login has the right to the checkpoint, the other role may not.
  if (settings_changed_ && statement_.role == "none") send(own::kOwnRole, Sent::kOwn);
  send(own::kConstraints, Sent::kOwn);
  send(own::kConceal, Sent::kOwn);
  send_encoding();
  send(own::kCheckpoint, Sent::kCheckpoint,
       {commit.claim_key.c_str(), commit.instance_id.c_str(), token.c_str(),
        statement_.role == "none" ? nullptr : statement_.role.c_str(), seq.c_str(), at.c_str(), kind.c_str(),
        node.c_str(), event.address.scope.c_str(), attempt.c_str(), event.data.c_str(),
        commit.turn.empty() ? nullptr : commit.turn.c_str()});
  send_commit();
}

void StepSession::Impl::commit_foreign(const std::string& result) {
  begin(Exchange::kCommit);
  if (reads_only_) send(own::kEndReadOnly, Sent::kOwn);
  if (remembers_) {
    send_encoding();
    send(own::kForeignCheckpoint, Sent::kForeignCheckpoint,
         {foreign_instance().c_str(), statement_.node_id.c_str(), statement_.scope.c_str(), result.c_str()});
  }
  send_commit();
  send_clean();
  pipeline_.sync();
}

void StepSession::Impl::send_commit() {
  commit_answered_ = lease_lost_ = busy_ = refused_ = false;
  commit_outcome_ = {};
  send(own::kCommit, Sent::kCommit);
}

void StepSession::Impl::rollback() {
  begin(Exchange::kRollback);
  send(own::kRollback, Sent::kOwn);
  send_clean();
  pipeline_.sync();
}

StepSession::StepSession(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
StepSession::~StepSession() = default;

std::unique_ptr<StepSession> StepSession::connect(const ConnectParams& params, Options options) {
  auto impl = std::make_unique<Impl>(Pipeline::connect(params), options);
  impl->open();
  return std::unique_ptr<StepSession>(new StepSession(std::move(impl)));
}

int StepSession::socket() const {
  return PQsocket(impl_->pipeline_.connection());
}
void StepSession::run(StepStatement statement) {
  impl_->run(std::move(statement));
}
void StepSession::commit(const StepCommit& commit) {
  impl_->commit(commit);
}
void StepSession::commit_foreign(const std::string& result) {
  impl_->commit_foreign(result);
}
void StepSession::rollback() {
  impl_->rollback();
}
void StepSession::commit_and_run(const StepCommit& commit, StepStatement next) {
  impl_->commit_and_run(commit, std::move(next));
}
void StepSession::run_group(std::vector<StepStatement> statements) {
  impl_->run_group(std::move(statements));
}
void StepSession::commit_group(const std::vector<StepCommit>& commits) {
  impl_->commit_group(commits);
}
bool StepSession::takes_groups() const {
  return impl_->takes_groups();
}
StepSession::Progress StepSession::advance() {
  return impl_->advance();
}
bool StepSession::wants_write() const {
  return impl_->pipeline_.wants_write();
}
bool StepSession::lost() const {
  return impl_->pipeline_.lost();
}
bool StepSession::check_idle() {
  impl_->pipeline_.pump();
  return !impl_->pipeline_.lost();
}
StepStatement StepSession::take_statement() {
  return impl_->take_statement();
}
StepOutcome StepSession::take_outcome() {
  return std::move(impl_->outcome_);
}
GroupOutcome StepSession::take_group_outcome() {
  return std::move(impl_->group_outcome_);
}
CommitOutcome StepSession::take_commit_outcome() {
  return std::move(impl_->commit_outcome_);
}

std::function<void()> StepSession::canceller() const {
  return impl_->pipeline_.canceller();
}

}  // namespace durabled::store

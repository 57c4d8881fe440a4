#include "store/step_session.hpp"

#include <libpq-fe.h>

#include <algorithm>
#include <deque>
#include <iterator>
#include <utility>

#include "dsl/assert.hpp"
#include "store/result_reader.hpp"
#include "store/step_failure.hpp"
#include "store/step_statements.hpp"
#include "store/store_error.hpp"

namespace durabled::store {
namespace {

bool has_foreign_memory(PGconn* conn) {
  const PGresultPtr result(
      PQexec(conn,
             "select coalesce(pg_catalog.has_function_privilege("
             "pg_catalog.to_regprocedure('df._commit_foreign(text,text,text,json)'), 'execute'), false)"));
  return PQntuples(result.get()) == 1 && *PQgetvalue(result.get(), 0, 0) == 't';
}

}  // namespace

class StepSession::Impl {
 public:
  Impl(PGconn* conn, Options options) : options_(options), conn_(conn) {}
  ~Impl() { PQfinish(conn_); }

  void run(StepStatement statement);
  void commit(const StepCommit& commit);
  void commit_foreign(const std::string& result);
  void rollback();
  bool advance();
  void send_run();
  void send_alone();
  void send_settings();
  void send_statement();
  std::vector<const own::Statement*> own_statements() const;
  bool take_answers();

  // What is on its way, in order.
  enum class Sent {
    kPrepare,
    kOwn,
    kLookup,
    kSettings,
    kStatement,
    kTypes,
    kCheckpoint,
    kCommit,
    kClean,
    kDiscard,
    kSync
  };
  enum class Exchange { kNone, kRun, kCommit, kRollback };

  void send(const own::Statement& statement, Sent kind, std::initializer_list<const char*> params = {});
  void send_prepares();
  void send_clean();
  void sync();
  void handle(PGresultPtr result);
  void handle_error(const PGresult* result);
  void end_of_exchange();
  void end_of_run();
  void lose();
  dsl::Failure make_failure(const std::string& code, const std::string& message,
                            const std::string& hint) const {
    return make_step_failure({statement_.node_id, statement_.attempt}, code, message, hint);
  }

  Options options_;
  PGconn* conn_;
  dsl::TypeCatalog catalog_;
  std::deque<Sent> sent_;
  Exchange exchange_ = Exchange::kNone;
  bool lost_ = false;
  bool remembers_ = false;   // foreign: the schema there keeps what steps returned
  bool looking_up_ = false;  // whether the step ran before
  bool unsent_ = false;
  bool prepared_are_gone_ = false;  // the step's statement discarded them, ours included

  StepStatement statement_;
  std::string xid_;
  std::optional<ResultReader> reader_;
  std::optional<dsl::Failure> failure_;
  bool needs_to_run_alone_ = false;
  bool statement_answered_ = false;
  bool statement_done_ = false;    // and its implicit transaction, if it has one, is over
  bool settings_changed_ = false;  // by SET
  bool commit_answered_ = false;
  bool lease_lost_ = false;
  bool refused_ = false;  // the server itself said that it did not commit
  StepOutcome outcome_;
  CommitOutcome commit_outcome_;
};

void StepSession::Impl::send(const own::Statement& statement, Sent kind,
                             std::initializer_list<const char*> params) {
  const std::vector<const char*> values(params);
  const int count = static_cast<int>(values.size());
  if (options_.prepared_statements && !prepared_are_gone_ && statement.name != nullptr) {
    lost_ |= PQsendQueryPrepared(conn_, statement.name, count, values.data(), nullptr, nullptr, 0) == 0;
  } else {
    lost_ |= PQsendQueryParams(conn_, statement.sql, count, nullptr, values.data(), nullptr, nullptr, 0) == 0;
  }
  sent_.push_back(kind);
}

void StepSession::Impl::send_prepares() {
  for (const own::Statement* statement : own_statements()) {
    lost_ |= PQsendPrepare(conn_, statement->name, statement->sql, 0, nullptr) == 0;
    sent_.push_back(Sent::kPrepare);
  }
}

void StepSession::Impl::sync() {
  lost_ |= PQpipelineSync(conn_) == 0;
  sent_.push_back(Sent::kSync);
  unsent_ = true;
}

std::vector<const own::Statement*> StepSession::Impl::own_statements() const {
  std::vector<const own::Statement*> all(std::begin(own::kPrepared), std::end(own::kPrepared));
  if (!options_.foreign) all.push_back(&own::kCheckpoint);
  if (remembers_) all.insert(all.end(), std::begin(own::kForeignPrepared), std::end(own::kForeignPrepared));
  return all;
}

void StepSession::Impl::run(StepStatement statement) {
  DURABLED_ASSERT(exchange_ == Exchange::kNone);
  exchange_ = Exchange::kRun;
  statement_ = std::move(statement);
  xid_.clear();
  failure_.reset();
  needs_to_run_alone_ = statement_answered_ = statement_done_ = false;
  settings_changed_ = false;
  outcome_ = {};
  reader_.emplace(catalog_, statement_.max_result_bytes);
  if (statement_.alone) return send_alone();
  if (!remembers_) return send_run();
  // In the step's transaction, where the session has the role that the step was recorded for.
  looking_up_ = true;
  send(own::kBegin, Sent::kOwn);
  send_settings();
  send(own::kForeignLookup, Sent::kLookup,
       {statement_.instance_id.c_str(), statement_.node_id.c_str(), statement_.scope.c_str()});
  sync();
}

void StepSession::Impl::send_settings() {
  const std::string attempt = std::to_string(statement_.attempt);
  send(own::kSettings, Sent::kSettings,
       {statement_.role.c_str(), statement_.instance_id.c_str(), statement_.label.c_str(),
        statement_.node_id.c_str(), attempt.c_str(), statement_.alone ? "false" : "true"});
}

void StepSession::Impl::send_statement() {
  lost_ |= PQsendQueryParams(conn_, statement_.sql.c_str(), 0, nullptr, nullptr, nullptr, nullptr, 0) == 0;
  if (sent_.empty()) PQsetSingleRowMode(conn_);  // otherwise when what is before it has been answered
  sent_.push_back(Sent::kStatement);
}

void StepSession::Impl::send_run() {
  if (!remembers_) {
    send(own::kBegin, Sent::kOwn);
    send_settings();
  }
  send_statement();
  sync();
}

void StepSession::Impl::send_alone() {
  const bool as_role = statement_.role != "none";
  if (options_.prepared_statements) {
    send_settings();
    sync();  // the statement must not share an implicit transaction with what went before
    send_statement();
    if (as_role) send(own::kStillRole, Sent::kOwn, {statement_.role.c_str()});
    sync();
    send_clean();
    return sync();
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
  send_statement();
  for (const own::Statement& statement : own::kCleanPooled) send(statement, Sent::kOwn);
  sync();
}

void StepSession::Impl::send_clean() {
  if (!options_.prepared_statements) {
    for (const own::Statement& statement : own::kCleanPooled) send(statement, Sent::kDiscard);
    return;
  }
  send(own::kClean, Sent::kClean);
  send(own::kResetAll, Sent::kClean);
}

void StepSession::Impl::commit(const StepCommit& commit) {
  DURABLED_ASSERT(exchange_ == Exchange::kNone);
  exchange_ = Exchange::kCommit;
  failure_.reset();
  commit_answered_ = lease_lost_ = refused_ = false;
  commit_outcome_ = {};
  const dsl::Event& event = commit.event;
  const std::string token = std::to_string(commit.token), seq = std::to_string(event.seq),
                    at = dsl::format_time(event.at), kind(dsl::to_string(event.kind)),
                    node = dsl::node_id(event.address.node), attempt = std::to_string(event.attempt);
  // SET ROLE as a step: the login has the right to the checkpoint, the other role may not.
  if (settings_changed_ && statement_.role == "none") send(own::kOwnRole, Sent::kOwn);
  send(own::kCheckpoint, Sent::kCheckpoint,
       {commit.worker_key.c_str(), commit.instance_id.c_str(), token.c_str(), xid_.c_str(), seq.c_str(),
        at.c_str(), kind.c_str(), node.c_str(), event.address.scope.c_str(), attempt.c_str(),
        event.data.c_str(), commit.turn.empty() ? nullptr : commit.turn.c_str(),
        statement_.role == "none" ? nullptr : statement_.role.c_str()});
  send(own::kCommit, Sent::kCommit);
  send_clean();
  sync();
}

void StepSession::Impl::commit_foreign(const std::string& result) {
  DURABLED_ASSERT(exchange_ == Exchange::kNone);
  exchange_ = Exchange::kCommit;
  failure_.reset();
  commit_answered_ = lease_lost_ = refused_ = false;
  commit_outcome_ = {};
  if (remembers_) {
    send(own::kForeignCheckpoint, Sent::kCheckpoint,
         {statement_.instance_id.c_str(), statement_.node_id.c_str(), statement_.scope.c_str(),
          result.c_str()});
  }
  send(own::kCommit, Sent::kCommit);
  send_clean();
  sync();
}

void StepSession::Impl::rollback() {
  DURABLED_ASSERT(exchange_ == Exchange::kNone);
  exchange_ = Exchange::kRollback;
  failure_.reset();
  send(own::kRollback, Sent::kOwn);
  send_clean();
  sync();
}

bool StepSession::Impl::advance() {
  if (exchange_ == Exchange::kNone) return false;
  if (!lost_ && PQflush(conn_) < 0) lost_ = true;
  if (!lost_) unsent_ = PQflush(conn_) > 0;
  if (!lost_ && PQconsumeInput(conn_) == 0) lost_ = true;
  if (!lost_ && !take_answers() && !lost_) return false;
  if (lost_) lose();
  end_of_exchange();
  exchange_ = Exchange::kNone;
  return true;
}

// True when everything that was sent is answered.
bool StepSession::Impl::take_answers() {
  while (!sent_.empty() && !lost_) {
    if (PQisBusy(conn_)) return false;
    PGresultPtr result(PQgetResult(conn_));
    if (result == nullptr) {
      statement_answered_ |= sent_.front() == Sent::kStatement;
      sent_.pop_front();
      if (!sent_.empty() && sent_.front() == Sent::kStatement) PQsetSingleRowMode(conn_);
      continue;
    }
    handle(std::move(result));
    if (sent_.empty() && std::exchange(looking_up_, false) && !failure_ && !outcome_.already_committed) {
      send_run();
      lost_ |= PQflush(conn_) < 0;
    }
    if (sent_.empty() && exchange_ == Exchange::kRun && !failure_ && !reader_->unknown_types().empty()) {
      std::string oids = "{";
      for (const dsl::TypeOid oid : reader_->unknown_types())
        oids += (oids.size() > 1 ? "," : "") + std::to_string(oid);
      oids += '}';
      send({nullptr, kTypesQuery}, Sent::kTypes, {oids.c_str()});
      sync();
      lost_ |= PQflush(conn_) < 0;
    }
  }
  return sent_.empty();
}

void StepSession::Impl::handle(PGresultPtr result) {
  const Sent kind = sent_.front();
  switch (PQresultStatus(result.get())) {
    case PGRES_PIPELINE_SYNC:
      statement_done_ |= statement_answered_ && !failure_;
      sent_.pop_front();
      if (!sent_.empty() && sent_.front() == Sent::kStatement) PQsetSingleRowMode(conn_);
      return;
    case PGRES_PIPELINE_ABORTED:
      return;
    case PGRES_COMMAND_OK:
    case PGRES_TUPLES_OK:
    case PGRES_SINGLE_TUPLE:
    case PGRES_EMPTY_QUERY:
      break;
    default:
      handle_error(result.get());
      return;
  }
  switch (kind) {
    case Sent::kStatement:
      if (const std::string tag = PQcmdStatus(result.get());
          tag == "DEALLOCATE ALL" || tag == "DISCARD ALL") {
        prepared_are_gone_ = true;
      } else if (tag == "SET") {
        settings_changed_ = true;
      }
      reader_->add(std::move(result));
      return;
    case Sent::kSettings:
      if (PQntuples(result.get()) == 1 && !PQgetisnull(result.get(), 0, PQnfields(result.get()) - 1)) {
        xid_ = PQgetvalue(result.get(), 0, PQnfields(result.get()) - 1);
      }
      return;
    case Sent::kLookup:
      if (PQntuples(result.get()) == 1 && !PQgetisnull(result.get(), 0, 0)) {
        outcome_.already_committed = true;
        outcome_.result = PQgetvalue(result.get(), 0, 0);
      }
      return;
    case Sent::kTypes:
      add_types(result.get(), catalog_);
      reader_->resolve();
      return;
    case Sent::kCommit:
      commit_answered_ = std::string(PQcmdStatus(result.get())) == "COMMIT";
      return;
    case Sent::kClean:
      if (PQntuples(result.get()) == 1 && *PQgetvalue(result.get(), 0, 1) == 't') {
        // DISCARD ALL takes our prepared statements with it; it must run outside the pipeline's implicit
        // transaction.
        send(own::kDiscard, Sent::kDiscard);
        sync();
        if (options_.prepared_statements) send_prepares();
        sync();
        lost_ |= PQflush(conn_) < 0;
      }
      return;
    case Sent::kPrepare:
    case Sent::kOwn:
    case Sent::kCheckpoint:
    case Sent::kDiscard:
    case Sent::kSync:
      return;
  }
}

void StepSession::Impl::handle_error(const PGresult* result) {
  const std::string sqlstate = error_field(result, PG_DIAG_SQLSTATE);
  const ExecStatusType status = PQresultStatus(result);
  if (status == PGRES_COPY_IN || status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH) {
    failure_ = make_failure("0A000", "COPY to or from a client cannot run in a workflow",
                            "Use a table or COPY … PROGRAM/FILE.");
    lost_ = true;
    return;
  }
  if (PQstatus(conn_) == CONNECTION_BAD) lost_ = true;
  if (sqlstate == "26000" && sent_.front() != Sent::kStatement)
    lost_ = true;  // somebody discarded our statements
  if (sent_.front() == Sent::kClean || sent_.front() == Sent::kDiscard || sent_.front() == Sent::kPrepare) {
    lost_ = true;  // a session that cannot be cleaned is not used again; what it did stands
    return;
  }
  if (failure_) return;
  // The checkpoint's context may show its parameters (log_parameter_max_length_on_error), our key among them.
  const bool with_context = sent_.front() != Sent::kCheckpoint;
  failure_ = failure_of(result, {statement_.node_id, statement_.attempt}, with_context);
  lease_lost_ = sqlstate == "DF001";
  refused_ = !sqlstate.empty() && !sqlstate.starts_with("57P") && !sqlstate.starts_with("08");
  needs_to_run_alone_ =
      sent_.front() == Sent::kStatement && !statement_.alone && (sqlstate == "25001" || sqlstate == "2D000");
}

void StepSession::Impl::lose() {
  sent_.clear();
  // What ran outside a transaction has happened, whatever became of the session afterwards.
  const bool happened = exchange_ == Exchange::kRun && statement_.alone && statement_done_;
  if (failure_ || (happened && reader_->unknown_types().empty())) return;
  std::string message = PQerrorMessage(conn_);
  while (!message.empty() && message.back() == '\n') message.pop_back();
  failure_ = make_failure("08006", message.empty() ? "the connection was lost" : message, "");
}

void StepSession::Impl::end_of_exchange() {
  switch (exchange_) {
    case Exchange::kRun:
      end_of_run();
      return;
    case Exchange::kCommit:
      commit_outcome_.failure = failure_;
      if (commit_answered_) {
        commit_outcome_ = {};
      } else if (lost_ && !refused_) {
        commit_outcome_.kind = CommitOutcome::Kind::kInDoubt;
      } else {
        commit_outcome_.kind = lease_lost_ ? CommitOutcome::Kind::kLeaseLost : CommitOutcome::Kind::kRefused;
      }
      lost_ |= prepared_are_gone_;
      return;
    case Exchange::kRollback:
      lost_ |= failure_.has_value() || prepared_are_gone_;  // a late cancel may have hit it
      return;
    case Exchange::kNone:
      return;
  }
}

void StepSession::Impl::end_of_run() {
  if (!failure_ && reader_->too_large()) {
    failure_ = make_failure(
        "54000", "the result is larger than " + std::to_string(statement_.max_result_bytes) + " bytes",
        "Return less, or raise steps.max_result_bytes.");
  }
  if (!failure_) {
    if (const auto twice = reader_->duplicate_columns(); !twice.empty()) {
      std::string names;
      for (const std::string& name : twice) names += (names.empty() ? "\"" : ", \"") + name + '"';
      failure_ = make_failure("42701", "the result has more than one column named " + names,
                              "Give each column a name of its own with AS.");
    }
  }
  if (failure_) {
    outcome_.failure = std::move(failure_);
    outcome_.needs_to_run_alone = needs_to_run_alone_;
  } else if (!outcome_.already_committed) {
    outcome_.result = reader_->finish();
    outcome_.at_least_once = options_.foreign && !remembers_;
  }
  failure_.reset();
  reader_.reset();
}

StepSession::StepSession(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
StepSession::~StepSession() = default;

std::unique_ptr<StepSession> StepSession::connect(const ConnectParams& params, Options options) {
  std::vector<const char*> keywords, values;
  for (const auto& [keyword, value] : params) {
    keywords.push_back(keyword.c_str());
    values.push_back(value.c_str());
  }
  keywords.push_back(nullptr);
  values.push_back(nullptr);
  PGconn* conn = PQconnectdbParams(keywords.data(), values.data(), 1);
  auto impl = std::make_unique<Impl>(conn, options);
  if (conn == nullptr || PQstatus(conn) != CONNECTION_OK) {
    throw login_error(conn);
  }
  if (options.foreign) impl->remembers_ = has_foreign_memory(conn);
  if (options.prepared_statements) {
    for (const own::Statement* statement : impl->own_statements()) {
      const PGresultPtr result(PQprepare(conn, statement->name, statement->sql, 0, nullptr));
      if (PQresultStatus(result.get()) == PGRES_COMMAND_OK) continue;
      const bool broken = PQstatus(conn) == CONNECTION_BAD;
      throw StoreError(
          broken ? StoreError::Kind::kTransient : StoreError::Kind::kPermanent, "connect",
          std::string(PQresultErrorMessage(result.get())) + "(has the role been given df.grant_usage?)",
          error_field(result.get(), PG_DIAG_SQLSTATE));
    }
  }
  PQsetnonblocking(conn, 1);
  PQsetNoticeProcessor(
      conn, [](void*, const char*) {}, nullptr);
  if (PQenterPipelineMode(conn) == 0)
    throw StoreError(StoreError::Kind::kTransient, "connect", PQerrorMessage(conn));
  return std::unique_ptr<StepSession>(new StepSession(std::move(impl)));
}

int StepSession::socket() const {
  return PQsocket(impl_->conn_);
}
void StepSession::run(StepStatement statement) {
  impl_->run(std::move(statement));
}
void StepSession::commit_foreign(const std::string& result) {
  impl_->commit_foreign(result);
}
void StepSession::commit(const StepCommit& commit) {
  impl_->commit(commit);
}
void StepSession::rollback() {
  impl_->rollback();
}
bool StepSession::advance() {
  return impl_->advance();
}
bool StepSession::wants_write() const {
  return impl_->unsent_;
}
bool StepSession::lost() const {
  return impl_->lost_;
}
StepOutcome StepSession::take_outcome() {
  return std::move(impl_->outcome_);
}
CommitOutcome StepSession::take_commit_outcome() {
  return std::move(impl_->commit_outcome_);
}

std::function<void()> StepSession::canceller() const {
  const std::shared_ptr<PGcancel> cancel(PQgetCancel(impl_->conn_),
                                         [](PGcancel* handle) { PQfreeCancel(handle); });
  return [cancel] {
    char error[256];
    if (cancel) PQcancel(cancel.get(), error, sizeof error);
  };
}

}  // namespace durabled::store

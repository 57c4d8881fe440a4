#include "store/step_session.hpp"

#include <libpq-fe.h>

#include <exception>
#include <utility>

#include "dsl/assert.hpp"
#include "dsl/graph/sql_statement.hpp"
#include "dsl/value/json_check.hpp"
#include "dsl/value/json_slice.hpp"
#include "dsl/value/result.hpp"
#include "store/parameters.hpp"
#include "store/pipeline.hpp"
#include "store/result_reader.hpp"
#include "store/step_failure.hpp"
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

class StepSession::Impl {
 public:
  Impl(PGconn* conn, Options options) : options_(options), pipeline_(conn) {}

  void open();  // throws StoreError
  void run(StepStatement statement);
  void commit(const StepCommit& commit);
  void commit_foreign(const std::string& result);
  void rollback();
  bool advance();
  StepStatement take_statement() { return std::move(statement_); }

  Options options_;
  Pipeline pipeline_;
  StepOutcome outcome_;
  CommitOutcome commit_outcome_;

 private:
  enum class Exchange { kNone, kRun, kCommit, kRollback };

  void require_checkpoint();  // throws StoreError
  // The schema df is there, and the session is ours alone.
  bool at_home() const { return !options_.pooled && !options_.foreign; }
  void send(const char* sql, Sent kind, std::initializer_list<const char*> params = {}) {
    pipeline_.send(sql, kind, params);
  }
  void send_run();
  void send_alone();
  void send_settings();
  void send_statement() { pipeline_.send(statement_.sql.c_str(), Sent::kStatement); }
  void send_commit();
  void send_clean();
  void ask_for_types();
  void stop_reading();
  dsl::Failure result_too_large() const;
  bool take_answers();
  void break_off(const std::exception& error);
  void handle(PGresultPtr result, Sent kind);
  void handle_answer(PGresultPtr result, Sent kind);
  void handle_error(const PGresult* result, Sent kind);
  void judge_tag(std::string_view tag);
  void take_earlier_result(std::string_view result);
  void judge(const PGresult* result, Sent kind);
  void begin(Exchange exchange);
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
  std::optional<ResultReader> reader_;
  std::optional<dsl::Failure> failure_;
  bool needs_to_run_alone_ = false;
  bool began_ = false;  // the session has answered
  bool gone_ = false;   // the connection has ended, or the server has ended it
  bool statement_answered_ = false;
  bool statement_done_ = false;    // and its implicit transaction, if it has one, is over
  bool settings_changed_ = false;  // by SET
  bool commit_answered_ = false;
  bool lease_lost_ = false, busy_ = false;
  bool refused_ = false;  // the server itself said that it did not commit
};

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
  failure_.reset();
}

void StepSession::Impl::run(StepStatement statement) {
  begin(Exchange::kRun);
  statement_ = std::move(statement);
  needs_to_run_alone_ = began_ = statement_answered_ = statement_done_ = false;
  settings_changed_ = false;
  outcome_ = {};
  catalog_.forget_learned();
  reader_.emplace(catalog_, statement_.max_result_bytes);
  if (statement_.alone) return send_alone();
  const char* read_only = PQparameterStatus(pipeline_.connection(), "default_transaction_read_only");
  reads_only_ = read_only != nullptr && std::string_view(read_only) == "on";
  send(reads_only_ ? own::kBeginWritable : own::kBegin, Sent::kOwn);
  send_settings();
  if (!remembers_) return send_run();
  // In the step's transaction, where the session has the role that the step was recorded for.
  looking_up_ = true;
  send(own::kForeignLookup, Sent::kLookup,
       {foreign_instance().c_str(), statement_.node_id.c_str(), statement_.scope.c_str()});
  pipeline_.sync();
}

void StepSession::Impl::send_settings() {
  const std::string attempt = std::to_string(statement_.attempt);
  send(at_home() ? own::kSettings : own::kSettingsElsewhere, Sent::kOwn,
       {statement_.role.c_str(), statement_.instance_id.c_str(), statement_.label.c_str(),
        statement_.node_id.c_str(), attempt.c_str(), statement_.alone ? "false" : "true"});
}

void StepSession::Impl::send_run() {
  if (reads_only_) {
    for (const char* sql : own::kReadOnly) send(sql, Sent::kOwn);
  }
  send_statement();
  pipeline_.sync();
}

void StepSession::Impl::send_alone() {
  const bool as_role = statement_.role != "none";
  if (!options_.pooled) {
    send_settings();
    pipeline_.sync();  // the statement must not share an implicit transaction with what went before
    send_statement();
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
  if (dsl::scan_statements(statement_.sql).first_keyword == "CALL") send_settings();
  send_statement();
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
  const dsl::Event& event = commit.event;
  const std::string token = std::to_string(commit.token), seq = std::to_string(event.seq),
                    at = dsl::format_time(event.at), kind(dsl::to_string(event.kind)),
                    node = dsl::node_id(event.address.node), attempt = std::to_string(event.attempt);
  begin(Exchange::kCommit);
  if (reads_only_) send(own::kEndReadOnly, Sent::kOwn);
  // SET ROLE as a step: the login has the right to the checkpoint, the other role may not.
  if (settings_changed_ && statement_.role == "none") send(own::kOwnRole, Sent::kOwn);
  send(own::kConstraints, Sent::kOwn);
  send(own::kConceal, Sent::kOwn);
  send(own::kCheckpoint, Sent::kCheckpoint,
       {commit.claim_key.c_str(), commit.instance_id.c_str(), token.c_str(),
        statement_.role == "none" ? nullptr : statement_.role.c_str(), seq.c_str(), at.c_str(), kind.c_str(),
        node.c_str(), event.address.scope.c_str(), attempt.c_str(), event.data.c_str(),
        commit.turn.empty() ? nullptr : commit.turn.c_str()});
  send_commit();
  send_clean();
  pipeline_.sync();
}

void StepSession::Impl::commit_foreign(const std::string& result) {
  begin(Exchange::kCommit);
  if (reads_only_) send(own::kEndReadOnly, Sent::kOwn);
  if (remembers_) {
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

bool StepSession::Impl::advance() {
  if (exchange_ == Exchange::kNone) return false;
  // What a result makes our reading throw fails the step that returned it, and costs the session.
  try {
    pipeline_.pump();
    if (!pipeline_.lost() && !take_answers() && !pipeline_.lost()) return false;
  } catch (const std::exception& e) {
    break_off(e);
  }
  if (pipeline_.lost()) lose();
  try {
    end_of_exchange();
  } catch (const std::exception& e) {
    break_off(e);
    outcome_.result.reset();
    outcome_.failure = std::move(failure_);
  }
  exchange_ = Exchange::kNone;
  return true;
}

void StepSession::Impl::break_off(const std::exception& error) {
  failure_ = make_failure("internal_error", std::string("the result could not be read: ") + error.what(),
                          "This is a defect of durabled, or it has too little memory.");
  pipeline_.lose();
}

// True when everything that was sent is answered.
bool StepSession::Impl::take_answers() {
  const Pipeline::Handler handler = [this](PGresultPtr result, Sent kind) {
    handle(std::move(result), kind);
  };
  while (!pipeline_.idle() && !pipeline_.lost()) {
    if (!pipeline_.receive(handler)) return false;
    if (!pipeline_.idle() || failure_) continue;
    if (std::exchange(looking_up_, false) && !outcome_.already_committed) {
      send_run();
      pipeline_.flush();
    }
    if (pipeline_.idle() && exchange_ == Exchange::kRun && !reader_->unknown_types().empty()) ask_for_types();
  }
  return pipeline_.idle();
}

// What is not read cannot be skipped: the server stops when it finds the connection closed.
void StepSession::Impl::stop_reading() {
  failure_ = result_too_large();
  pipeline_.lose();
}

dsl::Failure StepSession::Impl::result_too_large() const {
  return make_failure("54000",
                      "the result is larger than " + std::to_string(statement_.max_result_bytes) + " bytes",
                      "Return less, or raise steps.max_result_bytes.");
}

void StepSession::Impl::ask_for_types() {
  std::vector<std::string> oids;
  for (const dsl::TypeOid oid : reader_->unknown_types()) oids.push_back(std::to_string(oid));
  pipeline_.send(kTypesQuery, Sent::kTypes, {array_parameter(oids).c_str(), statement_.role.c_str()});
  pipeline_.sync();
  pipeline_.flush();
}

void StepSession::Impl::handle(PGresultPtr result, Sent kind) {
  if (result == nullptr) {
    statement_answered_ |= kind == Sent::kStatement;
    return;
  }
  switch (PQresultStatus(result.get())) {
    case PGRES_PIPELINE_SYNC:
      statement_done_ |= statement_answered_ && !failure_;
      return;
    case PGRES_PIPELINE_ABORTED:
      return;
    case PGRES_COMMAND_OK:
    case PGRES_TUPLES_OK:
    case PGRES_SINGLE_TUPLE:
    case PGRES_EMPTY_QUERY:
      began_ = true;
      return handle_answer(std::move(result), kind);
    default:
      return handle_error(result.get(), kind);
  }
}

void StepSession::Impl::handle_answer(PGresultPtr result, Sent kind) {
  const auto last_column = [&]() -> std::string_view {
    if (PQntuples(result.get()) != 1) return {};
    return PQgetvalue(result.get(), 0, PQnfields(result.get()) - 1);  // "" for NULL
  };
  switch (kind) {
    case Sent::kStatement:
      judge_tag(PQcmdStatus(result.get()));
      reader_->add(std::move(result));
      if (reader_->too_large()) stop_reading();
      return;
    case Sent::kLookup:
      if (!last_column().empty()) take_earlier_result(last_column());
      return;
    case Sent::kTypes:
      add_types(result.get(), catalog_);
      if (const auto still = reader_->unknown_types(); !still.empty()) {
        failure_ = make_failure("42704",
                                "the result has a column of a type that is not in pg_type any more, OID " +
                                    std::to_string(still.front()),
                                "");
        return;
      }
      reader_->resolve();
      return;
    case Sent::kCommit:
      commit_answered_ = std::string_view(PQcmdStatus(result.get())) == "COMMIT";
      return;
    case Sent::kCheckpoint:
    case Sent::kForeignCheckpoint:
    case Sent::kOwn:
    case Sent::kClean:
    case Sent::kSync:
      return;
  }
}

// By the command tag the server says what the statement was. Within a transaction block no code that it calls can end the
// transaction: only a statement that does nothing else can. What it committed stays, and is not recorded as done.
void StepSession::Impl::judge_tag(std::string_view tag) {
  if (tag == "SET") settings_changed_ = true;
  if (!statement_.alone && (tag == "COMMIT" || tag == "ROLLBACK" || tag == "PREPARE TRANSACTION"))
    failure_ = make_failure("DF002", "the step ended the transaction that it ran in", "");
}

// The other database may be the role's own, and so may the functions there that remember what steps returned.
void StepSession::Impl::take_earlier_result(std::string_view result) {
  if (result.size() > statement_.max_result_bytes) {
    failure_ = result_too_large();
  } else if (!dsl::is_json(result) || !dsl::Result(std::string(result)).is_row_set()) {
    failure_ =
        make_failure("22023", "what df._foreign_step returned in this database is not the result of a step",
                     "Is the schema df there the one that durabled init makes?");
  } else {
    outcome_.already_committed = true;
    outcome_.result.emplace();
    dsl::append_clean_json(*outcome_.result, result);
  }
}

// What an error means to the daemon beside the step's failure. Only errors of its own statements mean something: a step
// may raise any SQLSTATE, in its statement and, deferred, in ours that run its triggers.
void StepSession::Impl::judge(const PGresult* result, Sent kind) {
  const std::string sqlstate = error_field(result, PG_DIAG_SQLSTATE);
  const std::string file = error_field(result, PG_DIAG_SOURCE_FILE);
  lease_lost_ = kind == Sent::kCheckpoint && sqlstate == "DF001";
  busy_ = kind == Sent::kCheckpoint && (sqlstate == "55P03" || sqlstate == "40P01");
  refused_ = !sqlstate.empty() && !gone_;
  const bool refuses_block = (sqlstate == "25001" && file == "xact.c") ||
                             (sqlstate == "2D000" && (file == "spi.c" || file == "plpy_elog.c"));
  needs_to_run_alone_ = kind == Sent::kStatement && !statement_.alone && refuses_block;
}

void StepSession::Impl::handle_error(const PGresult* result, Sent kind) {
  const ExecStatusType status = PQresultStatus(result);
  if (status == PGRES_COPY_IN || status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH) {
    failure_ = make_failure("0A000", "COPY to or from a client cannot run in a workflow",
                            "Use a table or COPY … PROGRAM/FILE.");
    pipeline_.lose();
    return;
  }
  gone_ |= error_field(result, PG_DIAG_SEVERITY_NONLOCALIZED) == "FATAL" ||
           PQstatus(pipeline_.connection()) == CONNECTION_BAD;
  if (gone_) pipeline_.lose();
  if (kind == Sent::kClean) {
    pipeline_.lose();  // a session that cannot be cleaned is not used again; what it did stands
    return;
  }
  if (failure_) return;
  judge(result, kind);
  // The checkpoint's context may show its parameters (log_parameter_max_length_on_error), our key among them.
  failure_ = failure_of(result, {statement_.node_id, statement_.attempt}, kind != Sent::kCheckpoint);
}

void StepSession::Impl::lose() {
  pipeline_.forget();
  gone_ |= PQstatus(pipeline_.connection()) == CONNECTION_BAD;
  // What ran outside a transaction has happened, whatever became of the session afterwards.
  const bool happened = exchange_ == Exchange::kRun && statement_.alone && statement_done_;
  if (failure_ || (happened && reader_->unknown_types().empty())) return;
  const std::string message = pipeline_.error();
  failure_ = make_failure("08006", message.empty() ? "the connection was lost" : message, "");
}

void StepSession::Impl::end_of_exchange() {
  switch (exchange_) {
    case Exchange::kRun:
      return end_of_run();
    case Exchange::kCommit:
      commit_outcome_.failure = failure_;
      if (commit_answered_) {
        commit_outcome_ = {};
      } else if (pipeline_.lost() && !refused_) {
        commit_outcome_.kind = CommitOutcome::Kind::kInDoubt;
      } else {
        commit_outcome_.kind = lease_lost_ ? CommitOutcome::Kind::kLeaseLost
                               : busy_     ? CommitOutcome::Kind::kBusy
                                           : CommitOutcome::Kind::kRefused;
      }
      return;
    case Exchange::kRollback:
      if (failure_) pipeline_.lose();  // a late cancel may have hit it
      return;
    case Exchange::kNone:
      return;
  }
}

void StepSession::Impl::end_of_run() {
  if (!failure_ && reader_->too_large()) failure_ = result_too_large();
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
    outcome_.never_began = !began_ && gone_;
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
bool StepSession::advance() {
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
CommitOutcome StepSession::take_commit_outcome() {
  return std::move(impl_->commit_outcome_);
}

std::function<void()> StepSession::canceller() const {
  return impl_->pipeline_.canceller();
}

}  // namespace durabled::store

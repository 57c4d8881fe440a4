#include <libpq-fe.h>

#include "dsl/value/json_check.hpp"
#include "dsl/value/json_slice.hpp"
#include "dsl/value/result.hpp"
#include "store/parameters.hpp"
#include "store/step_session_impl.hpp"
#include "store/type_reader.hpp"

namespace durabled::store {

StepSession::Progress StepSession::Impl::advance() {
  if (exchange_ == Exchange::kNone) return Progress::kWaits;
  // What a result makes our reading throw fails the step that returned it, and costs the session.
  try {
    pipeline_.pump();
    const bool is_over = pipeline_.lost() || take_answers() || pipeline_.lost();
    if (std::exchange(is_committed_, false)) return Progress::kCommitted;
    if (!is_over) return Progress::kWaits;
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
  if (!next_) return Progress::kOver;
  StepStatement next = std::move(*std::exchange(next_, std::nullopt));
  if (at_home() || commit_outcome_.kind != CommitOutcome::Kind::kCommitted || pipeline_.lost())
    return Progress::kOver;
  run(std::move(next));
  return Progress::kCommitted;
}

void StepSession::Impl::break_off(const std::exception& error) {
  failure_ = make_failure("internal_error", std::string("the result could not be read: ") + error.what(),
                          "This is a defect of durabled, or it has too little memory.");
  pipeline_.lose();
}

// True when everything that was sent is answered. Stops once a commit has succeeded that is to be told of.
bool StepSession::Impl::take_answers() {
  const Pipeline::Handler handler = [this](PGresultPtr result, Sent kind) {
    handle(std::move(result), kind);
  };
  while (!pipeline_.idle() && !pipeline_.lost() && !is_committed_) {
    if (!pipeline_.receive(handler)) return false;
    if (!pipeline_.idle() || failure_) continue;
    if (std::exchange(looking_up_, false) && !outcome_.already_committed) {
      send_run();
      pipeline_.flush();
    }
    if (pipeline_.idle() && !unknown_types().empty()) ask_for_types();
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

std::vector<dsl::TypeOid> StepSession::Impl::unknown_types() const {
  std::vector<dsl::TypeOid> unknown;
  if (reader_) unknown = reader_->unknown_types();
  for (const ResultReader& reader : group_.readers) {
    for (const dsl::TypeOid type : reader.unknown_types()) unknown.push_back(type);
  }
  return unknown;
}

void StepSession::Impl::resolve_types() {
  if (reader_) reader_->resolve();
  for (ResultReader& reader : group_.readers) reader.resolve();
}

void StepSession::Impl::ask_for_types() {
  std::vector<std::string> oids;
  for (const dsl::TypeOid oid : unknown_types()) oids.push_back(std::to_string(oid));
  pipeline_.send(kTypesQuery, Sent::kTypes, {array_parameter(oids).c_str(), statement_.role.c_str()});
  pipeline_.sync();
  pipeline_.flush();
}

void StepSession::Impl::handle(PGresultPtr result, Sent kind) {
  take_answer(std::move(result), kind);
  blame(kind);
}

void StepSession::Impl::take_answer(PGresultPtr result, Sent kind) {
  if (result == nullptr) {
    statement_answered_ |= kind == Sent::kStatement;
    if (kind == Sent::kStatement && exchange_ == Exchange::kGroup) member_answered();
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
      if (const auto still = unknown_types(); !still.empty()) {
        failure_ = make_failure("42704",
                                "the result has a column of a type that is not in pg_type any more, OID " +
                                    std::to_string(still.front()),
                                "");
        return;
      }
      resolve_types();
      return;
    case Sent::kCommit:
      commit_answered_ = std::string_view(PQcmdStatus(result.get())) == "COMMIT";
      if (commit_answered_ && next_ && at_home()) go_on();
      return;
    case Sent::kCheckpoint:
    case Sent::kForeignCheckpoint:
    case Sent::kOwn:
    case Sent::kClean:
    case Sent::kSync:
      return;
  }
}

// The commit of commit_and_run() has succeeded: what follows in the exchange is the next step's.
void StepSession::Impl::go_on() {
  commit_outcome_ = {};
  is_committed_ = true;
  exchange_ = Exchange::kRun;
  begin_run(std::move(*std::exchange(next_, std::nullopt)));
}

// By the command tag the server says what the statement was. Within a transaction block no code that it calls can end the
// transaction: only a statement that does nothing else can. What it committed stays, and is not recorded as done.
void StepSession::Impl::judge_tag(std::string_view tag) {
  if (tag == "SET") settings_changed_ = true;
  if (!statement_.alone && (tag == "COMMIT" || tag == "ROLLBACK" || tag == "PREPARE TRANSACTION"))
    failure_ = transaction_ended();
}

// Whatever it did: at the sync the server says whether its transaction is still there.
bool StepSession::Impl::is_in_transaction() const {
  return statement_.alone || PQtransactionStatus(pipeline_.connection()) == PQTRANS_INTRANS;
}

dsl::Failure StepSession::Impl::transaction_ended() const {
  return make_failure("DF002", "the step ended the transaction that it ran in", "");
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
    unclean_ = exchange_ == Exchange::kRun && !statement_.alone;
    if (!unclean_) return;
  }
  if (failure_) return;
  judge(result, kind);
  // The checkpoint's context may show its parameters (log_parameter_max_length_on_error), our key among them.
  failure_ = failure_of(result, {statement_.node_id, statement_.attempt}, kind != Sent::kCheckpoint);
  if (kind != Sent::kStatement) explain_own(*failure_);
}

// The error of a statement of ours: a position in it would point into the step's text. Without the right to the schema
// none of them works.
void StepSession::Impl::explain_own(dsl::Failure& failure) const {
  std::erase_if(failure.more, [](const auto& member) { return member.first == "position"; });
  if (failure.code != "42501" || failure.message.find("schema df") == std::string::npos) return;
  failure.hint =
      "The role has lost its right to durable workflows. The owner of the schema can give it again: SELECT "
      "df.grant_usage('ROLE').";
}

void StepSession::Impl::lose() {
  pipeline_.forget();
  gone_ |= PQstatus(pipeline_.connection()) == CONNECTION_BAD;
  // What ran outside a transaction has happened, whatever became of the session afterwards.
  const bool happened = exchange_ == Exchange::kRun && statement_.alone && statement_done_;
  if (failure_ || (happened && unknown_types().empty())) return;
  const std::string message = pipeline_.error();
  failure_ = make_failure("08006", message.empty() ? "the connection was lost" : message, "");
}

void StepSession::Impl::end_of_exchange() {
  switch (exchange_) {
    case Exchange::kRun:
      return end_of_run();
    case Exchange::kGroup:
      return end_of_group();
    case Exchange::kCommit:
      commit_outcome_.failure = failure_;
      if (commit_answered_) {
        commit_outcome_ = {};
      } else if (pipeline_.lost() && !refused_) {
        commit_outcome_.kind = CommitOutcome::Kind::kInDoubt;
      } else if (commits_group_) {
        commit_outcome_.kind = CommitOutcome::Kind::kNotGrouped;
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

std::optional<dsl::Failure> StepSession::Impl::duplicate_columns() const {
  const auto twice = reader_->duplicate_columns();
  if (twice.empty()) return std::nullopt;
  std::string names;
  for (const std::string& name : twice) names += (names.empty() ? "\"" : ", \"") + name + '"';
  return make_failure("42701", "the result has more than one column named " + names,
                      "Give each column a name of its own with AS.");
}

void StepSession::Impl::end_of_run() {
  if (!failure_ && reader_->too_large()) failure_ = result_too_large();
  if (!failure_ && !is_in_transaction()) failure_ = transaction_ended();
  if (!failure_) failure_ = duplicate_columns();
  if (failure_) {
    outcome_.failure = std::move(failure_);
    outcome_.needs_to_run_alone = needs_to_run_alone_;
    outcome_.never_began = (!began_ && gone_) || unclean_;
  } else if (!outcome_.already_committed) {
    outcome_.result = reader_->finish();
    outcome_.at_least_once = options_.foreign && !remembers_;
  }
  failure_.reset();
  reader_.reset();
}

}  // namespace durabled::store

// The statements that a step's session sends beside the step's own. Private to store/.
//
// A step may give the name of a prepared statement of ours to one of its own, so that ours have no names: each is sent as
// text. What is sent between the step's statement and its commit qualifies every name.
#pragma once

namespace durabled::store::own {

inline constexpr const char* kBegin = "begin";
// For a statement whose transaction is rolled back anyway.
inline constexpr const char* kBeginReadOnly = "begin read only";
// For a role whose transactions are read-only by default: what is released leaves the checkpoint free to write, and while it
// is there the step is not.
inline constexpr const char* kBeginWritable = "begin read write";
inline constexpr const char* kReadOnly[] = {"savepoint _df_read_only",
                                            "set local transaction_read_only = on"};
inline constexpr const char* kEndReadOnly = "release savepoint _df_read_only";
inline constexpr const char* kCommit = "commit";
inline constexpr const char* kRollback = "rollback";
// $6: for this transaction only.
inline constexpr const char* kSettings = "call df._begin_step($1, $2, $3, $4, $5, $6)";
// Where the schema df may be missing, and behind a pooler, where the forms of text cannot come with the connection.
inline constexpr const char* kSettingsElsewhere =
    "select pg_catalog.set_config('role', $1, $6),"
    " pg_catalog.set_config('df.instance_id', $2, $6), pg_catalog.set_config('df.label', $3, $6),"
    " pg_catalog.set_config('df.node_id', $4, $6), pg_catalog.set_config('df.attempt', $5, $6),"
    " pg_catalog.set_config('df.in_workflow', 'true', $6),"
    " pg_catalog.set_config('standard_conforming_strings', 'on', $6),"
    " pg_catalog.set_config('array_nulls', 'on', $6),"
    " pg_catalog.set_config('datestyle', 'ISO', $6), pg_catalog.set_config('intervalstyle', 'postgres', $6),"
    " pg_catalog.set_config('bytea_output', 'hex', $6), pg_catalog.set_config('extra_float_digits', '1', $6)";
// What a step has deferred to its commit would run after the checkpoint. A trigger may defer work of its own once more: what
// that leaves in the session is cleaned after the commit.
inline constexpr const char* kConstraints = "set constraints all immediate";
// The checkpoint's parameters, the claim's key among them, are not for the server's log, whatever the step has set.
inline constexpr const char* kConceal = "set local log_parameter_max_length_on_error = 0";
// Where the step's statement has set another encoding: the checkpoint's parameters are UTF-8.
inline constexpr const char* kEncoding = "set local client_encoding = 'UTF8'";
inline constexpr const char* kCheckpoint =
    "call df._commit_turn($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
// Of a group: what the step before left makes room for the next one. $2 null: no other follows.
inline constexpr const char* kNextSettings = "call df._next_step($1, $2, $3, $4, $5)";
inline constexpr const char* kGroupCheckpoint =
    "call df._commit_group($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)";
inline constexpr const char* kOwnRole = "set local role none";
// For a statement that ran alone, in its implicit transaction: what it did goes with it.
inline constexpr const char* kStillRole =
    "select case when current_user operator(pg_catalog.<>) $1::pg_catalog.name then df._refuse_role() end";
inline constexpr const char* kForeignLookup = "select df._foreign_step($1, $2, $3)";
inline constexpr const char* kForeignCheckpoint = "select df._commit_foreign($1, $2, $3, $4)";
// What must not be seen by the next step.
inline constexpr const char* kClean = "call df._end_step()";
// The same without the schema df, and with respect for the prepared statements that a pooler may have of its own. Behind a
// pooler in transaction mode there is no second exchange with the same session: it is cleaned within the one that ends the
// transaction.
inline constexpr const char* kCleanElsewhere[] = {
    "close all",
    "set session authorization default",
    "reset all",
    "unlisten *",
    "discard temp",
    "discard sequences",
    "do $$ declare p pg_catalog.text; begin"
    " for p in select name from pg_catalog.pg_prepared_statement() where from_sql loop"
    " execute pg_catalog.format('deallocate %I', p); end loop; end $$",
    "select pg_catalog.pg_advisory_unlock_all()"};
// What a session said at its start, and RESET ALL behind a pooler forgets.
inline constexpr const char* kIntroduce =
    "select pg_catalog.set_config('client_encoding', 'UTF8', false),"
    " pg_catalog.set_config('application_name', 'durabled step', false)";

}  // namespace durabled::store::own

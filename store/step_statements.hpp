// The statements that a step's session sends beside the step's own. Private to store/.
//
// A step may give the name of a prepared statement of ours to one of its own. Names are therefore used only
// in a session that is known to be clean, and for cleaning, after the checkpoint has told whether the step
// prepared anything; what is sent between the step's statement and its commit has no name.
#pragma once

namespace durabled::store::own {

// Prepared once a session under its name, or sent anew each time.
struct Statement {
  const char* name;
  const char* sql;
};
inline constexpr Statement kBegin = {"_df_begin", "begin"};
// For a role whose transactions are read-only by default: what is released leaves the checkpoint free to write, and while it
// is there the step is not.
inline constexpr Statement kBeginWritable = {nullptr, "begin read write"};
inline constexpr Statement kReadOnly[] = {{nullptr, "savepoint _df_read_only"},
                                          {nullptr, "set local transaction_read_only = on"}};
inline constexpr Statement kEndReadOnly = {nullptr, "release savepoint _df_read_only"};
inline constexpr Statement kCommit = {nullptr, "commit"};
inline constexpr Statement kRollback = {nullptr, "rollback"};
// $6: for this transaction only, whose id it returns.
inline constexpr Statement kSettings = {
    "_df_settings",
    "select pg_catalog.set_config('role', $1, $6),"
    " pg_catalog.set_config('df.instance_id', $2, $6), pg_catalog.set_config('df.label', $3, $6),"
    " pg_catalog.set_config('df.node_id', $4, $6), pg_catalog.set_config('df.attempt', $5, $6),"
    " pg_catalog.set_config('df.in_workflow', 'true', $6),"
    " case when $6 then pg_catalog.pg_current_xact_id() end"};
// Behind a pooler the forms of text cannot come with the connection.
inline constexpr Statement kSettingsPooled = {
    nullptr,
    "select pg_catalog.set_config('role', $1, $6),"
    " pg_catalog.set_config('df.instance_id', $2, $6), pg_catalog.set_config('df.label', $3, $6),"
    " pg_catalog.set_config('df.node_id', $4, $6), pg_catalog.set_config('df.attempt', $5, $6),"
    " pg_catalog.set_config('df.in_workflow', 'true', $6),"
    " pg_catalog.set_config('standard_conforming_strings', 'on', $6),"
    " pg_catalog.set_config('array_nulls', 'on', $6),"
    " pg_catalog.set_config('datestyle', 'ISO', $6), pg_catalog.set_config('intervalstyle', 'postgres', $6),"
    " pg_catalog.set_config('bytea_output', 'hex', $6), pg_catalog.set_config('extra_float_digits', '1', $6),"
    " case when $6 then pg_catalog.pg_current_xact_id() end"};
// What a step has deferred to its commit would run after the checkpoint has looked. A trigger may defer work
// of its own once more: that is not seen, and cannot come to another role, see StepSession::Impl::commit.
inline constexpr Statement kConstraints = {nullptr, "set constraints all immediate"};
// The checkpoint's parameters, our key among them, are not for the server's log, whatever the step has set.
inline constexpr Statement kConceal = {nullptr, "set local log_parameter_max_length_on_error = 0"};
// Returns whether the step left something that only DISCARD ALL takes away.
inline constexpr Statement kCheckpoint = {
    nullptr, "call df._commit_turn($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, null)"};
inline constexpr Statement kOwnRole = {nullptr, "set local role none"};
// For a statement that ran alone, in its implicit transaction: what it did goes with it.
inline constexpr Statement kStillRole = {
    nullptr,
    "select case when current_user operator(pg_catalog.<>) $1::pg_catalog.name then df._refuse_role() end"};
inline constexpr Statement kForeignLookup = {"_df_lookup", "select df._foreign_step($1, $2, $3)"};
inline constexpr Statement kForeignCheckpoint = {nullptr, "select df._commit_foreign($1, $2, $3, $4)"};
// The checkpoint's last column, where there is no checkpoint.
inline constexpr Statement kInspect = {
    nullptr,
    "select pg_catalog.pg_my_temp_schema() operator(pg_catalog.<>) 0"
    " or exists (select from pg_catalog.pg_prepared_statement() where from_sql)"
    " or exists (select from pg_catalog.pg_cursor() where is_holdable)"};
// The rest of what must not be seen by the next step.
inline constexpr Statement kClean[] = {
    {"_df_unlock",
     "select pg_catalog.pg_advisory_unlock_all(), pg_catalog.set_config('role', 'none', false)"},
    {"_df_unlisten", "unlisten *"},
    {"_df_sequences", "discard sequences"},
    {"_df_reset", "reset all"}};
// Behind a pooler in transaction mode there is no second exchange with the same session: it is cleaned within
// the one that ends the transaction, whatever the step left. The pooler may have prepared statements of its
// own there.
inline constexpr Statement kCleanPooled[] = {
    {nullptr, "close all"},
    {nullptr, "set session authorization default"},
    {nullptr, "reset all"},
    {nullptr, "unlisten *"},
    {nullptr, "discard temp"},
    {nullptr, "discard sequences"},
    {nullptr,
     "do $$ declare p pg_catalog.text; begin"
     " for p in select name from pg_catalog.pg_prepared_statement() where from_sql loop"
     " execute pg_catalog.format('deallocate %I', p); end loop; end $$"},
    // What this session said at its start, and the pooler forgets with RESET ALL.
    {nullptr,
     "select pg_catalog.pg_advisory_unlock_all(), pg_catalog.set_config('client_encoding', 'UTF8', false),"
     " pg_catalog.set_config('application_name', 'durabled step', false)"}};
inline constexpr const Statement* kPrepared[] = {&kBegin,    &kSettings, &kClean[0],
                                                 &kClean[1], &kClean[2], &kClean[3]};

}  // namespace durabled::store::own

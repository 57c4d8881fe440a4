#include "tests/attack/attacker.hpp"

#include <algorithm>
#include <regex>
#include <set>

namespace durabled::test {
namespace {

const char* const kSecret = "the victim's secret";

std::string prepared(const TestDatabase& database, const std::string& role) {
  PostgresServer& server = database.server();
  for (const char* name : {"mallory", "victim", "df_operator"}) server.create_role(name);
  Sql owner(database.conninfo());
  owner.exec(
      "select df.grant_usage('mallory', true), df.grant_usage('victim', true), "
      "df.grant_usage('df_operator')");
  // As bad as it may be: a public schema that everybody may write to.
  owner.exec("grant create on schema public to public; grant create on database " + database.name() +
             " to mallory");
  return database.conninfo(role);
}

}  // namespace

Attack::Attack() : mallory_(prepared(database_, "mallory")), victim_(database_.conninfo("victim")) {
  daemon_.emplace(DaemonProcess::Options{.database = database_.conninfo(),
                                         .settings = {{"worker.poll_interval", "200ms"}}});
  daemon_->wait_until_ready();
  mallory_.exec("set statement_timeout = '30s'");
  victim_.exec("select df.setvar('password', $1)", kSecret);
  victims_instance_ = victim_.text("select df.start(df.seq($1, df.wait_for_signal('go')), $2)",
                                   "SELECT '" + std::string("the victim''s secret") + "' AS s", kSecret);
  own_instance_ = mallory_.text("select df.start(df.wait_for_signal('go'), 'own')");
  for (const auto* id : {&victims_instance_, &own_instance_}) {
    wait_until("the instances wait", [&] {
      return owner_.number(
                 "select count(*) from df.instances where id = $1 and status = 'running' and worker_id is "
                 "null",
                 *id) > 0;
    });
  }
  victim_.exec("select df.signal($1, 'later', $2)", victims_instance_, kSecret);
  wait_until("the signal is delivered, and the instance put down again", [&] {
    return owner_.number("select count(*) from df.signals where not delivered") == 0 &&
           owner_.number(
               "select count(*) from df.instances where worker_id is not null or wake_at is not null") == 0;
  });
  owner_.exec(
      "create schema evidence; create table evidence.who (session_name text, name text); "
      "grant usage on schema evidence to public; grant insert, select on evidence.who to public");
  owner_.exec("set search_path = pg_catalog, pg_temp");  // the evidence must not fall into the traps itself
  before_ = fingerprint();
}

std::string Attack::filled(std::string statement) const {
  const std::pair<std::string, std::string> marks[] = {
      {"VICTIM", victims_instance_}, {"OWN", own_instance_}, {"KEY", "00000000-0000-0000-0000-000000000000"}};
  for (const auto& [mark, text] : marks) {
    for (std::size_t at = 0; (at = statement.find(mark, at)) != std::string::npos;)
      statement.replace(at, mark.size(), text);
  }
  return statement;
}

// All that mallory must not change: what is the victim's, whose each instance is, the schema's code, rights
// and roles.
std::string Attack::fingerprint() {
  return owner_.text(
      "select md5(concat("
      "(select string_agg(i::text, '|' order by i.id) from df.instances i where submitted_by = "
      "'victim'::regrole), "
      "(select string_agg(e::text, '|' order by e.seq) from df.events e join df.instances i on i.id = "
      "e.instance_id "
      "   where i.submitted_by = 'victim'::regrole), "
      "(select string_agg(s::text, '|' order by s.id) from df.signals s join df.instances i on i.id = "
      "s.instance_id "
      "   where i.submitted_by = 'victim'::regrole), "
      "(select string_agg(v::text, '|' order by v.name) from df.vars v where owner = 'victim'::regrole), "
      "(select string_agg(s::text, '|') from df.settings s), (select count(*) from df.schema_migrations), "
      "(select string_agg(concat(u.grantee, u.granted_by), '|' order by u.grantee::text) from df._usage u), "
      "(select string_agg(concat(p.proname, p.prosrc, p.proacl, p.proowner, p.proconfig), '|' order by "
      "p.oid) from pg_proc p "
      "   where p.pronamespace = 'df'::regnamespace), "
      "(select string_agg(concat(c.relname, c.relacl, c.relowner, c.relrowsecurity, c.relforcerowsecurity), "
      "'|' order by "
      "   c.oid) from pg_class c where c.relnamespace = 'df'::regnamespace), "
      "(select nspacl from pg_namespace where nspname = 'df'), "
      "(select string_agg(concat(roleid, member), '|' order by roleid, member) from pg_auth_members "
      "   where member = 'mallory'::regrole), "
      "(select string_agg(distinct submitted_by::text, '|' order by submitted_by::text) from df.instances "
      "   where submitted_by not in ('mallory'::regrole, 'durabled_owner'::regrole)), "
      "(select count(*) from df.workers)))");
}

// The keys of claims are in the daemon's memory only: a text tells one where it has its preimage.
bool Attack::tells_a_key(const std::string& text) {
  static const std::regex kUuid("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}");
  std::set<std::string> uuids;
  for (std::sregex_iterator at(text.begin(), text.end(), kUuid), end; at != end; ++at)
    uuids.insert(at->str());
  return std::any_of(uuids.begin(), uuids.end(), [&](const std::string& uuid) {
    return owner_.number("select count(*) from df.instances where claim_hash = df._claim_hash($1::uuid)",
                         uuid) > 0;
  });
}

void Attack::require_nothing_happened(const std::string& output) {
  CHECK(output.find(kSecret) == std::string::npos);
  CHECK_FALSE(tells_a_key(output));
  CHECK(fingerprint() == before_);
  CHECK(owner_.exec("select * from evidence.who where session_name <> 'mallory' or name <> 'mallory'") ==
        Rows{});
}

void Attack::attempt(const std::string& statement) {
  INFO(statement);
  std::string output;
  try {
    for (const Row& row : mallory_.exec(filled(statement))) {
      for (const Value& value : row) output += value.value_or("NULL") + '\n';
    }
  } catch (const SqlError& error) {
    output = error.what();
  }
  INFO(output);
  mallory_.exec("rollback; reset all; set statement_timeout = '10s'");
  require_nothing_happened(output);
}

void Attack::attempt_in_vain(const std::string& statement) {
  INFO(statement);
  CHECK_THROWS_AS(mallory_.exec(filled(statement)), SqlError);
  mallory_.exec("rollback; reset all; set statement_timeout = '10s'");
  attempt(statement);
}

std::string Attack::attempt_as_step(const std::string& statement) {
  INFO(statement);
  std::string id;
  try {
    id = mallory_.text("select df.start(df.sql($1))", filled(statement));
  } catch (const SqlError& error) {
    require_nothing_happened(error.what());
    return "";
  }
  CHECK(mallory_.text("select df.await_instance($1, 20)", id) != "running");
  const std::string output = owner_.text(
      "select concat(i::text, (select string_agg(e::text, '|') from df.events e "
      "where e.instance_id = i.id)) from df.instances i where i.id = $1",
      id);
  INFO(output);
  require_nothing_happened(output);
  return id;
}

void Attack::others_go_on() {
  const std::string id =
      victim_.text("select df.start('SELECT 1' ~> df.sleep(0.01) ~> 'SELECT 2', 'bystander')");
  CHECK(victim_.text("select df.await_instance($1, 10)", id) == "completed");
  owner_.exec("delete from df.events where instance_id = $1", id);
  owner_.exec("delete from df.instances where id = $1", id);
}

}  // namespace durabled::test

// What a role's statements return is data of that role's instance, whatever it looks like: no value becomes a turn of
// another instance, or an event that never happened.
#include "tests/e2e/world.hpp"

using namespace durabled::test;

namespace {

// alice's instance runs a step, mallory knows its id and its token, and alice has something that mallory wants.
class Forgery {
 public:
  explicit Forgery(const std::string& mode) : super_(world_.database().conninfo("postgres")) {
    if (mode == "set_role") super_.exec("grant alice, mallory to durabled_owner");
    world_.owner().exec("grant create on database " + world_.database().name() + " to alice, mallory");
    alice_.exec("create schema private; create table private.secrets as select 'alice''s secret' as secret");
    mallory_.exec(
        "create schema mallory; create table mallory.loot (who text, t text); grant usage on schema mallory "
        "to public;"
        "grant all on mallory.loot to public");
    world_.start_daemon({{"identity.mode", mode}, {"retry.max_attempts", "1"}});
    victim_ = submit(alice_, "'select pg_sleep(60)' ~> 'select 42'");
    wait_until("alice's step runs", [&] {
      return super_.number(
                 "select count(*) from pg_stat_activity where query = 'select pg_sleep(60)' and state = "
                 "'active'"
                 " and datname = current_database()") == 1;
    });
    before_ = state_of_the_victim();
  }
  ~Forgery() {
    try {
      super_.exec("revoke alice, mallory from durabled_owner");
    } catch (const SqlError&) {
      // Other tests then have a membership more, which they do not mind.
    }
  }

  World& world() { return world_; }
  Sql& mallory() { return mallory_; }
  Sql& super() { return super_; }

  // JSON that closes what is open where it is written, opens a turn of alice's instance in which that gets another text,
  // and leaves open what it has closed.
  std::string forged_turn(const std::string& first, const std::string& last) {
    return mallory_.text(
        "select format($1 || '}}]}}]},{\"instance\":%s,\"token\":1,\"at\":\"2026-01-01T00:00:00Z\","
        "\"prune\":[1,2,3,4,5,6,7,8],\"start\":{\"start_at\":\"2000-01-01\",\"body\":%s}},{\"instance\":"
        "\"zzzzzzzz\","
        "\"token\":0,\"at\":\"2026-01-01T00:00:00Z\",\"events\":[{\"seq\":1,\"kind\":\"x\",\"data\":' || $2,"
        " to_json($3::text), to_json($4::text))",
        first, last, victim_, "'insert into mallory.loot select current_user, secret from private.secrets'");
  }

  // Whatever mallory's instance came to, alice's is what it was.
  void require_nothing_happened(const std::string& id) {
    const std::string ended = end_of(mallory_, id);
    INFO(id << " " << ended << ": " << error_of(mallory_, id) << result_of(mallory_, id));
    CHECK((ended == "completed" || ended == "failed"));
    CHECK(state_of_the_victim() == before_);
    CHECK(mallory_.number("select count(*) from mallory.loot") == 0);
    CHECK(mallory_.number("select count(*) from df.events where kind = 'x'") == 0);
    CHECK(world_.owner().number(
              "select count(*) from df.events where kind = 'x' or instance_id = 'zzzzzzzz'") == 0);
    run_workflow(alice_, "'select 1'");
    CHECK(world_.daemon().log().find(" error ") == std::string::npos);
  }

 private:
  Sql joined(const std::string& role) {
    world_.add_role(role);
    return world_.session(role);
  }

  std::string state_of_the_victim() {
    return world_.owner().text(
        "select concat_ws(' ', status, dsl, fencing_token, (select string_agg(kind, ' ' order by seq) from "
        "df.events e"
        "  where e.instance_id = i.id and kind not in ('InstanceStarted', 'StepStarted'))) from df.instances "
        "i where id = $1",
        victim_);
  }

  World world_;
  Sql super_;
  Sql alice_ = world_.session(), mallory_ = joined("mallory");
  std::string victim_, before_;
};

}  // namespace

TEST_CASE("a composite whose column was json and is text now closes no turn", "[smoke][S3.11]") {
  const std::string mode = GENERATE("login", "set_role");
  CAPTURE(mode);
  Forgery forgery(mode);
  forgery.mallory().exec(
      "create type mallory.c as (a json);"
      "create function mallory.inj(p text) returns mallory.c language plpgsql as $$ begin"
      " if pg_current_xact_id_if_assigned() is not null then raise exception using errcode = '25001'; end if;"
      " return row(p)::mallory.c; end $$;"
      // The same in a statement that really refuses to run in a transaction.
      "create procedure mallory.alone(p text, inout x mallory.c) language plpgsql as $$ begin"
      " commit; x := mallory.inj(p); end $$");
  run_workflow(forgery.mallory(), "'select row(''1'')::mallory.c as x'");
  forgery.mallory().exec("alter type mallory.c alter attribute a type text");
  const std::string turn = forgery.forged_turn("1", "{\"rows\":[{\"x\":{\"a\":1");
  const auto dsl = [&](const std::string& before, const std::string& after) {
    return forgery.mallory().text("select quote_literal($1 || quote_literal($2) || $3)", before, turn, after);
  };
  forgery.require_nothing_happened(submit(forgery.mallory(), dsl("select mallory.inj(", ") as x")));
  const std::string alone = submit(forgery.mallory(), dsl("call mallory.alone(", ", null)"));
  forgery.require_nothing_happened(alone);
  CHECK(forgery.mallory().text("select df.result($1) #>> '{rows,0,x,a}'", alone) == turn);
}

TEST_CASE("operators of a role's own change nothing of what the daemon takes its types for",
          "[smoke][S3.11]") {
  const std::string mode = GENERATE("login", "set_role");
  CAPTURE(mode);
  Forgery forgery(mode);
  forgery.mallory().exec(
      "create type mallory.was as (a json); create type mallory.is as (a text);"
      "create function mallory.same(oid, oid) returns boolean language sql as"
      " $$ select $1::int8 = $2::int8 or ($1 = 'mallory.was'::regclass and $2 = (select typrelid from "
      "pg_type where oid ="
      " 'mallory.is'::regtype)) $$;"
      "create function mallory.never(oid, oid) returns boolean language sql as 'select false';"
      "create function mallory.always(\"char\", \"char\") returns boolean language sql as 'select true';"
      "create operator mallory.= (leftarg = oid, rightarg = oid, function = mallory.same);"
      "create operator mallory.<> (leftarg = oid, rightarg = oid, function = mallory.never);"
      "create operator mallory.= (leftarg = \"char\", rightarg = \"char\", function = mallory.always);"
      "create procedure mallory.alone(p text, inout x mallory.is) language plpgsql as $$ begin"
      " commit; perform set_config('search_path', 'mallory,pg_catalog', false); x := row(p)::mallory.is; end "
      "$$");
  const std::string turn = forgery.forged_turn("1", "{\"rows\":[{\"x\":{\"a\":1");
  const std::string id =
      submit(forgery.mallory(),
             forgery.mallory().text(
                 "select quote_literal('call mallory.alone(' || quote_literal($1) || ', null)')", turn));
  forgery.require_nothing_happened(id);
  CHECK(forgery.mallory().text("select df.result($1) #>> '{rows,0,x,a}'", id) == turn);
  const std::string inside = submit(forgery.mallory(),
                                    "'select set_config(''search_path'', ''mallory,pg_catalog'', false) as "
                                    "s, row(''{}'')::mallory.is as x'");
  forgery.require_nothing_happened(inside);
  CHECK_THAT(result_of(forgery.mallory(), inside), ContainsSubstring(R"({"a":"{}"})"));
}

TEST_CASE("what a database of a role's own says that a step returned is checked", "[smoke][S3.11]") {
  const std::string mode = GENERATE("login", "set_role");
  CAPTURE(mode);
  Forgery forgery(mode);
  forgery.super().exec("drop database if exists lair");
  forgery.super().exec("create database lair owner mallory");
  const std::string turn = forgery.forged_turn("{\"rows\":[{\"x\":{\"a\":1", "{\"rows\":[{\"x\":{\"a\":1}}]");
  {
    Sql lair(forgery.world().server().conninfo("lair", "mallory"));
    lair.exec("create schema df; create table answer (t text)");
    lair.exec(
        "create function df._foreign_step(text, text, text) returns text language sql as 'select t from "
        "public.answer';"
        "create function df._commit_foreign(text, text, text, json) returns void language plpgsql as $$ begin"
        " raise exception 'forged' using errcode = 'DF001'; end $$");
    lair.exec("insert into answer values ($1)", turn);
    const auto there = [&] {
      return forgery.mallory().text(
          "insert into df.submit (dsl, database) values ('''select 1''', 'lair') returning id");
    };
    const std::string id = there();
    forgery.require_nothing_happened(id);
    CHECK_THAT(fails(forgery.mallory(), id), ContainsSubstring("_foreign_step"));
    for (const char* answer :
         {"1", "[]", "{}", "{\"rows\":1}", "{\"rows\":[1],\"columns\":[],\"row_count\":1,\"affected\":1}",
          "nonsense", "{\"rows\":[],\"columns\":[{}],\"row_count\":0,\"affected\":0}"}) {
      INFO(answer);
      lair.exec("update answer set t = $1", answer);
      CHECK_THAT(fails(forgery.mallory(), there()), ContainsSubstring("_foreign_step"));
    }
    // A refusal there is no lost lease here.
    lair.exec("update answer set t = null");
    CHECK_THAT(fails(forgery.mallory(), there()), ContainsSubstring("forged"));
    lair.exec("update answer set t = $1",
              R"({"rows":[{"a":1}],"row_count":1,"columns":[{"name":"a","type":"integer"}],"affected":1})");
    CHECK_THAT(completes(forgery.mallory(), there()), ContainsSubstring("{\"a\":1}"));
  }
  forgery.super().exec("drop database lair with (force)");
}

TEST_CASE("a turn is written for the instance and the claim that it is of", "[smoke][S3.11]") {
  World world;
  const auto commit = [&](const std::string& instance, const std::string& token) {
    return world.owner().expects_error(
        "DF005",
        "select df._commit_turns(1, array[$1], array[$2::bigint],"
        " array['{\"instance\":\"aaaaaaaa\",\"token\":1,\"at\":\"2026-01-01\"}'::json])",
        instance, token);
  };
  CHECK_THAT(commit("bbbbbbbb", "1"), ContainsSubstring("bbbbbbbb"));
  CHECK_THAT(commit("aaaaaaaa", "2"), ContainsSubstring("aaaaaaaa"));
}

// A pipeline with the trigger on_change while the table changes under it.
#include "tests/ai/ai_world.hpp"

using namespace durabled::test;

namespace {

// Changes are embedded; the pipeline has nothing to do.
struct Settled : AiWorld {
  explicit Settled(int documents, const std::string& options = "{}") {
    make_documents(documents);
    create_pipeline("on_change", options);
    start_calling_daemon();
    await_idle();
    CHECK(wrong_rows() == 0);
  }
  long long queued() { return alice.number("select count(*) from ai_1_work"); }
};

}  // namespace

TEST_CASE("T2: a document that is edited during the call is published as it is now, and never as it was") {
  Settled world(3);
  world.endpoint.hold();
  world.alice.exec("update docs set content = 'first edit' where id = 2");
  world.endpoint.await_held();
  world.alice.exec("update docs set content = 'second edit' where id = 2");
  world.endpoint.release();
  // At each look the sink has the old text or the newest one, and its own vector.
  wait_until(
      "the second edit is published",
      [&] {
        const Rows rows = world.alice.exec(
            "select chunk_text, embedding = test_vector('small', chunk_text, 8) from chunks where doc_id = "
            "2");
        REQUIRE(rows.size() == 1);
        CHECK(rows[0][0] != "first edit");
        CHECK(rows[0][1] == "t");
        return rows[0][0] == "second edit";
      },
      kLong);
  world.await_idle();
  CHECK(world.queued() == 0);
  CHECK(world.alice.number("select count(*) from ai_1_stage") == 0);
}

TEST_CASE("T3: a document that is deleted during the call is not published") {
  Settled world(3);
  world.endpoint.hold();
  world.alice.exec("update docs set content = 'edited' where id in (1, 2)");
  world.endpoint.await_held();
  world.alice.exec("delete from docs where id = 1");
  CHECK(world.alice.number("select count(*) from chunks where doc_id = 1") == 0);
  world.endpoint.release();
  world.await_idle();
  CHECK(world.wrong_rows() == 0);
  CHECK(world.published() == 2);
  CHECK(world.queued() == 0);
}

TEST_CASE("T3: a table that is truncated during the call leaves nothing behind") {
  Settled world(3);
  world.endpoint.hold();
  world.alice.exec("update docs set content = 'edited' where id in (1, 2)");
  world.endpoint.await_held();
  world.alice.exec("truncate docs");
  world.alice.exec("insert into docs values (2, 'new', 'after')");
  world.endpoint.release();
  world.await_published(1);
  world.await_idle();
  CHECK(world.wrong_rows() == 0);
}

TEST_CASE("a document whose deletion is not committed yet leaves nothing behind when it is") {
  Settled world(3);
  Sql writer = world.session();
  writer.exec("begin; delete from docs where id = 1");
  world.alice.exec("select ai.backfill('p')");
  world.await_idle();
  writer.exec("commit");
  wait_until(
      "it is gone from the sink", [&] { return world.published() == 2 && world.queued() == 0; }, kLong);
  CHECK(world.wrong_rows() == 0);
}

TEST_CASE("T7: an update of a column that is not used makes no request and no row in the queue") {
  Settled world(20);
  const int before = world.endpoint.requests();
  world.alice.exec("update docs set views = views + 1, title = 'another'");
  world.alice.exec("update docs set content = content");
  CHECK(world.queued() == 0);
  world.alice.exec("update docs set content = 'changed' where id = 3");
  wait_until(
      "the change is published", [&] { return world.wrong_rows() == 0; }, kLong);
  CHECK(world.endpoint.requests() == before + 1);
  CHECK(world.endpoint.texts().back() == "changed");
}

TEST_CASE("only the chunks of a document that have changed are embedded again") {
  AiWorld world;
  world.make_documents(0);
  world.alice.exec(
      "insert into docs select 1, 't', string_agg('Sentence number ' || g || ' of the text. ', '' order by "
      "g) "
      "from generate_series(1, 100) g");
  world.create_pipeline();
  world.start_calling_daemon();
  world.await_idle();
  const long long chunks = world.alice.number("select count(*) from chunks");
  CHECK(chunks >= 6);
  CHECK(world.endpoint.inputs() == chunks);
  world.alice.exec("update docs set content = content || 'word'");
  wait_until(
      "it is published",
      [&] { return world.alice.text("select bool_or(chunk_text like '%word') from chunks") == "t"; }, kLong);
  CHECK(world.endpoint.inputs() == chunks + 1);
}

TEST_CASE("the key of a document may change, and one without a text has no chunks") {
  Settled world(3);
  world.alice.exec("update docs set id = 30 where id = 3; update docs set content = '  ' where id = 2");
  wait_until(
      "both are published",
      [&] { return world.alice.text("select array_agg(doc_id order by doc_id) from chunks") == "{1,30}"; },
      kLong);
  world.await_idle();
  CHECK(world.queued() == 0);
}

TEST_CASE("T13: while a writer's transaction is open, neither the pipeline nor other writers wait") {
  Settled world(10);
  Sql writer = world.session(), other = world.session();
  writer.exec(
      "begin; update docs set content = 'not committed' where id = 1; insert into docs values (11, 't', 'nor "
      "this')");
  other.exec("set lock_timeout = '100ms'");
  other.exec(
      "update docs set content = 'from the other' where id = 2; insert into docs values (12, 't', 'twelve')");
  other.exec("select ai.backfill('p')");
  wait_until(
      "the other's documents are published",
      [&] {
        return world.alice.number(
                   "select count(*) from chunks where chunk_text in ('from the other', 'twelve')") == 2;
      },
      kLong);
  CHECK(world.alice.number("select count(*) from pg_stat_activity where wait_event_type = 'Lock'") == 0);
  writer.exec("commit");
  world.await_published(12);
  wait_until(
      "everything is published", [&] { return world.wrong_rows() == 0; }, kLong);
  world.await_idle();
  CHECK(world.queued() == 0);
}

TEST_CASE("T12: a pipeline is made without reading the table, and its queue holds what changed and no more") {
  AiWorld world;
  world.make_documents(5000);
  Sql writer = world.session();
  world.create_pipeline("on_change", R"({"take": 50})");
  CHECK(world.alice.number("select count(*) from ai_1_work") == 0);
  CHECK(world.alice.number("select count(*) from ai_1_stage") == 0);
  world.start_calling_daemon();
  long long most = 0;
  wait_until(
      "all documents are published",
      [&] {
        most = std::max(most, world.alice.number("select count(*) from ai_1_stage where chunk_index = -1"));
        CHECK(world.alice.number("select count(*) from ai_1_work") == 0);
        return world.published() == 5000;
      },
      kLong);
  CHECK(most <= 50);
  CHECK(world.endpoint.requests() <= 110);
}

TEST_CASE("T15: the trigger for updates is not called where no column that is used has changed") {
  Settled world(5);
  const auto plan = [&](const std::string& statement) {
    std::string text;
    for (const Row& row : world.alice.exec("explain (analyze, costs off, timing off) " + statement))
      text += row[0].value_or("") + "\n";
    return text;
  };
  CHECK_THAT(plan("update docs set views = 1"), !ContainsSubstring("ai_1_updated"));
  CHECK_THAT(plan("update docs set content = 'x'"), ContainsSubstring("Trigger ai_1_updated: calls=5"));
}

TEST_CASE("T16: on a subscriber changes are seen where the option always is set") {
  for (const bool always : {true, false}) {
    Settled world(1, always ? R"({"always": true})" : "{}");
    // As the process that applies a subscription's changes.
    Sql subscription(world.database().conninfo("postgres"));
    subscription.exec("set session_replication_role = replica");
    subscription.exec(
        "insert into docs values (2, 't', 'replicated'); update docs set content = 'replicated' where id = "
        "1");
    if (always) {
      wait_until(
          "the changes are published", [&] { return world.published() == 2 && world.wrong_rows() == 0; },
          kLong);
    } else {
      CHECK(world.queued() == 0);
    }
  }
}

TEST_CASE("a filter decides which documents are published, also after a change") {
  AiWorld world;
  world.make_documents(6);
  world.alice.exec(
      "select ai.create_pipeline('p', ai.table_source('docs', filter => 'views = 0 and content is not "
      "null'), "
      "array[ai.embed('default-embedding', 'content', 8)], ai.table_sink('chunks'), 'on_change')");
  world.start_calling_daemon();
  world.await_published(6);
  world.alice.exec("update docs set views = 1 where id <= 2");
  world.await_published(4);
  world.alice.exec("update docs set views = 0 where id = 1");
  world.await_published(5);
  CHECK(world.endpoint.inputs() == 7);
}

TEST_CASE("names that need quotes, keys of text and a format with other columns work") {
  AiWorld world;
  Sql(world.server().conninfo()).exec("grant create on database " + world.database().name() + " to alice");
  world.alice.exec(R"sql(
create schema "my ""schema'";
create table "my ""schema'"."Docs; drop" ("the id" text primary key, "Title" text, title text, "bo'dy" text);
insert into "my ""schema'"."Docs; drop" values ('a''b', 'T', 'lower', 'some text'), ('$$', null, null, 'other');
select ai.create_pipeline('it''s "p" {x} $y', ai.table_source('Docs; drop', schema_name => 'my "schema'''),
  array[ai.chunk('bo''dy'), ai.embed('default-embedding', 'chunk_text', 8, format => '$title: $chunk')],
  ai.table_sink('Chunks "of" it', schema_name => 'my "schema''', columns => '{"doc_id": "Doc''s id", "embedding": "v"}'),
  'on_change');)sql");
  world.start_calling_daemon();
  const auto good = [&] {
    return world.alice.number(R"sql(
select count(*) from "my ""schema'"."Chunks ""of"" it" c join "my ""schema'"."Docs; drop" d on c."Doc's id" = d."the id"
where c.chunk_text = d."bo'dy" and c.v = test_vector('small', coalesce(d.title, '') || ': ' || d."bo'dy", 8))sql");
  };
  wait_until(
      "both are published", [&] { return good() == 2; }, kLong);
  world.alice.exec(R"sql(update "my ""schema'"."Docs; drop" set title = 'new' where "the id" = '$$')sql");
  wait_until(
      "the change is published", [&] { return good() == 2 && world.endpoint.inputs() == 3; }, kLong);
  world.alice.exec(R"sql(select ai.drop_pipeline('it''s "p" {x} $y', keep_sink => false))sql");
}

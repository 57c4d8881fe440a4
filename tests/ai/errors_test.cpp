// What a pipeline cannot be made of, said when it is made.
#include "tests/ai/ai_world.hpp"

using namespace durabled::test;

TEST_CASE("what cannot work is refused with what to write instead, and nothing is left of it") {
  AiWorld world;
  world.make_documents(1);
  world.alice.exec("create table keyless (a text); create view looked as select * from docs");
  const auto refused = [&](const std::string& sqlstate, const std::string& source, const std::string& steps,
                           const std::string& more = "") {
    return world.alice.expects_error(sqlstate, "select ai.create_pipeline('p', ai.table_source(" + source +
                                                   "), array[" + steps + "]" + more + ")");
  };
  const std::string embed = "ai.embed('default-embedding', 'content', 8)";
  CHECK_THAT(refused("42704", "'docs'", "ai.embed('unknown', 'content', 8)"),
             ContainsSubstring("no model is registered as \"unknown\"; register it: SELECT "
                               "ai.register_model('unknown', 'https://…', …)"));
  CHECK_THAT(
      refused("42P16", "'keyless'", "ai.embed('default-embedding', 'a', 8)"),
      ContainsSubstring(
          "table \"keyless\" has no primary key; name a unique column: ai.table_source(…, key => 'id')"));
  CHECK_THAT(refused("42703", "'docs'", "ai.embed('default-embedding', 'text', 8)"),
             ContainsSubstring("column \"text\" is not in \"docs\"; it has: id, title, content, views"));
  CHECK_THAT(refused("42P01", "'nothing'", embed), ContainsSubstring("table \"nothing\" does not exist"));
  CHECK_THAT(refused("42809", "'looked', key => 'id'", embed),
             ContainsSubstring("\"looked\" is not a table"));
  CHECK_THAT(refused("42P16", "'docs', key => 'title'", embed),
             ContainsSubstring("column \"title\" of \"docs\" is no key"));
  CHECK_THAT(refused("42703", "'docs', filter => 'nonsense'", embed), ContainsSubstring("nonsense"));
  CHECK_THAT(refused("22023", "'docs'", "ai.chunk('content', method => 'magic')"),
             ContainsSubstring("recursive, markdown"));
  CHECK_THAT(refused("22023", "'docs'", "ai.embed('default-embedding', 'content')"),
             ContainsSubstring("dimensions => 1536"));
  CHECK_THAT(refused("22023", "'docs'", embed, ", trigger => 'often'"),
             ContainsSubstring("manual, on_change and schedule"));
  CHECK_THAT(refused("22023", "'docs'", embed, R"(, options => '{"speed": 1}')"),
             ContainsSubstring("no option speed"));
  CHECK_THAT(refused("22023", "'docs'", embed, ", trigger => 'schedule'"), ContainsSubstring("cron"));
  CHECK_THAT(world.alice.expects_error("22023", "select ai.register_model('m', 'http://h/$x', 'm')"),
             ContainsSubstring("is not the URL"));
  CHECK_THAT(world.alice.expects_error(
                 "22023", "select ai.register_model('m', 'http://h/x', 'm', secret => 'sk-123')"),
             ContainsSubstring("secret is the name of a secret"));
  CHECK(world.alice.number("select count(*) from ai.pipelines") == 0);
  CHECK(world.alice.number("select count(*) from pg_class where relname like 'ai\\_%'") == 0);
  world.create_pipeline();
  CHECK_THAT(refused("42710", "'docs'", embed), ContainsSubstring("there is a pipeline \"p\" already"));
}

TEST_CASE("the workflow of a pipeline is one that durabled check accepts without a warning") {
  AiWorld world;
  world.make_documents(1);
  for (const char* trigger : {"manual", "on_change", "schedule"}) {
    world.create_pipeline(trigger, R"({"cron": "0 3 * * *"})");
    const CliOutcome check =
        cli({"check", "--strict", "-"}, {}, world.alice.text("select ai._workflow(p) from ai.pipelines p"));
    INFO(check.out << check.err);
    CHECK(check.code == 0);
    CHECK_THAT(world.alice.text("select ai.explain('p')"), ContainsSubstring("HTTP POST"));
    world.alice.exec("select ai.drop_pipeline('p', keep_sink => false)");
  }
}

TEST_CASE("an estimate tells chunks, tokens, requests and cost beforehand") {
  AiWorld world;
  world.make_documents(2000);
  world.register_model("default-embedding", "small",
                       ", price_per_mtok => 1000000, tpm => 100, max_inputs => 100");
  world.create_pipeline("manual");
  const Row row = world.alice.exec(
      "select documents, chunks, requests, cost = tokens, round(hours) = round(tokens / 6000.0) from "
      "ai.estimate('p')")[0];
  CHECK(row == Row{"2000", "2000", "20", "t", "t"});
}

TEST_CASE(
    "texts are cut at paragraphs, sentences and words, no piece is lost, and none is longer than asked") {
  AiWorld world;
  Sql& sql = world.alice;
  const auto cut = [&](const std::string& text, const std::string& chunk) {
    Rows rows = sql.exec(
        "select chunk_text, path from ai._chunks($1, " + chunk + ", 32764) order by chunk_index", text);
    return rows;
  };
  CHECK(cut("One two three. Four five six seven. Eight nine.", "ai.chunk('x', 20, 0)") ==
        Rows{{"One two three. ", std::nullopt},
             {"Four five six ", std::nullopt},
             {"seven. Eight nine.", std::nullopt}});
  CHECK(cut("abcdefghijklmnopqrstuvwxyz", "ai.chunk('x', 16, 4, 'fixed')") ==
        Rows{{"abcdefghijklmnop", std::nullopt}, {"mnopqrstuvwxyz", std::nullopt}});
  CHECK(cut("# A\nintro\n## B\n```\n# no heading\n```\ntext\n# C\nend",
            "ai.chunk('x', method => 'markdown')") ==
        Rows{{"# A\nintro", "A"}, {"## B\n```\n# no heading\n```\ntext", "A > B"}, {"# C\nend", "C"}});
  CHECK(cut(" \n ", "ai.chunk('x')") == Rows{});
  sql.exec(
      "create function by_line(t text) returns setof text language sql return string_to_table(t, e'\\n')");
  CHECK(cut("a\nb", "ai.chunk('x', method => 'sql', function => 'by_line')") ==
        Rows{{"a", std::nullopt}, {"b", std::nullopt}});
  // Nothing is lost: without an overlap the pieces are the text.
  sql.exec(
      "create table long as select string_agg(case when g % 97 = 0 then e'\\n\\n' else 'wörd' || g || ' ' "
      "end, '' order by g) as t from "
      "generate_series(1, 30000) g");
  CHECK(sql.text("select string_agg(chunk_text, '' order by chunk_index) = (select t from long) from long, "
                 "ai._chunks(t, ai.chunk('x', 300, 0), 32764)") == "t");
  CHECK(sql.number(
            "select max(length(chunk_text)) from long, ai._chunks(t, ai.chunk('x', 300, 40), 32764)") <= 300);
  CHECK(sql.number("select max(octet_length(chunk_text)) from long, ai._chunks(t, ai.chunk('x', method => "
                   "'none'), 1000)") <= 1000);
}

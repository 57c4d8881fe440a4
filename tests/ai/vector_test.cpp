// With pgvector, on a server where it is installed: ./dev test sees to one.
#include <cstdlib>

#include "tests/ai/ai_world.hpp"

using namespace durabled::test;
namespace fs = std::filesystem;

namespace {

// Whether the server of these programs has the extension: in lib/postgresql/N/bin or bin, beside share/….
bool has_vector(const fs::path& programs) {
  const std::string version = programs.parent_path().filename();
  for (const fs::path& share :
       {programs / "../../../../share/postgresql" / version, programs / "../share/postgresql"}) {
    if (fs::exists(programs / "initdb") && fs::exists(share / "extension/vector.control")) return true;
  }
  return false;
}

fs::path vector_programs() {
  std::vector<fs::path> places{postgres_programs()};
  for (const char* version : {"18", "17", "16", "15"}) {
    for (const std::string& root : {std::string("/usr"), kSourceDirectory + std::string("/.durabled/vector"),
                                    std::string("/var/cache/durabled/vector")})
      places.emplace_back(root + "/lib/postgresql/" + version + "/bin");
  }
  for (const fs::path& place : places) {
    if (has_vector(place)) return place;
  }
  throw std::runtime_error("no PostgreSQL with pgvector was found; ./dev test installs one");
}

PostgresServer& vector_server() {
  static PostgresServer server({.programs = vector_programs()});
  return server;
}

struct VectorWorld : AiWorld {
  VectorWorld() : AiWorld(vector_server()) {}
  // In a schema that is in nobody's search_path.
  void create_extension() {
    Sql admin(database().conninfo("postgres"));
    admin.exec(
        "create schema extensions; create extension vector schema extensions; grant usage on schema "
        "extensions to alice");
  }
  std::string type_of_sink() {
    return alice.text(
        "select format_type(atttypid, atttypmod) from pg_attribute where attrelid = 'chunks'::regclass and "
        "attname = "
        "'embedding'");
  }
};

}  // namespace

TEST_CASE("with pgvector the sink is of its type, has an index, and is searched by it") {
  VectorWorld world;
  world.create_extension();
  world.make_documents(300);
  world.create_pipeline();
  CHECK(world.type_of_sink() == "extensions.vector(8)");
  world.start_calling_daemon();
  world.await_published(300);
  world.await_idle();
  CHECK(world.wrong_rows() == 0);
  world.alice.exec("select ai.create_index('p')");
  CHECK(world.alice.number("select count(*) from pg_indexes where tablename = 'chunks' and indexdef like "
                           "'%USING hnsw (embedding "
                           "extensions.vector_cosine_ops)'") == 1);
  CHECK(world.alice.text(
            "select doc_id from ai.nearest('p', test_vector('small', 'content of document 77', 8), 1)") ==
        "77");
  CHECK(world.alice.text("select string_agg(doc_id, ' ') from ai.hybrid_search('p', 'document 42', "
                         "test_vector('small', 'content of "
                         "document 42', 8), 1)") == "42");
  // The statement of ai.nearest goes by the index.
  world.alice.exec("set enable_seqscan = off");
  std::string plan;
  for (const Row& row :
       world.alice.exec("explain select * from chunks k order by k.embedding operator(extensions.<=>) "
                        "test_vector('small', 'x', 8)::extensions.vector(8) limit 3"))
    plan += row[0].value_or("");
  CHECK_THAT(plan, ContainsSubstring("Index Scan using chunks_embedding_idx"));
  world.alice.exec("update docs set content = 'changed' where id = 5; delete from docs where id = 6");
  wait_until(
      "the changes are published", [&] { return world.wrong_rows() == 0; }, kLong);
}

TEST_CASE(
    "T9, T11: without pgvector the sink is real[] of one width; when it is installed a shadow moves to it") {
  VectorWorld world;
  world.make_documents(20);
  world.create_pipeline();
  CHECK(world.type_of_sink() == "real[]");
  world.start_calling_daemon();
  world.await_published(20);
  world.await_idle();
  CHECK(world.wrong_rows() == 0);
  world.alice.expects_error("23514", "update chunks set embedding = '{1,2}'");
  world.create_extension();
  world.alice.exec(
      "select ai.alter_pipeline('p', array[ai.chunk('content'), ai.embed('default-embedding', 'chunk_text', "
      "8)])");
  wait_until(
      "the sink is of the other type", [&] { return world.type_of_sink() == "extensions.vector(8)"; }, kLong);
  world.await_idle();
  CHECK(world.wrong_rows() == 0);
  world.endpoint.set_dimensions(9);
  world.alice.exec("update docs set content = 'changed' where id = 1");
  wait_until(
      "it stops",
      [&] {
        return world.alice.text("select state from ai.status('p')")
            .starts_with("stopped: pipeline \"p\": model \"default-embedding\" answered with 9");
      },
      kLong);
  CHECK(world.alice.number("select count(*) from chunks where chunk_text = 'changed'") == 0);
}

TEST_CASE("half vectors are half vectors, and a shadow has the index of the first") {
  VectorWorld world;
  world.create_extension();
  world.make_documents(20);
  world.alice.exec(
      "select ai.create_pipeline('p', ai.table_source('docs'), array[ai.embed('default-embedding', "
      "'content', 8)], "
      "ai.table_sink('chunks', type => 'halfvec'), 'on_change'); select ai.create_index('p')");
  CHECK(world.type_of_sink() == "extensions.halfvec(8)");
  world.start_calling_daemon();
  world.await_published(20);
  world.await_idle();
  CHECK(world.wrong_rows() == 0);
  world.register_model("other", "large");
  world.alice.exec("select ai.alter_pipeline('p', array[ai.embed('other', 'content', 8)])");
  wait_until(
      "the shadow has taken its place",
      [&] { return world.alice.number("select max(revision) from ai.status() where name = 'p'") == 2; },
      kLong);
  CHECK(world.wrong_rows("large") == 0);
  CHECK(world.alice.number("select count(*) from pg_indexes where tablename = 'chunks' and indexdef like "
                           "'%hnsw%halfvec_cosine_ops%'") == 1);
  CHECK(world.alice.text(
            "select doc_id from ai.nearest('p', test_vector('large', 'content of document 7', 8), 1)") ==
        "7");
}

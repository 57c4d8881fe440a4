// A database with the schema ai, a model that is registered, and a daemon that may call its endpoint.
#pragma once

#include "tests/ai/endpoint.hpp"
#include "tests/e2e/cli_run.hpp"
#include "tests/e2e/http_world.hpp"

namespace durabled::test {

constexpr std::chrono::milliseconds kLong = std::chrono::seconds{60};

class AiWorld : public HttpWorld {
 public:
  explicit AiWorld(PostgresServer& server = shared_server()) : HttpWorld(server) {
    http.route("/v1/embeddings", [shared = endpoint_](const TestCall& call) { return shared->answer(call); });
    const CliOutcome outcome = cli({"init", "--with-ai", "--database", database().conninfo()});
    INFO(outcome.err);
    REQUIRE(outcome.code == 0);
    alice.exec(EmbeddingEndpoint::sql());
    alice.exec("set client_min_messages = warning");
    register_model("default-embedding", "small");
  }

  ~AiWorld() { endpoint.release(); }

  void register_model(const std::string& alias, const std::string& model, const std::string& more = "") {
    alice.exec("select ai.register_model('" + alias + "', '" + http.url("/v1/embeddings") + "', '" + model +
               "'" + more + ")");
  }

  // A table `docs` with that many documents of one chunk each.
  void make_documents(int count) {
    alice.exec(
        "create table docs (id int primary key, title text, content text, views int not null default 0)");
    alice.exec(
        "insert into docs select g, 'title ' || g, 'content of document ' || g from generate_series(1, " +
        std::to_string(count) + ") g");
  }

  // A pipeline from docs to chunks, with vectors of 8 numbers.
  void create_pipeline(const std::string& trigger = "on_change", const std::string& options = "{}") {
    alice.exec(
        "select ai.create_pipeline('p', ai.table_source('docs'), array[ai.chunk('content'), "
        "ai.embed('default-embedding', 'chunk_text', 8)], ai.table_sink('chunks'), '" +
        trigger + "', '" + options + "')");
  }

  long long published() { return alice.number("select count(distinct doc_id) from chunks"); }

  void await_published(long long documents) {
    wait_until(
        "documents are published", [&] { return published() == documents; }, kLong);
  }

  // Until nothing is left to do: every document of docs has come to the sink or to the failures, as it is.
  void await_idle() {
    wait_until(
        "the pipeline is idle", [&] { return alice.text("select state from ai.status('p')") == "idle"; },
        kLong);
  }

  // How many rows of the sink are not what docs, model and test_vector say, or are missing.
  long long wrong_rows(const std::string& model = "small") {
    return alice.number(
        "select count(*) from (select id, content from docs) d full join chunks c on c.doc_id = d.id "
        "where c.chunk_text is distinct from d.content or c.embedding::real[] <> test_vector($1, "
        "c.chunk_text, 8)",
        model);
  }

  Sql alice = session();

 private:
  // The server's threads have a part in it, and end after this.
  std::shared_ptr<EmbeddingEndpoint> endpoint_ = std::make_shared<EmbeddingEndpoint>();

 public:
  EmbeddingEndpoint& endpoint = *endpoint_;
};

}  // namespace durabled::test

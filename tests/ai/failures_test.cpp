// What a pipeline makes of answers that are not what was asked for.
#include "tests/ai/ai_world.hpp"

using namespace durabled::test;
using Mode = EmbeddingEndpoint::Mode;

namespace {

std::string state(AiWorld& world) {
  return world.alice.text("select state from ai.status('p')");
}

void await_state(AiWorld& world, const std::string& beginning) {
  wait_until(
      "the state is " + beginning, [&] { return state(world).starts_with(beginning); }, kLong);
}

}  // namespace

TEST_CASE("T4: a storm of 429 is waited for, and nothing is counted as a failure") {
  AiWorld world;
  world.make_documents(1000);
  world.endpoint.limit_next(16);
  world.create_pipeline("on_change", R"({"take": 1000, "max_parallel": 8})");
  world.start_calling_daemon();
  world.await_published(1000);
  CHECK(world.wrong_rows() == 0);
  CHECK(world.endpoint.limited() == 16);
  CHECK(world.alice.number("select count(*) from ai.failures('p')") == 0);
  CHECK(world.endpoint.requests() <= 10);
}

TEST_CASE("T5: one document that the model refuses is set aside, at the price of 14 requests") {
  AiWorld world;
  world.make_documents(1000);
  world.alice.exec("update docs set content = 'some POISON' where id = 500");
  world.create_pipeline("on_change", R"({"take": 1000})");
  world.start_calling_daemon();
  world.await_published(999);
  world.await_idle();
  CHECK(world.alice.text("select array_agg(key || ' ' || error) from ai.failures('p')") ==
        R"({"500 400: {\"error\":{\"message\":\"input is not valid\"}}"})");
  CHECK(world.endpoint.requests() <= 8 + 14);
  CHECK(world.alice.number("select failed from ai.status('p')") == 1);
  // Once its text is another one it is tried again.
  world.alice.exec("update docs set content = 'harmless' where id = 500");
  world.await_published(1000);
  CHECK(world.wrong_rows() == 0);
  CHECK(world.alice.number("select count(*) from ai.failures('p')") == 0);
}

TEST_CASE("a document that was set aside is tried again by ai.retry, three times at most") {
  AiWorld world;
  world.make_documents(1);
  world.alice.exec("update docs set content = 'POISON'");
  world.create_pipeline("on_change", R"({"max_attempts": 1})");
  world.start_calling_daemon();
  const auto failed = [&] { return world.alice.number("select count(*) from ai.failures('p')"); };
  wait_until(
      "it is set aside", [&] { return failed() == 1; }, kLong);
  CHECK(world.endpoint.requests() == 1);
  CHECK(world.alice.number("select ai.retry('p', '2')") == 0);
  CHECK(world.alice.number("select ai.retry('p', '1')") == 1);
  wait_until(
      "it was tried again", [&] { return failed() == 1 && world.endpoint.requests() == 2; }, kLong);
}

TEST_CASE("answers in another order, and answers without some items, end in the right rows") {
  for (const Mode mode : {Mode::kShuffled, Mode::kMissingItem}) {
    AiWorld world;
    world.make_documents(40);
    world.endpoint.set_mode(mode);
    world.create_pipeline("on_change", R"({"max_attempts": 100})");
    world.start_calling_daemon();
    world.await_published(40);
    CHECK(world.wrong_rows() == 0);
    CHECK(world.endpoint.requests() == (mode == Mode::kShuffled ? 1 : 2));
  }
}

TEST_CASE("T9: a model whose vectors have another width stops the pipeline, and nothing is stored") {
  AiWorld world;
  world.make_documents(10);
  world.endpoint.set_dimensions(9);
  world.create_pipeline();
  world.start_calling_daemon();
  await_state(world, "stopped");
  CHECK(state(world) ==
        "stopped: pipeline \"p\": model \"default-embedding\" answered with 9 numbers, the sink has 8; set "
        "dimensions => 9 or another model, then ai.resume('p')");
  CHECK(world.published() == 0);
  CHECK(world.alice.number("select count(embedding) from ai_1_stage") == 0);
  world.endpoint.set_dimensions(8);
  world.alice.exec("select ai.resume('p')");
  world.await_published(10);
  CHECK(world.wrong_rows() == 0);
}

TEST_CASE("a refused key stops the pipeline until it is resumed") {
  AiWorld world;
  world.make_documents(3);
  world.endpoint.set_mode(Mode::kForbidden);
  world.create_pipeline();
  world.start_calling_daemon();
  await_state(world, "stopped: pipeline \"p\": model \"default-embedding\" answered with status 403");
  CHECK(world.endpoint.requests() == 1);
  world.endpoint.set_mode(Mode::kAnswer);
  world.alice.exec("select ai.resume('p')");
  world.await_published(3);
}

TEST_CASE("an endpoint that the daemon may not call stops the pipeline with the reason") {
  AiWorld world;
  world.make_documents(3);
  world.create_pipeline();
  world.start_daemon();
  await_state(world, "stopped: pipeline \"p\": model \"default-embedding\" cannot be called");
  CHECK_THAT(state(world), ContainsSubstring("To allow it, add to durabled.yaml"));
}

TEST_CASE("T10: a daily limit stops the requests until midnight, and changes are remembered") {
  AiWorld world;
  world.make_documents(300);
  world.create_pipeline("on_change", R"({"daily_tokens": 1000, "take": 100, "max_parallel": 1})");
  world.start_calling_daemon();
  await_state(world, "waiting: daily tokens reached");
  CHECK(world.endpoint.inputs() == 100);
  world.alice.exec("insert into docs values (1000, 't', 'a new one')");
  CHECK(world.alice.number("select count(*) from ai_1_work") == 1);
  // As on the next day.
  Sql(world.database().conninfo("postgres")).exec("update ai.usage set day = day - 1");
  world.alice.exec("select ai.resume('p')");
  wait_until(
      "the next 100 are published", [&] { return world.endpoint.inputs() > 100; }, kLong);
}

TEST_CASE("T18: an endpoint that is down is waited for, the state tells since when, and then all is done") {
  AiWorld world;
  world.make_documents(20);
  for (const Mode mode : {Mode::kServerError, Mode::kCutJson}) {
    world.endpoint.set_mode(mode);
    if (mode == Mode::kServerError) {
      world.create_pipeline();
      world.start_calling_daemon();
    } else {
      world.alice.exec("update docs set content = content || ' changed'");
    }
    await_state(world, "waiting: since ");
    CHECK_THAT(state(world),
               ContainsSubstring(mode == Mode::kServerError ? "500" : "the answer could not be read"));
    CHECK(world.alice.number("select count(*) from ai.failures('p')") == 0);
    world.endpoint.set_mode(Mode::kAnswer);
    world.alice.exec("select ai.resume('p')");  // at once, and not when the pause is over
    wait_until(
        "everything is published", [&] { return world.published() == 20 && world.wrong_rows() == 0; }, kLong);
    world.await_idle();
  }
  CHECK(world.alice.number("select count(*) from ai.failures('p')") == 0);
}

TEST_CASE("a paused pipeline makes no further request, and what was under way is stored") {
  AiWorld world;
  world.make_documents(500);
  world.create_pipeline("on_change", R"({"max_parallel": 1})");
  world.endpoint.hold();
  world.start_calling_daemon();
  world.endpoint.await_held();
  world.alice.exec("select ai.pause('p')");
  world.endpoint.release();
  wait_until(
      "the answer is stored and published", [&] { return world.published() == 128; }, kLong);
  CHECK(state(world) == "paused");
  CHECK(world.endpoint.requests() == 1);
  world.alice.exec("select ai.resume('p')");
  world.await_published(500);
  CHECK(world.endpoint.inputs() == 500);
}

TEST_CASE("an answer whose count of tokens is not a number is stored once, and counted by estimate") {
  AiWorld world;
  world.http.route("/v1/odd", [&](const TestCall& call) {
    TestAnswer answer = world.endpoint.answer(call);
    const auto at = answer.body.find("\"total_tokens\":");
    if (at != std::string::npos)
      answer.body.replace(at, answer.body.size() - at, "\"total_tokens\":\"abc\"}}");
    return answer;
  });
  world.alice.exec("select ai.register_model('default-embedding', '" + world.http.url("/v1/odd") +
                   "', 'small')");
  world.make_documents(3);
  world.create_pipeline();
  world.start_calling_daemon();
  world.await_published(3);
  CHECK(world.wrong_rows() == 0);
  CHECK(world.alice.number("select sum(requests) from ai.usage") == 1);
  CHECK(world.alice.number("select sum(tokens) from ai.usage") > 0);
}

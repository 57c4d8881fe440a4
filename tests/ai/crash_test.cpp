#include "tests/ai/ai_world.hpp"

using namespace durabled::test;

TEST_CASE(
    "T6: ten daemons are killed, every row is right, and what was in flight is all that is paid for twice") {
  AiWorld world;
  const int documents = 10000, kills = 10, parallel = 4;
  world.register_model("default-embedding", "small", ", max_inputs => 50");
  world.make_documents(documents);
  world.create_pipeline("on_change", R"({"take": 500, "max_parallel": 4})");
  for (int i = 1; i <= kills; ++i) {
    world.endpoint.hold(5);
    DaemonProcess& daemon = world.start_calling_daemon();
    world.endpoint.await_held();
    daemon.kill9();
    world.endpoint.release();
  }
  CHECK(world.published() < documents);
  world.start_calling_daemon();
  world.await_published(documents);
  world.await_idle();
  CHECK(world.wrong_rows() == 0);
  const int ideal = documents / 50;
  CHECK(world.endpoint.requests() > ideal);
  CHECK(world.endpoint.requests() <= ideal + kills * parallel);
  CHECK(world.alice.number("select count(*) from ai.failures('p')") == 0);
}

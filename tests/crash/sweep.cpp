#include "tests/crash/sweep.hpp"

namespace durabled::test {
namespace {

std::string insert(const std::string& step) {
  return "'insert into public.effects values (''{sys_instance_id}'', " + step + ")'";
}

}  // namespace

std::vector<SweptKind> swept_kinds(const std::string& url) {
  return {
      {.name = "plain", .dsl = insert("1")},
      {.name = "login", .dsl = insert("1"), .logs_in = true},
      {.name = "chained",
       .dsl = "'insert into public.effects values (''{sys_instance_id}'', 1) returning step + 1 as next' |=> "
              "'x' ~> " +
              insert("$x.next") + " ~> " + insert("3"),
       .steps = 3},
      {.name = "join", .dsl = "df.join(" + insert("1") + ", " + insert("2") + ")", .steps = 2},
      {.name = "for_each",
       .dsl = "df.for_each('select v from generate_series(1, 3) v', " + insert("$item.v") + ", 2)",
       .steps = 3},
      {.name = "alone",
       .dsl = "'call public.note(''{sys_instance_id}'', 2)' ~> " + insert("1"),
       .at_least_once = "step"},
      {.name = "foreign", .dsl = insert("1") + " ~> " + insert("2"), .steps = 2, .elsewhere = true},
      {.name = "http",
       .dsl = "df.http('" + url + "/swept/{sys_instance_id}', 'GET') ~> " + insert("1"),
       .at_least_once = "call"},
      {.name = "signal", .dsl = "df.wait_for_signal('go') ~> " + insert("1"), .signal = "go"},
      {.name = "timer", .dsl = "df.sleep(0.02) ~> " + insert("1")},
  };
}

SweptRole::SweptRole(const World& world, const TestDatabase& elsewhere, const HttpTestServer& http,
                     const std::string& role)
    : http_(http), sql_(world.session(role)), elsewhere_(elsewhere.conninfo(role)) {}

std::string SweptRole::submit(const SweptKind& kind) {
  const std::string id = sql_.text(
      "insert into df.submit (dsl, label, database) values ($1, $2, coalesce($3, current_database())) "
      "returning id",
      kind.dsl, kind.name,
      kind.elsewhere ? Value(elsewhere_.text("select current_database()")) : std::nullopt);
  if (!kind.signal.empty()) sql_.exec("select df.signal($1, $2, '{}')", id, kind.signal);
  return id;
}

// Attempts that a lost connection failed, their timers, and the marks of those that last, come and go.
std::string SweptRole::history_of(const std::string& id) {
  return sql_
      .value(
          "select string_agg(concat_ws(' ', kind, node, scope), ', ' order by kind, node, scope)"
          " from df.history($1) h where kind not in ('StepStarted', 'StepFailed') and not (kind = "
          "'TimerFired' and"
          " exists (select from df.history($1) f where f.kind = 'StepFailed' and f.node = h.node))",
          id)
      .value_or("");
}

std::string SweptRole::fault_of(const SweptKind& kind, const std::string& id) {
  const std::string status = end_of(sql_, id, std::chrono::seconds{60});
  if (status != "completed") return "it is " + status + ": " + error_of(sql_, id);
  Sql& sql = kind.elsewhere ? elsewhere_ : sql_;
  for (int step = 1; step <= kind.steps; ++step) {
    const long long count =
        sql.number("select count(*) from public.effects where instance = $1 and step = $2::int", id, step);
    if (count != 1) return "step " + std::to_string(step) + " has " + std::to_string(count) + " effects";
  }
  if (kind.at_least_once == "step" &&
      sql.number("select count(*) from public.effects where instance = $1", id) <= kind.steps)
    return "the step outside a transaction has no effect";
  if (kind.at_least_once == "call" && http_.count("/swept/" + id) == 0) return "no call was made";
  const std::string history = history_of(id);
  const std::string& first = histories_.try_emplace(kind.name, history).first->second;
  if (history != first) return "its history is " + history + "\nand was once " + first;
  return "";
}

}  // namespace durabled::test

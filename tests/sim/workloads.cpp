#include "tests/sim/workloads.hpp"

#include <random>
#include <string>
#include <utility>

namespace durabled::sim {
namespace {

class Generator {
 public:
  explicit Generator(std::uint64_t seed) : random_(seed) {}

  Workload run(std::string id) {
    Workload one;
    one.id = std::move(id);
    one.endless = below(8) == 0;
    one.dsl = (one.endless ? "@> " : "") + node(3);
    one.deterministic = deterministic_ && !one.endless;
    return one;
  }

 private:
  std::size_t below(std::size_t limit) { return random_() % limit; }
  std::string text(const std::string& what) { return "'" + what + ' ' + std::to_string(++texts_) + "'"; }
  // Its result depends on time.
  std::string timed(std::string node) {
    deterministic_ = false;
    return node;
  }

  std::string leaf() {
    switch (below(14)) {
      case 0:
        return "df.sleep(0.0" + std::to_string(1 + below(9)) + ")";
      case 1:
        return "df.sleep(" + std::to_string(1 + below(5)) + ")";
      case 2:
        return "df.wait_for_signal('go')";
      case 3:
        return timed("df.wait_for_signal('go', 0." + std::to_string(1 + below(9)) + ")");
      case 4:
        return "df.http('http://x')";
      case 5:
        return text("alone");
      case 6:
        return text("flaky");
      case 7:
        return below(3) == 0 ? text("bad") : text("slow");
      case 8:
        return "df.catch(df.fail('no'), " + text("handler") + ")";
      case 9:
        return timed("df.retry(df.http('http://x'), 3, 0.05)");
      default:
        return text("sql");
    }
  }

  std::string list(int depth, const char* between) {
    std::string all = node(depth);
    for (std::size_t i = below(3); i > 0; --i) all += between + node(depth);
    return all;
  }

  std::string node(int depth) {
    if (depth == 0) return leaf();
    const std::size_t kind = below(14);
    // What repeats is not nested, so that the number of steps stays small.
    const bool repeats = kind >= 8 && kind <= 9;
    if (repeats && std::exchange(repeating_, true)) return leaf();
    std::string made;
    switch (kind) {
      case 0:
      case 1:
        return '(' + list(depth - 1, " ~> ") + ')';
      case 2:
        ++names_;
        return "(" + text("sql") + " |=> 'x" + std::to_string(names_) + "' ~> 'use $x" +
               std::to_string(names_) + "')";
      case 3:
        return "df.join(" + node(depth - 1) + ", " + list(depth - 1, ", ") + ")";
      case 4:
        return timed("df.race(" + node(depth - 1) + ", " + list(depth - 1, ", ") + ")");
      case 5:
        return timed("df.any(" + node(depth - 1) + ", " + list(depth - 1, ", ") + ")");
      case 6:
        return "df.if(" + text(below(2) == 0 ? "is 3:" : "sql") + ", " + node(depth - 1) + ", " +
               node(depth - 1) + ")";
      case 7:
        return "df.catch(" + node(depth - 1) + ", " + node(depth - 1) + ")";
      case 8:
        made = "df.loop(" + node(depth - 1) + ", 'until')";
        break;
      case 9:
        made = "df.for_each('rows', " + node(depth - 1) + ", " + std::to_string(1 + below(7)) + ")";
        break;
      case 10:
        return timed("df.retry(" + text(below(2) == 0 ? "flaky" : "bad") +
                     ", 4, 0.05)");  // faults use attempts up
      case 11:
        return timed("df.timeout(" + node(depth - 1) + ", " + std::to_string(1 + below(3)) + ")");
      case 12:
        ++names_;
        return "('rows' |=> 'x" + std::to_string(names_) + "' ~> df.if_rows('x" + std::to_string(names_) +
               "', " + node(depth - 1) + "))";
      default:
        return leaf();
    }
    repeating_ = false;
    return made;
  }

  std::mt19937_64 random_;
  int texts_ = 0, names_ = 0;
  bool deterministic_ = true, repeating_ = false;
};

}  // namespace

const std::vector<Workload>& fixed_workloads() {
  static const std::vector<Workload> all = {
      {"sequence", "'a' |=> 'x' ~> 'b $x' ~> 'c'"},
      {"join", "df.join('a' ~> 'b', 'c' ~> df.sleep(0.05) ~> 'd', 'e', 'f' ~> 'g') ~> 'h'"},
      {"wide", "df.join('a','b','c','d','e','f','g','h','i','j','k','l') |=> 'all' ~> 'use $all'"},
      {"rows", "df.for_each('rows', 'a $item.v' ~> 'b $item.v', 3)"},
      {"failing rows",
       "df.catch(df.for_each('rows', 'a' ~> df.if('a', df.if_rows('nothing', 'x')), 2), 'handler') ~> "
       "'after'"},
      {"bad row", "df.catch(df.for_each('rows', df.join('a $item.v', 'bad') , 2), 'h') ~> 'after'"},
      {"one bad row", "df.catch(df.for_each('rows', 'not 3: $item.v', 3), 'h') ~> df.sleep(2) ~> 'after'"},
      {"one broken row",
       "df.loop(df.for_each('rows', df.if('is 3: $item.v', df.break('1')), 3)) ~> df.sleep(2) ~> 'after'"},
      {"breaking rows", "df.loop(df.for_each('rows', 'a' ~> df.break('1'), 3)) ~> 'after'"},
      {"loop", "df.loop('body' ~> 'more', 'until')"},
      {"nested", "df.loop(df.loop('body' |=> 'b', 'until') ~> df.sleep(1) ~> 'use $b', 'until') ~> 'z'"},
      {"loops", "df.for_each('rows', df.loop(df.join('a', 'b'), 'until'), 4)"},
      {"flaky", "df.join('flaky 1', 'flaky 2') ~> df.retry('flaky 3', 12, 0.1)"},
      {"bad", "'a' ~> df.catch('bad', 'handle $error.sqlstate') ~> 'bad'"},
      {"sleeps", "df.sleep(0.05) ~> 'a' ~> df.sleep(7) ~> df.join(df.sleep(3), 'b' ~> df.sleep(1) ~> 'c')"},
      {"signal", "df.join(df.wait_for_signal('go') ~> 'a', 'b' ~> df.wait_for_signal('go') ~> 'c') ~> 'd'"},
      {"calls", "df.join(df.http('http://x'), df.http('http://y'), 'a') ~> df.http('http://z') ~> 'b'"},
      {"alone", "'a' ~> df.join('alone 1', 'b') ~> 'alone 2'"},
      {"race", "df.race('a' ~> 'b', df.sleep(0.01) ~> 'c', df.race('d', df.http('http://x'))) ~> 'e'", false},
      {"alone race", "df.race('alone 1', df.catch('bad', 'h'), 'bad') ~> df.any('bad', 'alone 2', 'b')",
       false},
      {"timeout", "df.catch(df.timeout(df.join('a' ~> 'b', df.sleep(0.1) ~> 'c'), 0.2), 'late') ~> 'd'",
       false},
      {"timed signal", "df.loop(df.wait_for_signal('go', 1) ~> 'a', 'until') ~> 'b'", false},
      {"endless", "@> df.join('a', 'b' ~> df.sleep(0.1))", false, true},
      {"restless", "df.loop(df.sleep(0), df.sleep(0))", false, true},
      {"text", "this is no workflow"},
  };
  return all;
}

std::vector<Workload> generated_workloads(std::uint64_t seed, int count) {
  std::vector<Workload> all;
  for (int i = 0; i < count; ++i) {
    Generator generator(seed * 1'000 + static_cast<std::uint64_t>(i));
    all.push_back(generator.run("generated " + std::to_string(i)));
  }
  return all;
}

}  // namespace durabled::sim

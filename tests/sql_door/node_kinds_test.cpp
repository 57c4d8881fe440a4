// The kinds of nodes are listed in C++ (dsl/graph/kinds.cpp), in the schema and in the documents; all agree.
#include <set>
#include <string>

#include "dsl/graph/kinds.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/paths.hpp"
#include "tests/support/postgres_server.hpp"
#include "tests/support/sql.hpp"
#include "tests/support/temporary_directory.hpp"

using namespace durabled;
using namespace durabled::test;

namespace {

constexpr std::string_view kFields[] = {"condition_node", "left_node", "right_node", "extra_nodes"};

char mark(bool is_taken, bool is_required) {
  return !is_taken ? '-' : is_required ? '!' : '?';
}

// In the form of df._node_shape.
std::string shape_of(const dsl::KindInfo& kind) {
  std::string shape;
  for (const std::string_view field : kFields) {
    bool is_required = false;
    for (std::size_t i = 0; i < kind.min_children; ++i) is_required |= kind.slots[i].field == field;
    shape += mark(kind.takes(field), is_required);
  }
  return shape + mark(kind.query != dsl::QueryUse::kNone, kind.query == dsl::QueryUse::kRequired);
}

// Both forms of the IF are one kind to the schema: what one of them lacks is allowed.
std::string either(const std::string& a, const std::string& b) {
  std::string shape;
  for (std::size_t i = 0; i < a.size(); ++i) shape += a[i] == b[i] ? a[i] : '?';
  return shape;
}

}  // namespace

TEST_CASE("the schema knows the kinds of nodes of the program, and what each is made of", "[S2.1]") {
  const TestDatabase database = fresh_database();
  Sql sql(database.conninfo());
  std::set<std::string> types;
  for (const dsl::KindInfo& kind : dsl::all_kinds()) {
    const std::string type(kind.type);
    INFO(type);
    types.insert(type);
    const std::string shape = type == "IF" ? either(shape_of(dsl::info(dsl::NodeKind::kIf)),
                                                    shape_of(dsl::info(dsl::NodeKind::kIfRows)))
                                           : shape_of(kind);
    CHECK(sql.text("select df._node_shape($1)", type) == shape);
    CHECK(
        sql.text("select count(*) > 0 from pg_proc where pronamespace = 'df'::regnamespace and proname = $1",
                 std::string(kind.function)) == "t");
  }
  std::string listed;
  for (const std::string& type : types) listed += type + " ";
  CHECK(
      sql.text("select string_agg(t, ' ' order by t collate \"C\") || ' ' from unnest(df._node_types()) t") ==
      listed);
}

TEST_CASE("df.explain names the children of each kind as the program does", "[S2.11]") {
  const TestDatabase database = fresh_database();
  Sql sql(database.conninfo());
  for (const dsl::KindInfo& kind : dsl::all_kinds()) {
    const std::size_t slots = std::min(kind.max_children, kind.slots.size());
    for (std::size_t i = 0; i < slots; ++i) {
      INFO(kind.function << " " << i);
      const std::string title = kind.flow == dsl::Flow::kBranches ? "branch " + std::to_string(i + 1) + ":"
                                                                  : std::string(kind.slots[i].title);
      CHECK(sql.text("select coalesce(df._heading($1, $2::boolean, $3::int), '')", std::string(kind.type),
                     kind.kind == dsl::NodeKind::kIfRows ? "t" : "f", std::to_string(i)) == title);
    }
  }
}

TEST_CASE("the language's document has each function and operator", "[S2.1]") {
  const std::string text = read_file(std::string(kSourceDirectory) + "/docs/language.md");
  for (const dsl::KindInfo& kind : dsl::all_kinds()) {
    INFO(kind.function);
    CHECK(text.find("`df." + std::string(kind.function) + "(") != std::string::npos);
    if (!kind.symbol.empty()) CHECK(text.find(kind.symbol) != std::string::npos);
  }
}

#include "tests/examples/doc_examples.hpp"

#include <sstream>
#include <stdexcept>

namespace durabled::test {
namespace {

// What stands behind "<!-- key:" and before "-->".
bool take_comment(const std::string& comment, const std::string& key, std::string& value) {
  const std::string begin = "<!-- " + key + ": ", end = " -->";
  if (!comment.starts_with(begin) || !comment.ends_with(end)) return false;
  value = comment.substr(begin.size(), comment.size() - begin.size() - end.size());
  return true;
}

void add_comment(Example& example, const std::string& comment) {
  std::string value;
  if (take_comment(comment, "setup", value)) {
    example.setup.push_back(value);
  } else if (take_comment(comment, "check", value)) {
    example.check.push_back(value);
  } else if (!take_comment(comment, "expect", example.expect) &&
             !take_comment(comment, "warning", example.warning)) {
    throw std::runtime_error("not a comment that the convention knows: " + comment);
  }
}

void check_result(Sql& sql, const std::string& id, const std::string& expect) {
  if (expect == "running") {
    await_put_down(sql, id);
    sql.exec("select df.cancel($1, 'seen enough')", id);
    CHECK(end_of(sql, id) == "cancelled");
    return;
  }
  const std::string status = end_of(sql, id);
  if (expect.starts_with("failed \"")) {
    CHECK(status == "failed");
    const std::string error = error_of(sql, id);
    INFO("expected the error: " << expect << ", got: " << error);
    CHECK(sql.text("select strpos($1::jsonb ->> 'message', $2::jsonb #>> '{}') > 0",
                   error.empty() ? "{}" : error, expect.substr(7)) == "t");
  } else if (expect == "completed" || expect == "failed" || expect == "cancelled") {
    INFO(error_of(sql, id));
    CHECK(status == expect);
  } else {
    INFO(error_of(sql, id));
    CHECK(status == "completed");
    const std::string result = result_of(sql, id);
    INFO("expected " << expect << ", got " << result);
    CHECK(holds(sql, result.empty() ? "null" : result,
                "j @> '" + sql.text("select replace($1, '''', '''''')", expect) + "'"));
  }
}

void check_warnings(Sql& sql, const std::string& id, const std::string& expect) {
  const std::string warnings =
      sql.value("select min(data ->> 'warnings') from df.history($1) where kind = 'InstanceStarted'", id)
          .value_or("");
  INFO("warnings: " << warnings);
  if (expect.empty())
    CHECK(warnings.empty());
  else
    CHECK(sql.text("select exists (select from jsonb_array_elements_text(nullif($1, '')::jsonb) w"
                   " where strpos(w, $2) > 0)",
                   warnings, expect) == "t");
}

// What is an expression means the same to PostgreSQL itself.
void check_sql_door(Sql& sql, const Example& example) {
  const bool is_statement =
      example.text.find("df.start(") != std::string::npos || example.text.ends_with(";\n");
  if (is_statement || example.expect.starts_with("failed")) return;
  CHECK_THAT(sql.text("select df.explain((" + example.text + ")::text)"),
             !ContainsSubstring("Invalid durable function graph"));
}

}  // namespace

std::vector<Example> examples_of(const std::string& document) {
  std::vector<Example> examples;
  Example next;
  std::istringstream lines(document);
  std::string line, comment;
  bool inside = false;
  for (int number = 1; std::getline(lines, line); ++number) {
    if (inside) {
      inside = line != "```";
      if (inside) examples.back().text += line + "\n";
    } else if (line == "```df") {
      inside = true;
      next.line = number + 1;
      examples.push_back(std::exchange(next, {}));
    } else if (!comment.empty() || line.starts_with("<!--")) {
      comment += (comment.empty() ? "" : " ") + line;
      if (comment.ends_with("-->")) add_comment(next, std::exchange(comment, {}));
    } else {
      next = {};
    }
  }
  return examples;
}

void run_examples(const std::string& page, const std::vector<Example>& examples, Sql& session) {
  for (const Example& example : examples) {
    INFO(page << ":" << example.line << "\n" << example.text);
    for (const std::string& setup : example.setup) session.exec(setup);
    const std::string id = submit(session, example.text);
    check_result(session, id, example.expect);
    check_warnings(session, id, example.warning);
    check_sql_door(session, example);
    for (const std::string& check : example.check) {
      INFO("check: " << check);
      CHECK(session.value(check) == "t");
    }
  }
}

}  // namespace durabled::test

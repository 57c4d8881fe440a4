// What a SQL step's text is, as far as it can be said without a server: how many statements, and of which
// sort. docs/language.md, df.sql.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace durabled::dsl {

struct SqlStatements {
  int count =
      0;  // statements that are not empty, split at ';' outside quotes, parentheses and BEGIN ATOMIC … END
  std::string first_keyword;   // of the first statement, upper case; empty when it does not begin with a word
  std::string second_keyword;  // the word after it
  bool client_copy = false;    // COPY … FROM STDIN or TO STDOUT
  bool workflow_text = false;  // begins as a text of the language does: with a string, df. or @>
  // Begins with what no statement begins with: a number, an operator, or the reference that `value` then is ("$r.ok").
  bool is_value = false;
  std::string value;
  bool leading_semicolon = false;  // an empty statement comes before the first
  std::string parameter;           // the first of its parameters: "$1"
};

// Total and linear: unclosed quotes and comments reach to the end of the text.
SqlStatements scan_statements(std::string_view sql);

// Why `sql` cannot be a step: empty, more than one statement, a transaction command, or a COPY that needs a
// client.
std::optional<std::string> check_sql_step(std::string_view sql);

// The first parameter of `sql`, such as "$1", which nothing can bind; empty for none, and in PREPARE and CREATE, whose
// statements may have parameters of their own.
std::string unbound_parameter(std::string_view sql);

}  // namespace durabled::dsl

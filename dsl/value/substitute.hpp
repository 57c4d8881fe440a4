// References in templates: {name} variables first, then $name results. docs/language.md, "References".
#pragma once

#include <cstddef>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "dsl/expected.hpp"
#include "dsl/value/names.hpp"
#include "dsl/value/reference.hpp"
#include "dsl/value/result.hpp"
#include "dsl/value/variables.hpp"

namespace durabled::dsl {

struct Bindings {
  const Names& names;
  const Variables& variables;               // sys_instance_id and sys_label included
  std::size_t max_bytes = kMaxSubstituted;  // a longer text is an error
};

struct SubstitutionError {
  std::string message;    // "$n has no rows", "$n is NULL", "$n has no column \"x\"; it has: a, b", …
  std::string hint = {};  // what to write instead; empty when there is nothing to say
  std::string code = "reference";
};

// What the writer of a template may want to know although nothing failed.
struct Notes {
  std::vector<std::string> warnings;  // sentences; at most ten
  // `spelling` took the first of several rows.
  void add_first_row(const std::string& spelling);
};

// `text` as one SQL statement: references by SQL's lexical rules, typed and quoted literals. A name that
// nothing binds
// ("$typo") is an error that lists the bound names; inside a string it is text, and stays.
Expected<std::string, SubstitutionError> substitute_sql(std::string_view text, const Bindings& bindings,
                                                        Notes* notes = nullptr);

// `text` as plain text (url, body, header value, break value, cron, signal name, duration, label).
// A name that nothing binds stays as it is. {secret.NAME} is left as it is: only HTTP steps know secrets.
Expected<std::string, SubstitutionError> substitute_text(std::string_view text, const Bindings& bindings,
                                                         Notes* notes = nullptr);

// The references of `text`, in SQL or in plain text, in their order; ${} is none. Never fails.
std::vector<Reference> references_in(std::string_view text, bool is_sql);

// The names that `text` references with $, in SQL or in plain text, and where each is first; for warnings.
// Never fails.
std::map<std::string, std::size_t> referenced_names(std::string_view text, bool is_sql);

// Where the references of plain text begin and end.
std::vector<std::pair<std::size_t, std::size_t>> reference_places(std::string_view text);

// The variables {name} that `text` may have, but for those that are always there.
std::set<std::string> variable_names(std::string_view text);

// The names that a statement references in its code, not only inside strings. Empty where a
// {variable} occurs in it, which may hold anything.
std::set<std::string> names_in_code(std::string_view sql);

}  // namespace durabled::dsl

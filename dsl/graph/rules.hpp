// The rules for one node's name, text and options: the same for both doors, because both put their nodes
// through here. docs/language.md, "Steps" and "Combinators".
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "dsl/expected.hpp"
#include "dsl/graph/graph.hpp"

namespace durabled::dsl {

// [A-Za-z_][A-Za-z0-9_]*
bool is_identifier(std::string_view text);
// Why `name` cannot be a name: "'my name' is not a valid identifier: …".
std::optional<std::string> check_name(std::string_view name);

// Checks `node` (all but its children) and puts its arguments into canonical form: the method upper case,
// headers and parts as compact JSON, durations rounded to microseconds, sleep's text as format_seconds()
// writes it. Safe to repeat. Error: what is wrong, naming the argument and what it allows.
std::optional<std::string> apply_rules(Node& node);

// "40001 53 08" or "503, 429" as codes; error: the first word that is not a code.
Expected<std::vector<std::string>, std::string> parse_retry_codes(std::string_view text);

// "200 404" or "2xx, 404" as statuses and classes, in lower case; error: the word that is neither.
Expected<std::vector<std::string>, std::string> parse_expected_statuses(std::string_view text);

// `words` with a space between each two.
std::string joined_words(const std::vector<std::string>& words);

// `text` cut to a readable length for a message, control characters as spaces.
std::string shorten(std::string_view text, std::size_t max_bytes = 60);

}  // namespace durabled::dsl

// Text that others wrote, for a terminal or a log: nothing in it can act on the terminal, begin a line of its own,
// or change the order in which the text around it is shown.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace durabled::daemon {

// The bytes of the character at the beginning of `text` when it is one of those that must not be shown as they
// are: control characters (C0, DEL, C1), marks that turn the direction of writing, separators of lines and
// paragraphs, tag characters, and bytes that are not UTF-8. 0 otherwise. Requires: `text` not empty.
std::size_t hidden_character(std::string_view text);

// `text` with each such character but those in `kept` as \xNN (below U+0100, and single bytes) or \u{NNNN}.
std::string with_escapes(std::string_view text, std::string_view kept = "");

// The same for JSON text, which stays valid: such a character within a string becomes \uNNNN. White space between
// tokens stays.
std::string json_with_escapes(std::string_view json);

// At most `most` bytes of the text; a longer one is cut between characters, with a note of how many are missing.
std::string cut_text(std::string_view text, std::size_t most);

// The same in one line, for a log, with escapes; line breaks are written as " | ".
std::string one_log_line(std::string_view text, std::size_t most);

}  // namespace durabled::daemon

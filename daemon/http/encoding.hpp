// Base64 and UTF-8, as form uploads and response bodies need them.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace durabled::daemon {

// RFC 4648 section 4, padded, on one line.
std::string base64_encode(std::string_view bytes);

// The reverse; white space is skipped wherever it stands (Postgres' encode() breaks lines). nullopt: a
// character outside the alphabet, or wrong padding.
std::optional<std::string> base64_decode(std::string_view text);

// Valid UTF-8 (no surrogates, no overlong forms) without NUL: what a JSON string in Postgres can hold.
bool is_storable_text(std::string_view bytes);

// Each byte taken as a Latin-1 character: how header values that are not UTF-8 are read.
std::string latin1_to_utf8(std::string_view bytes);

bool equals_ignoring_case(std::string_view left, std::string_view right);
std::string ascii_lower(std::string_view text);
std::string_view trim_blanks(std::string_view text);  // space, tab, CR, LF

}  // namespace durabled::daemon

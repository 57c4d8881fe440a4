// Whether a text is JSON. What a server or a role's function gives as JSON is checked before it becomes a part of
// JSON that the daemon writes, so that no value can end early and have its rest read as something else.
#pragma once

#include <string_view>

namespace durabled::dsl {

// One JSON value (RFC 8259), with white space around it; strings may hold any byte that is not a control character.
// Total; a loop, not a recursion; its memory is one bit for each level of nesting.
bool is_json(std::string_view text);

// The grammar of a JSON number, without white space.
bool is_json_number(std::string_view text);

}  // namespace durabled::dsl

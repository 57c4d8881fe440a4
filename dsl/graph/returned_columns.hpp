// Which columns a statement returns, as far as its text tells without a server.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace durabled::dsl {

// A column each, with its name in lower case, empty where only the server knows the name. No columns at all for an
// INSERT, UPDATE, DELETE or MERGE without RETURNING. nullopt where the text does not tell: a *, a WITH, a {variable}
// and every other statement. Total and linear.
std::optional<std::vector<std::string>> returned_columns(std::string_view sql);

// Whether the statement is a COPY … TO a file or a program of the server's host.
bool copies_to_server(std::string_view sql);

}  // namespace durabled::dsl

// PostgreSQL's ISO timestamps as RFC 3339.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace durabled::dsl {

// "2026-11-20 12:00:00.5" -> "2026-11-20T12:00:00.5". nullopt for what RFC 3339 cannot say: infinity, BC, a
// year past 9999.
std::optional<std::string> rfc3339_local(std::string_view text);

// "2026-11-20 12:00:00.5+05:30" -> "2026-11-20T06:30:00.5Z". The offset may have minutes and seconds. nullopt
// as above, also when the moment is out of range only in UTC.
std::optional<std::string> rfc3339_utc(std::string_view text);

}  // namespace durabled::dsl

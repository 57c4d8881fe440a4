// What a reference becomes in the text around it: SQL code, the inside of a string, JSON, part of a URL.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "dsl/expected.hpp"
#include "dsl/value/names.hpp"
#include "dsl/value/reference_sites.hpp"
#include "dsl/value/substitute.hpp"

namespace durabled::dsl {

using Rendered = Expected<std::string, SubstitutionError>;

// In plain text, and inside strings before their escaping.
Rendered render_text(const Reference& reference, const Result& result);
// As one value, list or relation of SQL. `rest` is the template after the reference.
Rendered render_code(const ReferenceSite& site, const Result& result, std::string_view rest);
// As one JSON value: numbers without quotes, whatever their type; null for NULL where '?' allows it.
Rendered render_json(const Reference& reference, const Result& result);

// Whether a reference takes the first row and there are more: the writer may have meant all.
bool leaves_rows_out(const Reference& reference, const Result& result);

SubstitutionError not_bound(const Reference& reference, const Names& names);
SubstitutionError has_nul(const Reference& reference);
SubstitutionError too_long(std::size_t max_bytes = kMaxSubstituted);

}  // namespace durabled::dsl

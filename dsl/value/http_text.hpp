// Templates of HTTP calls, whose values are encoded for the place they go to: in a body that is JSON
// apart from its references, and in a URL. {name} variables are raw text here as everywhere.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "dsl/expected.hpp"
#include "dsl/value/substitute.hpp"

namespace durabled::dsl {

enum class HttpText {
  // Header values, form fields: as substitute_text().
  kPlain,
  // JSON apart from its references: inside a string a value's text is escaped, elsewhere it is a literal
  // (numbers, true, arrays, objects, null for NULL where '?' allows it). A body that is one whole reference,
  // and one that is not JSON, as substitute_text().
  kBody,
  // In a path segment and in a query's names and values everything but A-Z a-z 0-9 - . _ ~ is
  // percent-encoded; a value that would make a segment "." or ".." is an error. As it is: a reference that is
  // the whole URL or its beginning ($base/x), one in the host, and one that is the whole query (?$q).
  kUrl,
};

// `pieces` are the template's literal text, with something opaque (a secret) between each two of them.
// Returns as many pieces. Errors as of substitute_text(); in JSON outside strings also a name that nothing
// binds. `notes`, unless null: see Notes.
Expected<std::vector<std::string>, SubstitutionError> substitute_http(const std::vector<std::string>& pieces,
                                                                      HttpText kind, const Bindings& bindings,
                                                                      Notes* notes = nullptr);

// The references of `text` whose values would not be encoded although other text is beside them, so that a
// value could change the structure; for warnings. In a body: those of one that looks like JSON and is not.
std::vector<std::string> unencoded_references(std::string_view text, HttpText kind);

// Of the names that a body references, those outside of its strings, where the body is JSON apart from its references:
// a step whose body references one of them fails when nothing binds it. Empty where a {variable} occurs in the body,
// which may hold anything.
std::set<std::string> names_in_json(std::string_view body);

}  // namespace durabled::dsl

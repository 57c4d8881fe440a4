// The syntax of $name references, in SQL and in plain text. What they mean is value/lookup.hpp's.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "dsl/value/variables.hpp"

namespace durabled::dsl {

struct Reference {
  enum class Form { kValue, kArray, kRelation };  // $n.path, $n[] or $n.col[], $n.*

  std::size_t begin = 0, end = 0;  // in the expanded template
  std::string name;
  std::vector<std::string> path;  // column, then keys and indexes
  Form form = Form::kValue;
  bool is_optional = false;  // with '?'

  // As it was written, without '?': "$n.col.0", "$n[]".
  std::string spelling() const;
};

// The reference that begins with the '$' at `position`, made of the author's characters before `limit` only;
// nullopt when there is none ("$1", "$$", "$tag$", "$ "). A dot that no name, number or '*' follows ends it,
// as in "of $row.id.". `in_code`: in SQL outside strings, where a column may be quoted ($n."Total Sum") and a
// '?' always belongs to the reference. In text, a '?' that a letter or digit follows is the text's, as in
// "/items/$n.id?page=2".
std::optional<Reference> parse_reference(const ExpandedTemplate& source, std::size_t position,
                                         std::size_t limit, bool in_code);

// Where to go on in text when no reference begins at the '$' at `position`: past "$$", "$tag$" or the '$'.
std::size_t skip_dollar_in_text(const ExpandedTemplate& source, std::size_t position, std::size_t limit);

// The references of plain text, in order.
std::vector<Reference> scan_text(const ExpandedTemplate& source);

}  // namespace durabled::dsl

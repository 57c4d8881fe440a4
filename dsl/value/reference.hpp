// The syntax of $name references, in SQL and in plain text. What they mean is value/lookup.hpp's.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "dsl/value/variables.hpp"

namespace durabled::dsl {

struct Reference {
  // $n.path, $n[] or $n.col[], $n.*; kDollar: ${}, which writes a dollar sign in text and has no name.
  enum class Form { kValue, kArray, kRelation, kDollar };

  std::size_t begin = 0, end = 0;  // in the expanded template
  std::string name;
  std::vector<std::string> path;  // column, then keys and indexes
  Form form = Form::kValue;
  bool is_optional = false;  // with '?'

  // As it was written, without braces and '?': "$n.col.0", "$n[]".
  std::string spelling() const;
};

// What belongs to a reference depends on where it is. Braces (${n.col?}) say so everywhere: a '?' before the
// closing one is the reference's, and a column may be quoted there (${n."Total Sum"}).
enum class ReferenceSyntax {
  kCode,        // SQL or JSON outside strings: a column may be quoted, a '?' is the reference's; no ${}
  kString,      // inside a string of SQL: a '?' behind a reference is the text's
  kJsonString,  // the same, and no quotes within braces, because they would end the string
  kText,     // plain text: a '?' is the reference's unless a letter or digit follows, as in "/$n.id?page=2"
  kUrlPath,  // a '?' is the reference's at the end of the text only
};

// The reference that begins with the '$' at `position`, made of the author's characters before `limit` only;
// nullopt when no reference begins there ("$1", "$$", "$tag$", "$ "). A dot that no name, number or '*' follows ends it,
// as in "of $row.id.".
std::optional<Reference> parse_reference(const ExpandedTemplate& source, std::size_t position,
                                         std::size_t limit, ReferenceSyntax syntax);

// Where to go on in text when no reference begins at the '$' at `position`: past "$$", "$tag$" or the '$'.
std::size_t skip_dollar_in_text(const ExpandedTemplate& source, std::size_t position, std::size_t limit);

// The references of plain text, in order.
std::vector<Reference> scan_text(const ExpandedTemplate& source);

}  // namespace durabled::dsl

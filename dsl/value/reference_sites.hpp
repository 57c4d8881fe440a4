// Where the references in the text of a statement are, and what is around them.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "dsl/value/reference.hpp"

namespace durabled::dsl {

struct ReferenceSite {
  enum class Context {
    kCode,           // a token of its own
    kString,         // inside '…' (also N'…', B'…', X'…')
    kEscapeString,   // inside E'…'
    kUnicodeString,  // inside U&'…'
    kIdentifier,     // the whole text between the quotes of "…"
  };
  Reference reference;
  Context context = Context::kCode;
  bool in_body = false;            // inside a dollar-quoted body
  bool is_array_argument = false;  // ANY($n), ALL($n), SOME($n)
  bool is_list = false;            // IN ($n)
  // A string literal comes right before or after: one more would join it, or take its closing quote for an
  // escaped one.
  bool touches_string = false;
};

// A dollar-quoted body, whose text is scanned as SQL; bodies nest.
struct DollarBody {
  std::size_t begin = 0, end = 0;  // between the tags
  std::string tag;                 // "$$", "$body$"
};

struct ReferenceSites {
  std::vector<ReferenceSite> sites;  // by position
  std::vector<DollarBody> bodies;
};

// Linear in the size of the text, whatever it holds; a text that ends inside a token is scanned to its end.
ReferenceSites find_reference_sites(const ExpandedTemplate& source);

}  // namespace durabled::dsl

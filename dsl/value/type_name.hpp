// What a column's type means for writing its values back as SQL. Names are those of format_type(), with or
// without a length; they come out of results, which are data, so a name that is not lexically a type's is
// never written into SQL.
#pragma once

#include <string>
#include <string_view>

namespace durabled::dsl {

struct SqlType {
  enum class Kind {
    kText,     // an untyped literal, which Postgres coerces as its context wants
    kInteger,  // integer: a bare number
    kSmallint,
    kBigint,
    kNumeric,
    kFloat,
    kBool,
    kJson,   // json, jsonb
    kArray,  // cast is "element[]"
    kOther,  // '…'::cast
  };
  Kind kind = Kind::kText;
  std::string cast = "text";  // what may follow "::"; for kText, the type that a NULL of it gets
  std::string element;        // kArray: the element type's name
};

SqlType sql_type(std::string_view name);

// The array type that holds values of `type`; arrays of arrays are the same type.
std::string array_cast(const SqlType& type);

// `name` as a quoted identifier.
std::string quote_identifier(std::string_view name);
// Whether `name`, unquoted and in any case, cannot be a table's alias.
bool is_reserved_word(std::string_view name);

}  // namespace durabled::dsl

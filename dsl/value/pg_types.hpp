// PostgreSQL's types as results need them: from a cell's text form to JSON, and from JSON back to a typed
// literal. Text forms are those of DateStyle ISO, IntervalStyle postgres, bytea_output hex,
// extra_float_digits 1.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace durabled::dsl {

using TypeOid = std::uint32_t;

struct TypeInfo {
  enum class Category {
    kBool,
    kNumber,       // int2/4/8, float4/8: JSON number
    kJson,         // json, jsonb: as it is
    kTimestamp,    // RFC 3339 without zone
    kTimestampTz,  // RFC 3339 in UTC, "Z"
    kArray,
    kComposite,
    kText,  // everything else, numeric included: a JSON string of the text form
  };
  TypeOid oid = 0;
  std::string name;  // can be written into SQL whatever the search_path is
  Category category = Category::kText;
  TypeOid element = 0;   // kArray
  char delimiter = ',';  // kArray: the element type's typdelim (';' for box)
  struct Field {
    std::string name;
    TypeOid type;
  };
  std::vector<Field> fields;  // kComposite
};

// Types by OID; the built-in ones are there from the start. Not thread-safe.
class TypeCatalog {
 public:
  TypeCatalog();
  const TypeInfo* find(TypeOid oid) const;  // nullptr: not known, ask the server
  void add(TypeInfo type);
  // What a server said of a type of its users is true only for a moment: any of them may be altered.
  void learn(TypeInfo type);
  void forget_learned();

 private:
  std::map<TypeOid, TypeInfo> types_;
  std::vector<TypeOid> learned_;
};

// Appends the JSON of one cell (not NULL) of type `type` to `out`. A text that does not have its type's form, or a
// value that JSON has no form for (NaN, infinity, a date BC, an array with lower bounds, a JSON null within an array or a
// composite, a type unknown to `catalog`) is appended as a JSON string: with its type, it can be written back. Total: what
// is appended is always one JSON value.
void append_cell_json(std::string& out, std::string_view cell, TypeOid type, const TypeCatalog& catalog);

}  // namespace durabled::dsl

// Writes JSON text, member after member, into one string. Everything that durabled itself says in JSON (events,
// errors, turns, what commands print) is written here; values that came from PostgreSQL are handed on as they are.
//
//   JsonWriter json;
//   json.object().member("name", name).key("rows").list();
//   for (…) json.number(n);
//   json.close().close();
//   return json.take();
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace durabled::dsl {

// Appends `text` as a JSON string, quotes included; invalid UTF-8 and NUL, which no database can hold, become U+FFFD.
void append_json_string(std::string& out, std::string_view text);

class JsonWriter {
 public:
  JsonWriter() = default;
  // Goes on with the members of an object that is JSON already. Requires: `object` is an object's text.
  static JsonWriter extending(std::string object);

  JsonWriter& object() { return open('{', '}'); }
  JsonWriter& list() { return open('[', ']'); }
  JsonWriter& close();  // the innermost object or list
  JsonWriter& key(std::string_view name);

  // Values: of the key before, or of the list.
  JsonWriter& text(std::string_view value);
  JsonWriter& number(std::int64_t value);
  JsonWriter& raw(std::string_view json);  // JSON already
  // JSON that PostgreSQL accepted, see append_clean_json().
  JsonWriter& cleaned(std::string_view json);

  // Members of an object.
  JsonWriter& member(std::string_view name, std::string_view value) { return key(name).text(value); }
  JsonWriter& number(std::string_view name, std::int64_t value) { return key(name).number(value); }
  JsonWriter& raw(std::string_view name, std::string_view json) { return key(name).raw(json); }

  // The text. Requires: everything that was opened is closed.
  std::string take();

 private:
  JsonWriter& open(char bracket, char closing);
  void separate();

  std::string out_;
  std::string open_;  // the brackets that will close what is open, the innermost last
};

}  // namespace durabled::dsl

#include "dsl/graph/bounded_json.hpp"

namespace durabled::dsl {

Expected<boost::json::value, JsonParseError> parse_json(std::string_view text, std::size_t max_depth) {
  boost::json::parse_options options;
  options.max_depth = max_depth;
  boost::json::stream_parser parser({}, options);
  boost::system::error_code error;
  const std::size_t used = parser.write(text.data(), text.size(), error);
  if (!error) parser.finish(error);
  if (error) {
    const bool too_deep = error == boost::json::error::too_deep;
    return Unexpected{JsonParseError{
        too_deep, "not valid JSON: " + error.message() + " near byte " + std::to_string(used)}};
  }
  return parser.release();
}

std::string_view json_kind_name(const boost::json::value& value) {
  switch (value.kind()) {
    case boost::json::kind::null:
      return "null";
    case boost::json::kind::bool_:
      return "a boolean";
    case boost::json::kind::int64:
    case boost::json::kind::uint64:
    case boost::json::kind::double_:
      return "a number";
    case boost::json::kind::string:
      return "a string";
    case boost::json::kind::array:
      return "an array";
    case boost::json::kind::object:
      return "an object";
  }
  return "nothing";
}

}  // namespace durabled::dsl

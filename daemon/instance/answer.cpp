#include "daemon/instance/answer.hpp"

#include <memory>
#include <utility>

#include "daemon/http/answer_rows.hpp"
#include "dsl/value/json_check.hpp"
#include "dsl/value/json_slice.hpp"
#include "dsl/value/json_writer.hpp"

namespace durabled::daemon {
namespace {

constexpr const char* kCode = "http_rows";

// Rows are of an answer with a status of 2xx; another one that the step expects has none.
Expected<std::string, std::string> rows_of(const std::string& answer, const std::string& body, bool is_json,
                                           const dsl::HttpOptions& options) {
  const auto columns = dsl::parse_answer_columns(*options.columns);
  if (!columns) return Unexpected{columns.error()};
  const auto path = dsl::parse_row_path(*options.rows);
  if (!path) return Unexpected{path.error()};
  if (dsl::json_member(answer, "ok") != "true")
    return read_answer_rows("[]", {{dsl::PathStep::Kind::kAll, "", 0}}, *columns);
  if (!is_json) return Unexpected<std::string>{"rows: the body of the answer is not JSON"};
  return read_answer_rows(body, *path, *columns);
}

}  // namespace

Expected<dsl::Names, dsl::SubstitutionError> bind_answer(dsl::Names names, const dsl::HttpOptions& options) {
  const std::string answer = names.find(dsl::kResponseName)->json();
  const bool is_text = dsl::json_member(answer, "encoding") == "\"text\"";
  const std::string body =
      is_text ? dsl::decode_json_string(dsl::json_member(answer, "body").value_or("\"\"")) : "";
  const bool is_json = dsl::is_json(body);
  if (options.rows) {
    auto rows = rows_of(answer, body, is_json, options);
    if (!rows) return Unexpected{dsl::SubstitutionError{rows.error(), "", kCode}};
    names.bind(std::string(dsl::kRowsName), std::make_shared<const dsl::Result>(std::move(*rows)));
  }
  std::string with_json =
      dsl::JsonWriter::extending(answer).raw("json", is_json ? body : "null").close().take();
  names.bind(std::string(dsl::kResponseName), std::make_shared<const dsl::Result>(std::move(with_json)));
  return names;
}

}  // namespace durabled::daemon

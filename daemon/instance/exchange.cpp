#include "daemon/instance/exchange.hpp"

#include <boost/algorithm/hex.hpp>
#include <iterator>
#include <optional>
#include <utility>

#include "dsl/value/json_slice.hpp"
#include "dsl/value/json_writer.hpp"
#include "dsl/value/result.hpp"

namespace durabled::daemon {
namespace {

// The text form of a bytea, which every step's session writes as \x… unless the step itself has set another form.
std::optional<std::string> bytes_of(std::string_view text) {
  std::string bytes;
  if (!text.starts_with("\\x")) return std::nullopt;
  try {
    boost::algorithm::unhex(text.substr(2), std::back_inserter(bytes));
  } catch (const boost::algorithm::hex_decode_error&) {
    return std::nullopt;
  }
  return bytes;
}

}  // namespace

std::string HttpFacts::json() const {
  return dsl::JsonWriter()
      .object()
      .member("url", url)
      .number("status", status)
      .number("bytes", static_cast<std::int64_t>(bytes))
      .number("ms", took.count())
      .close()
      .take();
}

Expected<std::optional<HttpPayload>, dsl::Failure> payload_of(const std::string& result,
                                                              const dsl::Address& address, int attempt) {
  const auto fails = [&](const std::string& what, const std::string& hint) {
    dsl::Failure failure = dsl::make_failure("http_request", "request " + what, address.node, attempt, hint);
    failure.final = false;  // the next time it may return something else
    return Unexpected{std::move(failure)};
  };
  const dsl::Result parsed(result);
  const dsl::RowSet* set = parsed.row_set();
  if (set == nullptr || set->columns.size() != 1) {
    const std::size_t count = set == nullptr ? 0 : set->columns.size();
    return fails("returned " + std::to_string(count) + " columns; the body is one row with one column",
                 "Put the values into one with json_build_object(…).");
  }
  if (!set->first_row) return std::optional<HttpPayload>();
  if (set->has_several_rows()) {
    return fails("returned more than one row; the body is one row with one column",
                 "Collect the rows with json_agg(…), or make one call a row with df.for_each.");
  }
  const std::string_view cell = set->first_cell(set->columns.front());
  const std::string& type = set->columns.front().type;
  if (dsl::json_kind(cell) == dsl::JsonKind::kNull) {
    return fails("returned NULL as the body", "Return no row where nothing is to be called.");
  }
  const bool is_json = type == "json" || type == "jsonb";
  HttpPayload payload;
  payload.bytes = is_json ? std::string(dsl::trim_json(cell)) : dsl::json_text(cell);
  if (is_json) payload.content_type = "application/json";
  if (type == "bytea") {
    auto bytes = bytes_of(payload.bytes);
    if (!bytes) return fails("returned bytes in the form 'escape'", "Leave bytea_output as it is, hex.");
    payload = {std::move(*bytes), "application/octet-stream"};
  }
  return std::optional(std::move(payload));
}

const std::string& text_of(const dsl::Node& node, Exchange::Part part) {
  switch (part) {
    case Exchange::Part::kRequest:
      return *std::get<dsl::HttpOptions>(node.options).request;
    case Exchange::Part::kInto:
      return *std::get<dsl::HttpOptions>(node.options).into;
    case Exchange::Part::kCall:
      break;
  }
  return node.text;
}

}  // namespace durabled::daemon

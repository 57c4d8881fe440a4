#include "daemon/cli/error_text.hpp"

#include <boost/json.hpp>
#include <charconv>
#include <sstream>

#include "daemon/cli/instance_tree.hpp"
#include "dsl/graph/duration.hpp"
#include "dsl/graph/source.hpp"
#include "dsl/value/utf8.hpp"

namespace durabled::daemon::cli {
namespace {

boost::json::object object_of(const std::string& json) {
  boost::system::error_code bad;
  boost::json::value value = boost::json::parse(json, bad);
  return !bad && value.is_object() ? std::move(value.as_object()) : boost::json::object();
}

// A field as text; "" when it is not there or null.
std::string field(const boost::json::object& error, const char* name) {
  const boost::json::value* value = error.if_contains(name);
  if (value == nullptr || value->is_null()) return "";
  return value->is_string() ? std::string(value->as_string()) : boost::json::serialize(*value);
}

// The byte at which character `position`, from 1, begins.
std::optional<std::size_t> byte_of(const std::string& text, const std::string& position) {
  std::size_t left = 0;
  const char* end = position.data() + position.size();
  if (std::from_chars(position.data(), end, left).ptr != end || left == 0) return std::nullopt;
  const std::size_t offset = dsl::utf8_offset(text, left - 1);
  return offset < text.size() ? std::optional(offset) : std::nullopt;
}

// The server counts in the statement that it got: in the node's text only where nothing was replaced.
void add_place(std::vector<std::string>& lines, const dsl::Node* node, const std::string& position) {
  if (position.empty()) return;
  const bool is_same =
      node != nullptr && node->kind == dsl::NodeKind::kSql && !dsl::has_reference(node->text);
  const auto offset = is_same ? byte_of(node->text, position) : std::nullopt;
  if (!offset) {
    lines.push_back("position: character " + position + " of the statement");
    return;
  }
  const dsl::Position at = dsl::locate(node->text, *offset);
  lines.push_back("position: line " + std::to_string(at.line) + ", column " + std::to_string(at.column));
  std::istringstream excerpt(dsl::make_excerpt(node->text, at));
  for (std::string line; std::getline(excerpt, line);) lines.push_back("  " + line);
}

}  // namespace

std::string error_message(const std::string& error_json) {
  const boost::json::object error = object_of(error_json);
  const boost::json::value* message = error.if_contains("message");
  return message == nullptr || !message->is_string() ? error_json : std::string(message->as_string());
}

std::vector<std::string> error_details(const std::string& error_json,
                                       const std::optional<dsl::Graph>& graph) {
  const boost::json::object error = object_of(error_json);
  std::vector<std::string> lines;
  const std::string id = field(error, "node"), attempts = field(error, "attempts");
  const bool was_tried =
      !id.empty() && attempts != "0";  // what is cancelled or has no text failed at no node
  if (was_tried) {
    const auto texts = graph ? node_lines(*graph) : std::map<std::string, std::string>();
    const auto text = texts.find(id);
    const std::string scope = field(error, "scope");  // the iterations or rows in which the node ran
    lines.push_back("node: " + id + (text == texts.end() && scope.empty() ? "" : ", ") +
                    (scope.empty() ? "" : "[" + scope + "] ") + (text == texts.end() ? "" : text->second));
  }
  const dsl::NodeIndex index = graph ? dsl::node_index(*graph, id) : dsl::kNoNode;
  add_place(lines, index == dsl::kNoNode ? nullptr : &(*graph)[index], field(error, "position"));
  const std::string message = field(error, "message");  // parse errors already include the hint
  for (const char* key : {"detail", "hint", "sqlstate"}) {
    const std::string line = key + (": " + field(error, key));
    if (!field(error, key).empty() && !message.ends_with(line)) lines.push_back(line);
  }
  if (message.starts_with("permission denied to set role ") && field(error, "hint").empty()) {
    lines.push_back(
        "hint: identity.mode is set_role, so the daemon's role must be a member of that role: GRANT " +
        message.substr(std::string("permission denied to set role ").size()) + " TO the daemon's role");
  }
  if (was_tried && !attempts.empty()) lines.push_back("attempts: " + attempts);
  return lines;
}

}  // namespace durabled::daemon::cli

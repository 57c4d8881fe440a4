#include "dsl/engine/failure.hpp"

#include <algorithm>
#include <charconv>

#include "dsl/value/json_slice.hpp"
#include "dsl/value/json_writer.hpp"

namespace durabled::dsl {
namespace {

bool is_sqlstate(std::string_view code) {
  return code.size() == 5 && std::all_of(code.begin(), code.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z');
         });
}

}  // namespace

void Failure::add_text(std::string name, std::string_view text) {
  std::string json;
  append_json_string(json, text);
  more.emplace_back(std::move(name), std::move(json));
}

std::string Failure::write(bool all_fields) const {
  JsonWriter writer;
  writer.object();
  const auto field = [&](const char* name, bool is_there, std::string_view text) {
    if (is_there) {
      writer.member(name, text);
    } else if (all_fields) {
      writer.raw(name, "null");
    }
  };
  writer.member("message", message);
  if (!code.empty()) writer.member("code", code);
  field("sqlstate", is_sqlstate(code), code);
  field("detail", !detail.empty(), detail);
  field("hint", !hint.empty(), hint);
  for (const auto& [name, value] : more) writer.raw(name, value);
  field("node", !node.empty(), node);
  if (!node.empty()) {
    writer.number("attempts", attempts);
  } else if (all_fields) {
    writer.raw("attempts", "null");
  }
  return writer.close().take();
}

std::string Failure::json() const {
  return write(false);
}

std::string Failure::bound_json() const {
  return write(true);
}

Failure Failure::parse(std::string_view json) {
  Failure failure;
  if (json_kind(json) != JsonKind::kObject) return failure;
  std::string sqlstate;
  const std::pair<std::string_view, std::string*> texts[] = {
      {"message", &failure.message}, {"code", &failure.code}, {"sqlstate", &sqlstate},
      {"detail", &failure.detail},   {"hint", &failure.hint}, {"node", &failure.node}};
  for (JsonWalker members(json); members.next();) {
    const std::string name = members.key();
    const std::string_view value = members.value();
    const auto text = std::find_if(std::begin(texts), std::end(texts),
                                   [&](const auto& entry) { return entry.first == name; });
    if (name == "attempts") {
      std::from_chars(value.data(), value.data() + value.size(), failure.attempts);
    } else if (text == std::end(texts)) {
      failure.more.emplace_back(name, value);
    } else if (json_kind(value) != JsonKind::kNull) {
      *text->second = json_text(value);
    }
  }
  return failure;
}

Failure make_failure(std::string code, std::string message, NodeIndex node, int attempts, std::string hint) {
  Failure failure{std::move(code), std::move(message)};
  failure.hint = std::move(hint);
  failure.node = node_id(node);
  failure.attempts = attempts;
  failure.final = true;
  return failure;
}

}  // namespace durabled::dsl

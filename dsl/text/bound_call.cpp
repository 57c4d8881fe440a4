// Binding of positional and named arguments to parameters, and their types.
#include <charconv>
#include <cmath>

#include "dsl/graph/duration.hpp"
#include "dsl/graph/rules.hpp"
#include "dsl/text/functions.hpp"

namespace durabled::dsl {
namespace {

using Kind = Literal::Kind;

std::string signature(const FunctionCall& call, const std::vector<Parameter>& parameters) {
  std::string text = "df." + call.name + "(";
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    text += i > 0 ? ", " : "";
    text += parameters[i].required ? parameters[i].name : "[" + std::string(parameters[i].name) + "]";
  }
  return text + ")";
}

bool is_null(const Operand& operand) {
  return !operand.is_node() && operand.literal().kind == Kind::kNull;
}

}  // namespace

BoundCall::BoundCall(const FunctionCall& call, const std::vector<Parameter>& parameters)
    : call_(call), parameters_(parameters), values_(parameters.size(), nullptr) {
  std::vector<bool> given(parameters.size(), false);
  bool named = false;
  for (std::size_t i = 0; i < call.arguments.size(); ++i) {
    const Argument& argument = call.arguments[i];
    if (argument.name.empty() && named) {
      throw SyntaxError{"bad_argument", "a positional argument cannot follow a named one", "", argument.at};
    }
    named = named || !argument.name.empty();
    if (!named && i >= parameters.size()) {
      throw SyntaxError{"too_many_arguments",
                        "df." + call.name + " takes " +
                            (parameters.empty() ? "no" : "at most " + std::to_string(parameters.size())) +
                            (parameters.size() == 1 ? " argument" : " arguments"),
                        "it is " + signature(call, parameters), argument.at};
    }
    const std::size_t place = named ? find_parameter(argument) : i;
    if (given[place]) {
      throw SyntaxError{"bad_argument",
                        std::string("the argument ") + parameters[place].name + " is given twice", "",
                        argument.at};
    }
    given[place] = true;
    if (!is_null(argument.value)) values_[place] = &argument.value;
  }
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    if (!parameters[i].required || values_[i] != nullptr) continue;
    throw SyntaxError{
        "missing_argument",
        "df." + call.name + ": " + parameters[i].name + (given[i] ? " must not be NULL" : " is missing"),
        "it is " + signature(call, parameters), call.at};
  }
}

std::size_t BoundCall::find_parameter(const Argument& argument) const {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    if (argument.name == parameters_[i].name) return i;
    names.emplace_back(parameters_[i].name);
  }
  const std::string hint = did_you_mean(close_matches(argument.name, names));
  throw SyntaxError{"unknown_argument", "df." + call_.name + " has no argument named " + argument.name,
                    hint.empty() ? "it is " + signature(call_, parameters_) : hint, argument.at};
}

// Messages begin with the parameter's name, but for time zones and the names of results, items and signals.
Position BoundCall::place_of(std::string_view problem) const {
  const auto is_about = [&](std::string_view name) {
    if (name == "timezone") return problem.starts_with("time zone ");
    if (problem.starts_with(name)) return !is_identifier(problem.substr(0, name.size() + 1));
    return name == "name" && (problem.starts_with('\'') || problem.starts_with("the signal's name"));
  };
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    if (values_[i] != nullptr && is_about(parameters_[i].name)) return values_[i]->at;
  }
  return call_.at;
}

void BoundCall::wrong_type(std::size_t i, const char* expected) const {
  const Operand& operand = *values_[i];
  const std::string found = operand.is_node() ? "a step" : operand.literal().describe();
  throw SyntaxError{
      "bad_argument",
      "df." + call_.name + ": " + parameters_[i].name + " must be " + expected + ", found " + found, "",
      operand.at};
}

const Literal* BoundCall::literal(std::size_t i, const char* expected) const {
  if (values_[i] == nullptr) return nullptr;
  if (values_[i]->is_node()) wrong_type(i, expected);
  return &values_[i]->literal();
}

std::optional<std::string> BoundCall::optional_text(std::size_t i) const {
  const Literal* value = literal(i, "a string");
  if (value == nullptr) return std::nullopt;
  if (value->kind != Kind::kString && value->kind != Kind::kJson) wrong_type(i, "a string");
  return value->text;
}

std::string BoundCall::text(std::size_t i, const char* otherwise) const {
  return optional_text(i).value_or(otherwise);
}

std::optional<double> BoundCall::optional_seconds(std::size_t i) const {
  constexpr const char* kExpected = "a number of seconds or an interval";
  const Literal* value = literal(i, kExpected);
  if (value == nullptr) return std::nullopt;
  std::optional<double> seconds;
  if (value->kind == Kind::kInterval)
    seconds = value->seconds;
  else if (value->kind == Kind::kNumber || value->kind == Kind::kString)
    seconds = parse_seconds(value->text);
  if (!seconds) wrong_type(i, kExpected);
  if (auto problem = check_seconds(*seconds, parameters_[i].name)) {
    throw SyntaxError{"bad_argument", "df." + call_.name + ": " + *problem, "", values_[i]->at};
  }
  return seconds;
}

double BoundCall::seconds(std::size_t i, double otherwise) const {
  return optional_seconds(i).value_or(otherwise);
}

double BoundCall::number(std::size_t i, double otherwise) const {
  const Literal* value = literal(i, "a number");
  if (value == nullptr) return otherwise;
  const bool may_be = value->kind == Kind::kNumber || value->kind == Kind::kString;
  const auto number = may_be ? parse_number(value->text) : std::nullopt;
  if (!number || !std::isfinite(*number)) wrong_type(i, "a number");
  return *number;
}

std::int64_t BoundCall::integer(std::size_t i, std::int64_t otherwise) const {
  const Literal* value = literal(i, "an integer");
  if (value == nullptr) return otherwise;
  if (value->kind != Kind::kNumber && value->kind != Kind::kString) wrong_type(i, "an integer");
  std::int64_t number = 0;
  const char* end = value->text.data() + value->text.size();
  const auto [stop, error] = std::from_chars(value->text.data(), end, number);
  if (error != std::errc() || stop != end) wrong_type(i, "an integer");
  return number;
}

}  // namespace durabled::dsl

// The df.… functions of the text door: which there are, what arguments they take, what nodes they make.
// docs/language.md, "Steps" and "Combinators".
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "dsl/text/builder.hpp"

namespace durabled::dsl {

struct Argument {
  std::string name;  // of name => value; empty when positional
  Operand value;
  Position at;
  std::size_t begin = 0, end = 0;  // the place of the value in the text, in bytes
};

struct FunctionCall {
  std::string name;  // without the schema
  std::vector<Argument> arguments;
  Position at;
};

struct Parameter {
  const char* name;
  bool required;
};

// Arguments by parameter, with their types checked as they are read. NULL is as if it were not given. Errors
// name the function and the parameter. Throws SyntaxError.
class BoundCall {
 public:
  BoundCall(const FunctionCall& call, const std::vector<Parameter>& parameters);

  // The value of parameter `i`; nullptr when it is absent.
  const Operand* find(std::size_t i) const { return values_[i]; }
  std::optional<std::string> optional_text(std::size_t i) const;
  std::string text(std::size_t i, const char* otherwise = "") const;
  std::optional<double> optional_seconds(std::size_t i) const;
  double seconds(std::size_t i, double otherwise) const;
  double number(std::size_t i, double otherwise) const;
  std::int64_t integer(std::size_t i, std::int64_t otherwise) const;

  const FunctionCall& call() const { return call_; }
  // The place of the argument that a message of graph/rules.hpp is about; that of the call when it is about no argument.
  Position place_of(std::string_view problem) const;
  [[noreturn]] void wrong_type(std::size_t i, const char* expected) const;

 private:
  const Literal* literal(std::size_t i, const char* expected) const;
  std::size_t find_parameter(const Argument& argument) const;

  const FunctionCall& call_;
  const std::vector<Parameter>& parameters_;
  std::vector<const Operand*> values_;
};

// The node that `call` makes. df.start is not one of them. Throws SyntaxError: unknown functions, functions
// that exist but do not make a step, wrong arguments.
NodeIndex build_call(GraphBuilder& builder, const FunctionCall& call);

// Parameters of df.start, in order: fut, label, database, transaction_mode, priority, start_at,
// idempotency_key.
const std::vector<Parameter>& start_parameters();

// For the name of an unknown function, with or without its schema.
[[noreturn]] void fail_unknown_function(const std::string& schema, const std::string& name,
                                        const Position& at);

}  // namespace durabled::dsl

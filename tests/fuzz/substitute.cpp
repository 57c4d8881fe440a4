// The tokens of a statement do not depend on the value that is inserted into it, whatever the statement, the
// value and a variable's text are.
#include <fuzzer/FuzzedDataProvider.h>

#include <iostream>

#include "dsl/assert.hpp"
#include "tests/dsl/injection.hpp"

using namespace durabled;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  FuzzedDataProvider input(data, size);
  const std::string& type =
      test::kTypes[input.ConsumeIntegralInRange<std::size_t>(0, test::kTypes.size() - 1)];
  std::string value = input.ConsumeRandomLengthString(64), variable = input.ConsumeRandomLengthString(64);
  const std::string source = input.ConsumeRemainingBytesAsString();
  // A number or a boolean may be written without quotes; this makes the value neither.
  if (type == "integer" || type == "numeric" || type == "boolean") value.insert(0, "x");
  // Text of PostgreSQL holds no NUL.
  if ((value + variable + source).find('\0') != std::string::npos) return 0;
  const test::Insertion made = test::insert(source, type, value, variable);
  if (!made.holds) {
    std::cerr << "template: " << source << "\nvariable: " << variable << "\nvalue: " << value << " of type "
              << type << "\nharmless: " << made.harmless << "\nhostile: " << made.hostile << '\n';
  }
  DURABLED_ASSERT(made.holds);
  const dsl::Names names = {{"n", std::make_shared<const dsl::Result>(test::json_of(type, value))}};
  const dsl::Variables variables = {{"v", variable}};
  (void)dsl::substitute_text(source, {names, variables});
  dsl::referenced_names(source, true);
  dsl::referenced_names(source, false);
  return 0;
}

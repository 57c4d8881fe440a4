// The rows of an answer: cut out of a JSON body as the step's `rows` and `columns` say, and made the result that `into`
// has as $rows. Nothing of it is trusted: what has another shape is an error that says where.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "dsl/expected.hpp"
#include "dsl/graph/answer_columns.hpp"

namespace durabled::daemon {

// The JSON of a SQL step's result with these rows. Numbers keep their digits. A float array, a vector or a halfvec may
// also be a string: the base64 of little-endian float32, as embeddings come with encoding_format=base64.
// Requires: `json` is valid JSON. Error: for people, with the row and the column.
Expected<std::string, std::string> read_answer_rows(std::string_view json, const dsl::JsonPath& rows,
                                                    const std::vector<dsl::AnswerColumn>& columns);

}  // namespace durabled::daemon

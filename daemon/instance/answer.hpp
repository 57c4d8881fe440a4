// What `into` is given of an answer.
#pragma once

#include "dsl/expected.hpp"
#include "dsl/graph/graph.hpp"
#include "dsl/value/names.hpp"
#include "dsl/value/substitute.hpp"

namespace durabled::daemon {

// `names` with $response, which is the answer as a call's result has it, extended by `json`: the body as JSON, null
// where it is not; and, where the options say which, with $rows. May take long. Error: http_rows.
Expected<dsl::Names, dsl::SubstitutionError> bind_answer(dsl::Names names, const dsl::HttpOptions& options);

}  // namespace durabled::daemon

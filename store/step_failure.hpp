// From what libpq says of an error to a step's failure. Private to store/.
#pragma once

#include <libpq-fe.h>

#include <string>

#include "dsl/engine/decision.hpp"
#include "store/store_error.hpp"

namespace durabled::store {

struct StepOrigin {
  std::string node_id;
  int attempt = 1;
};

// A field of the error (PG_DIAG_…); "" where the error lacks it.
std::string error_field(const PGresult* result, int code);

// The failure with every field that the server gave; `with_context` false leaves CONTEXT out.
dsl::Failure failure_of(const PGresult* result, const StepOrigin& origin, bool with_context);

// A failure of our own, with a SQLSTATE that says the same.
dsl::Failure make_step_failure(const StepOrigin& origin, const std::string& code, const std::string& message,
                               const std::string& hint);

// Why a connection could not be made; nullptr: out of memory. kPermanent where the server refuses the login
// for good.
StoreError login_error(PGconn* conn);

}  // namespace durabled::store

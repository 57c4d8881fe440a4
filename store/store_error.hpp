// What the environment did to a store function. One policy in daemon/ decides what to do, by the kind alone.
#pragma once

#include <stdexcept>
#include <string>

namespace durabled::store {

class StoreError : public std::runtime_error {
 public:
  enum class Kind {
    kTransient,  // connection lost or refused, server starting: nothing happened, connect again. With SQLSTATE 40… or
    // 55P03 (deadlock, lock timeout) the connection is fine, and the same statement may be sent again
    kInDoubt,    // the answer to a COMMIT was lost: look before doing anything again
    kPermanent,  // permission, syntax, schema: trying again does not help
  };
  StoreError(Kind kind, const std::string& operation, const std::string& message, std::string sqlstate = {})
      : std::runtime_error(operation + ": " + message), kind_(kind), sqlstate_(std::move(sqlstate)) {}

  Kind kind() const { return kind_; }
  const std::string& sqlstate() const { return sqlstate_; }

 private:
  Kind kind_;
  std::string sqlstate_;
};

// Whether a statement that failed so may succeed unchanged: serialization failures and deadlocks (class 40),
// lost connections (08), resources and operators (53, 57P01 to 57P03, 55P03). docs/language.md, "Failing and retrying".
bool is_transient(const std::string& sqlstate);

}  // namespace durabled::store

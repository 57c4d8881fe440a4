#include "daemon/retry_policy.hpp"

namespace durabled::daemon {

Next after(const store::StoreError& error) {
  switch (error.kind()) {
    case store::StoreError::Kind::kTransient:
      // A deadlock, a serialization failure, a lock timeout. All else is a connection that was lost, or a server
      // that is going down; what a statement outside a transaction block did before that is not known.
      return error.sqlstate().starts_with("40") || error.sqlstate() == "55P03" ? Next::kRepeat : Next::kLook;
    case store::StoreError::Kind::kInDoubt:
      return Next::kLook;
    case store::StoreError::Kind::kPermanent:
      return Next::kGiveUp;
  }
  return Next::kGiveUp;
}

}  // namespace durabled::daemon

// What the daemon does after an error of the database: the one place that decides it, by the error's kind alone.
#pragma once

#include "store/store_error.hpp"

namespace durabled::daemon {

enum class Next {
  kRepeat,  // nothing happened, and the connection is fine: the same again after a short pause
  kLook,  // the connection is lost, and whether the statement took effect is not known: connect again and look,
          // or repeat what is safe to repeat
  kGiveUp,  // trying again does not help
};

Next after(const store::StoreError& error);

}  // namespace durabled::daemon

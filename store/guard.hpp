// Every driver exception becomes a StoreError, in one place. Private to store/.
#pragma once

#include <pqxx/pqxx>
#include <string>
#include <utility>

#include "store/store_error.hpp"

namespace durabled::store {

[[noreturn]] void rethrow(const std::string& operation);  // within a catch block

template <typename Function>
auto guarded(const char* operation, Function&& function) {
  try {
    return std::forward<Function>(function)();
  } catch (const std::exception&) {
    rethrow(operation);
  }
}

}  // namespace durabled::store

// A connection that is made again when it breaks: for commands that wait for hours, through a restart of the
// server.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "daemon/cli/command.hpp"
#include "store/client_store.hpp"
#include "store/store_error.hpp"

namespace durabled::daemon::cli {

// The first connection must succeed. Not thread-safe.
class PatientStore {
 public:
  explicit PatientStore(const Invocation& invocation);

  // Calls `read` with the connection. When that breaks, says so once on stderr, tries again with growing pauses,
  // and says when it is back. `read` must be safe to repeat. Returns nothing when `stop` says so first, which is
  // asked several times a second; throws what is not the connection's fault.
  template <typename Function>
  auto call(const std::function<bool()>& stop, Function&& read)
      -> std::optional<decltype(read(std::declval<store::ClientStore&>()))> {
    while (true) {
      try {
        if (!store_) reconnect();
        auto result = read(*store_);
        tell_back();
        return result;
      } catch (const store::StoreError& error) {
        lose(error);
      }
      if (!pause(stop)) return std::nullopt;
    }
  }

  // For what comes right after the wait.
  store::ClientStore& store();

 private:
  void reconnect();
  void lose(const store::StoreError& error);  // throws it again unless the connection is at fault
  void tell_back();
  bool pause(const std::function<bool()>& stop);

  const Invocation& invocation_;
  std::unique_ptr<store::ClientStore> store_;
  int failures_ = 0;
};

}  // namespace durabled::daemon::cli
